// SPDX-License-Identifier: Apache-2.0

package config

import (
	"regexp"
	"slices"
	"strings"

	"mandos/server/client"
)

// MaxSection bounds the text of a section by itself, in bytes: more than any secret
// takes.
const MaxSection = 4 << 20

// Section is the section of one client that is yet to be.
type Section struct {
	Settings client.Settings
	// Command is what of the section becomes a command that the server runs: the
	// checker and the keys that it refers to, as they are written. It is empty
	// without a checker.
	Command []Assignment
	// Text is the section as it is to be put into a file.
	Text     string
	Warnings []Warning
}

// Assignment is a key with its value as it is written.
type Assignment struct{ Key, Value string }

// ReadSection reads what "mandos-keygen --password" prints: one client's section of
// mandos-clients.conf(5), by the same rules as a file of it. What makes a client
// useless is an error here, and so is a name of a file, which a section from another
// machine must not bring. What [DEFAULT] says elsewhere is not known: references to it
// are left alone, and judge should look at what belongs to the client itself. The
// error is of type [Errors].
func ReadSection(text string, judge func(client.Settings) []Remark) (*Section, error) {
	f := newFindings()
	if len(text) > MaxSection {
		f.errorf(Place{}, "the section is longer than %d bytes, which cannot be right", MaxSection)
		return nil, f.err()
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	doc := parse(f, "", text, knownClientKeys)
	read := f.onlySection(doc)
	if read == nil {
		return nil, f.err()
	}
	one := clientSection{findings: f, section: read, values: map[string]string{}, alone: true}
	one.scope = newScope(read, clientDefaults)
	one.scope.private = privateKeys
	settings := one.interpret()
	one.warn(judge(settings))
	warnOfNearMisses(f, read, knownClientKeys, one.scope.referred)
	if strings.TrimSpace(settings.Name) != settings.Name {
		f.errorf(read.place(""), "the name has blanks around it; take them away")
	}
	return &Section{
		Settings: settings, Command: commandOf(read), Warnings: f.warningList(),
		Text: textFrom(text, read.line),
	}, f.err()
}

// onlySection is the one section of a text that must have no other.
func (f *findings) onlySection(doc *document) *section {
	if doc.defaults.line > 0 {
		f.errorf(Place{Line: doc.defaults.line}, "[DEFAULT] is no client; put that into clients.conf")
	}
	switch {
	case len(doc.sections) == 0:
		if f.err() == nil {
			f.errorf(Place{}, "there is no section in it; give what mandos-keygen --password prints, from the line with [NAME] on")
		}
		return nil
	case len(doc.sections) > 1:
		f.errorf(Place{Line: doc.sections[1].line}, "a second section begins; add one client at a time")
	}
	return doc.sections[0]
}

// textFrom is the text from that line on, with one line feed at its end.
func textFrom(text string, line int) string {
	for ; line > 1; line-- {
		_, text, _ = strings.Cut(text, "\n")
	}
	return strings.TrimRight(text, "\n") + "\n"
}

var reference = regexp.MustCompile(`%\(([^)]+)\)s`)

// commandOf collects the checker of a section, and what gets into it when it is
// expanded.
func commandOf(s *section) (command []Assignment) {
	for pending := []string{"checker"}; len(pending) > 0; pending = pending[1:] {
		key := pending[0]
		found, ok := s.settings[key]
		if !ok || privateKeys[key] || slices.ContainsFunc(command, func(a Assignment) bool { return a.Key == key }) {
			continue
		}
		command = append(command, Assignment{key, found.raw})
		for _, referred := range reference.FindAllStringSubmatch(found.raw, -1) {
			pending = append(pending, strings.ToLower(referred[1]))
		}
	}
	return command
}
