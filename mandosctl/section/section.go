// SPDX-License-Identifier: Apache-2.0

// Package section reads what "mandos-keygen --password" prints: one client's
// section of clients.conf. It judges what makes a client that of one host, its
// name, keys and secret. All other settings are the server's to judge.
package section

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"mandos/dbusapi/notation"
)

// MaxSize bounds the text of a section, in bytes: more than any secret takes.
const MaxSize = 4 << 20

// Section is one client as it is to be configured.
type Section struct {
	Name        string
	KeyID       string // upper-case hex
	Fingerprint string // upper-case hex; may be empty
	Secret      []byte
	Host        string
	// Command is what of the section becomes a command that the server runs: the
	// checker and the keys that it refers to. It is empty without a checker.
	Command []Setting
	Text    string // as it was read, with a line feed at the end
}

// Setting is a key with its value as it was written.
type Setting struct{ Key, Value string }

// Parse reads a section. An error says what is wrong with it and where.
func Parse(text string) (*Section, error) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, errors.New("that is no text; give what mandos-keygen --password prints")
	}
	r := reader{values: make(map[string]string), lines: make(map[string]int)}
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if err := r.line(i+1, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if r.name == "" {
		return nil, errors.New("there is no section in it; give what mandos-keygen --password prints, from the line with [NAME] on")
	}
	s := &Section{Name: r.name, Host: r.values["host"], Command: r.command(), Text: strings.TrimRight(r.text.String(), "\n") + "\n"}
	return s, s.setKeys(r.values)
}

// reader collects the section's keys.
type reader struct {
	name   string
	values map[string]string
	lines  map[string]int // where each key is
	key    string         // of the value that an indented line continues
	indent int            // of the latest line that continued nothing
	text   strings.Builder
}

// line reads one line as Python's configparser does (mandos-clients.conf(5)). It
// never quotes: what was not understood may be a piece of the secret.
func (r *reader) line(number int, line string) error {
	content := strings.TrimLeftFunc(line, notation.IsSpace)
	indent := utf8.RuneCountInString(line) - utf8.RuneCountInString(content)
	content = strings.TrimRightFunc(content, notation.IsSpace)
	if r.name != "" {
		r.text.WriteString(line + "\n")
	}
	switch {
	case content == "", strings.HasPrefix(content, "#"), strings.HasPrefix(content, ";"):
		return nil
	case r.key != "" && indent > r.indent:
		r.values[r.key] += "\n" + content
		return nil
	}
	r.key, r.indent = "", indent
	switch {
	case strings.HasPrefix(content, "["):
		return r.header(line, content)
	case r.name == "":
		return errors.New("this line comes before the section's [NAME]; give what mandos-keygen --password prints, from the line with [NAME] on")
	}
	end := strings.IndexAny(content, "=:")
	if end <= 0 {
		return errors.New("this line is not KEY = VALUE; if it continues the value above, indent it more than that")
	}
	key := strings.ToLower(strings.TrimSpace(content[:end]))
	if first, twice := r.lines[key]; twice {
		return fmt.Errorf("this key is in line %d already; take one of the two away", first)
	}
	r.key, r.values[key], r.lines[key] = key, strings.TrimSpace(content[end+1:]), number
	return nil
}

func (r *reader) header(line, content string) error {
	end := strings.LastIndexByte(content, ']')
	switch {
	case end < 2:
		return errors.New("a section begins with [NAME]")
	case r.name != "":
		return errors.New("a second section begins; add one client at a time")
	}
	name := content[1:end]
	switch {
	case name == "DEFAULT":
		return errors.New("[DEFAULT] is no client; put that into clients.conf")
	case strings.TrimSpace(name) != name, strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0:
		return errors.New("that cannot be the name of a client: it has blanks around it or unprintable characters in it")
	}
	r.name = name
	r.text.WriteString(line + "\n")
	return nil
}

var reference = regexp.MustCompile(`%\(([^)]+)\)s`)

// command collects the checker, and what gets into it when it is expanded.
func (r *reader) command() (command []Setting) {
	pending, seen := []string{"checker"}, map[string]bool{"secret": true} // which cannot be referred to
	for len(pending) > 0 {
		key := pending[0]
		pending = pending[1:]
		value, ok := r.values[key]
		if !ok || seen[key] {
			continue
		}
		seen[key] = true
		command = append(command, Setting{key, value})
		for _, found := range reference.FindAllStringSubmatch(value, -1) {
			pending = append(pending, strings.ToLower(found[1]))
		}
	}
	return command
}

// setKeys judges the client's keys and its secret.
func (s *Section) setKeys(values map[string]string) (err error) {
	if s.KeyID, err = hexKey("key_id", values["key_id"], 64); err != nil {
		return err
	}
	if s.Fingerprint, err = hexKey("fingerprint", values["fingerprint"], 40, 64); err != nil {
		return err
	}
	if s.KeyID == "" && s.Fingerprint == "" {
		return errors.New("key_id is missing: nothing could tell this client from others")
	}
	if _, ok := values["secfile"]; ok {
		return errors.New("secfile cannot be added, since it names a file; add that section to clients.conf by hand, or use secret")
	}
	encoded, ok := values["secret"]
	if !ok {
		return errors.New("secret is missing; run mandos-keygen with --password")
	}
	if s.Secret, err = base64.StdEncoding.DecodeString(strings.Map(dropSpace, encoded)); err != nil {
		return errors.New("secret is not base64; was something cut off, or a line of it not indented?")
	}
	return nil
}

// emptyKeyID is the SHA-256 of nothing, which is what a script makes of a key
// that it could not read.
const emptyKeyID = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

// hexKey reads a key's hash, of one of those numbers of hex digits, or nothing. The
// error does not quote what is there instead, which may be the secret.
func hexKey(key, value string, digits ...int) (string, error) {
	value = strings.ToUpper(strings.Map(dropSpace, value))
	if value == "" {
		return "", nil
	}
	_, err := hex.DecodeString(value)
	for _, n := range digits {
		if err == nil && len(value) == n && value != emptyKeyID {
			return value, nil
		}
	}
	if value == emptyKeyID {
		return "", fmt.Errorf("%s is the hash of an empty file: the key of that host was not readable", key)
	}
	return "", fmt.Errorf("%s must be %d hex digits, and what is there, of %d characters, is not", key, digits[0], utf8.RuneCountInString(value))
}

func dropSpace(r rune) rune {
	if unicode.IsSpace(r) {
		return -1
	}
	return r
}
