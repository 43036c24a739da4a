// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"mandos/dbusapi/notation"
)

// Limits of one file. A larger one is an error.
const (
	maxFile            = 64 << 20 // bytes
	maxSections        = 100_000
	maxSettings        = 1_000_000
	maxSectionSettings = 1000
)

const byteOrderMark = "\ufeff"

// checkEncoding admits UTF-8 text without what no administrator puts there on
// purpose.
func checkEncoding(f *findings, file, text string) bool {
	for line, rest := 1, text; rest != ""; line++ {
		var one string
		one, rest, _ = strings.Cut(rest, "\n")
		problem := ""
		switch {
		case line == 1 && strings.HasPrefix(one, byteOrderMark):
			problem = "the file starts with a byte order mark; save it as UTF-8 without one"
		case !utf8.ValidString(one):
			problem = "this line is not valid UTF-8; save the file as UTF-8"
		case strings.Contains(one, "\x00"):
			problem = "there is a NUL character in this line; remove it"
		default:
			continue
		}
		f.errorf(Place{File: file, Line: line}, "%s", problem)
		return false
	}
	return true
}

// canonical writes text anew so that ini.v1 reads it as Python's configparser
// reads the original. Each section and each setting is one line there, without
// anything that means something else to ini.v1:
//
//	[LINE NAME]
//	LINE KEY==VALUE
//
// LINE is the line number in the original, for errors, which makes every name
// unique as well; the second = protects quotes at the start of the value; and
// NUL stands for a line feed in the value.
//
// known are the keys that a line which only continues a value is not expected to
// begin with.
func canonical(f *findings, file, text string, known []string) string {
	c := canonicalizer{findings: f, file: file, known: known}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		if number++; c.full {
			break
		}
		c.line(number, line)
	}
	c.endValue()
	return c.out.String()
}

// originalValue undoes what canonical did to a value.
func originalValue(s string) string {
	return strings.ReplaceAll(strings.TrimPrefix(s, "="), "\x00", "\n")
}

type canonicalizer struct {
	*findings
	file  string
	known []string
	out   strings.Builder

	// indent is that of the latest line which was no continuation.
	indent int
	// inValue says that a setting is being read, and blanks is the number of
	// blank lines that are part of it if another line follows.
	inValue bool
	blanks  int
	// section is the number of the header's line; 0 before the first one.
	section int
	// astray says that the line before could not be understood either.
	astray bool
	// full says that a limit was exceeded, and no more is read.
	full bool

	sections, settings, sectionSettings int
}

func (c *canonicalizer) line(number int, line string) {
	content := strings.TrimLeftFunc(line, notation.IsSpace)
	indent := utf8.RuneCountInString(line) - utf8.RuneCountInString(content)
	content = strings.TrimRightFunc(content, notation.IsSpace)
	switch {
	case strings.HasPrefix(content, "#"), strings.HasPrefix(content, ";"):
	case content == "":
		c.blanks++
	case c.inValue && indent > c.indent:
		c.warnOfSlip(number, content)
		c.out.WriteString(strings.Repeat("\x00", c.blanks+1))
		c.out.WriteString(content)
		c.blanks = 0
	default:
		c.endValue()
		c.indent = indent
		if problem := c.begin(number, content); problem == "" {
			c.astray = false
		} else if !c.astray {
			c.errorf(Place{File: c.file, Line: number}, "%s", problem)
			c.astray = true
		}
	}
}

// warnOfSlip tells of a line that continues a value, and looks as if it should not. A
// secret there would be shown wherever the value is, which is an error.
func (c *canonicalizer) warnOfSlip(number int, content string) {
	const problem = "this line is indented, so that it is no key %s but a part of the value above; take the space at its beginning away"
	key, _, delimited := keyAndValue(content)
	switch {
	case !delimited || !slices.Contains(c.known, key):
	case key == "secret":
		c.errorf(Place{File: c.file, Line: number}, problem, key)
	default:
		c.warnf(Place{File: c.file, Line: number}, problem, key)
	}
}

// keyAndValue takes a line apart at its first delimiter, if it has one.
func keyAndValue(content string) (key, value string, delimited bool) {
	at := strings.IndexAny(content, "=:")
	if at < 0 {
		return "", "", false
	}
	key = strings.ToLower(strings.TrimRightFunc(content[:at], notation.IsSpace))
	return key, strings.TrimLeftFunc(content[at+1:], notation.IsSpace), true
}

// begin reads a line that starts something new, or says what is wrong. It
// never quotes: a line that was not understood may be a piece of a secret.
func (c *canonicalizer) begin(number int, content string) (problem string) {
	if name, ok := header(content); ok {
		c.section, c.sectionSettings = number, 0
		if c.sections++; c.sections > maxSections {
			c.full = true
			return fmt.Sprintf("there are more than %d sections; use fewer", maxSections)
		}
		fmt.Fprintf(&c.out, "[%d %s]\n", number, name)
		return ""
	}
	key, value, delimited := keyAndValue(content)
	switch {
	case c.section == 0:
		return "this line stands above the first section; write a line with its [NAME] before it"
	case !delimited:
		return "this line is neither [section] nor key = value; if it continues the value above, indent it"
	case key == "":
		return fmt.Sprintf("there is no key before the %q; write key = value", content[:1])
	}
	c.settings++
	c.sectionSettings++
	if c.settings > maxSettings || c.sectionSettings > maxSectionSettings {
		c.full = true
		return fmt.Sprintf("there are more than %d keys in a section or %d in the file; use fewer", maxSectionSettings, maxSettings)
	}
	fmt.Fprintf(&c.out, "%d %s==%s", number, key, value)
	c.inValue, c.blanks = true, 0
	return ""
}

func (c *canonicalizer) endValue() {
	if c.inValue {
		c.out.WriteByte('\n')
	}
	c.inValue = false
}

// header gives the name in a line like [name]. The last bracket counts, and
// what follows it does not.
func header(content string) (name string, ok bool) {
	end := strings.LastIndexByte(content, ']')
	if end < 2 || content[0] != '[' {
		return "", false
	}
	return content[1:end], true
}
