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
	"strings"
	"unicode"
	"unicode/utf8"
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
	Text        string // as it was read, with a line feed at the end
}

// Parse reads a section. An error says what is wrong with it and where.
func Parse(text string) (*Section, error) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, errors.New("that is no text; give what mandos-keygen --password prints")
	}
	r := reader{values: make(map[string]string)}
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if err := r.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if r.name == "" {
		return nil, errors.New("there is no section in it; give what mandos-keygen --password prints, from the line with [NAME] on")
	}
	s := &Section{Name: r.name, Host: r.values["host"], Text: strings.TrimRight(r.text.String(), "\n") + "\n"}
	return s, s.setKeys(r.values)
}

// reader collects the section's keys.
type reader struct {
	name   string
	values map[string]string
	key    string // of the value that an indented line continues
	text   strings.Builder
}

// line reads one line as Python's configparser does (mandos-clients.conf(5)).
func (r *reader) line(line string) error {
	trimmed := strings.TrimSpace(line)
	if r.name != "" {
		r.text.WriteString(line + "\n")
	}
	switch {
	case trimmed == "", strings.HasPrefix(trimmed, "#"), strings.HasPrefix(trimmed, ";"):
		return nil
	case r.key != "" && line != strings.TrimLeftFunc(line, unicode.IsSpace):
		r.values[r.key] += "\n" + trimmed
		return nil
	case strings.HasPrefix(line, "["):
		return r.header(line)
	case r.name == "":
		return fmt.Errorf("%q comes before the section's [NAME]", trimmed)
	}
	end := strings.IndexAny(line, "=:")
	if end <= 0 {
		return fmt.Errorf("%q is not KEY = VALUE", trimmed)
	}
	key := strings.ToLower(strings.TrimSpace(line[:end]))
	if _, twice := r.values[key]; twice {
		return fmt.Errorf("%s is there twice", key)
	}
	r.key, r.values[key] = key, strings.TrimSpace(line[end+1:])
	return nil
}

func (r *reader) header(line string) error {
	end := strings.LastIndexByte(line, ']')
	switch {
	case end < 2:
		return errors.New("a section begins with [NAME]")
	case r.name != "":
		return errors.New("a second section begins; add one client at a time")
	}
	name := line[1:end]
	switch {
	case name == "DEFAULT":
		return errors.New("[DEFAULT] is no client; put that into clients.conf")
	case strings.TrimSpace(name) != name, strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0:
		return fmt.Errorf("%q cannot be the name of a client: it has blanks around it or unprintable characters in it", name)
	}
	r.name = name
	r.text.WriteString(line + "\n")
	return nil
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
	s.Secret, err = base64.StdEncoding.DecodeString(strings.Map(dropSpace, encoded))
	if err != nil {
		return fmt.Errorf("secret is not base64: %w; was something cut off?", err)
	}
	return nil
}

// emptyKeyID is the SHA-256 of nothing, which is what a script makes of a key
// that it could not read.
const emptyKeyID = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

// hexKey reads a key's hash, of one of those numbers of hex digits, or nothing.
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
	return "", fmt.Errorf("%s must be %d hex digits, and %q is not", key, digits[0], value)
}

func dropSpace(r rune) rune {
	if unicode.IsSpace(r) {
		return -1
	}
	return r
}
