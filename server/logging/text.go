// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxText is the most bytes of a message or a value that are logged, before they
// are escaped. A whole record fits into one datagram.
const maxText = 4096

// clip cuts what is too long.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > maxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// escape makes s one line of printable characters: others are written as Go
// escapes, which include those that switch the direction of writing.
func escape(s string) string {
	s = clip(s)
	if strings.IndexFunc(s, notPrintable) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

func notPrintable(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }

// line is the sentence and its fields as key=value.
func (e *entry) line() string {
	var b strings.Builder
	b.WriteString(escape(e.message))
	for _, f := range e.fields {
		b.WriteString(" " + f.key + "=" + quote(f.value))
	}
	return b.String()
}

// quote writes a value so that it is taken for nothing else.
func quote(value string) string {
	value = clip(value)
	if value == "" || strings.ContainsAny(value, " \"=\\") || strings.IndexFunc(value, notPrintable) >= 0 {
		return strconv.Quote(value)
	}
	return value
}
