// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxVersionLine is the longest version line we read, in bytes. A client sends three.
const maxVersionLine = 512

// readVersionLine reads the line that a client begins with, which names the
// protocol version it speaks: a whole number, of which we take those up to 1.
// What follows the line in the same segment is dropped: a client has nothing to
// say before the server's ClientHello.
func readVersionLine(r io.Reader) error {
	buf := make([]byte, 0, maxVersionLine)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if line, ok := firstLine(buf, err == io.EOF); ok {
			return checkVersion(line)
		}
		switch {
		case err == io.EOF:
			return checkVersion(buf)
		case err != nil:
			return fmt.Errorf("no version line: %w", err)
		case len(buf) == cap(buf):
			return fmt.Errorf("version line longer than %d bytes", maxVersionLine)
		}
	}
}

// firstLine is the text before the first line end: LF, CR LF, or CR alone,
// which is seen to be alone only with the next byte or at the end.
func firstLine(b []byte, atEnd bool) (line []byte, ok bool) {
	i := bytes.IndexAny(b, "\r\n")
	if i < 0 || b[i] == '\r' && i+1 == len(b) && !atEnd {
		return nil, false
	}
	return b[:i], true
}

var errNoVersion = errors.New("no protocol version in the first line")

// checkVersion reads the line's first word as Python's int() does: with a sign,
// single underscores between digits, and the digits of any script.
func checkVersion(line []byte) error {
	if !utf8.Valid(line) {
		return fmt.Errorf("first line is not UTF-8 text: %.40q", line)
	}
	words := strings.FieldsFunc(string(line), isPythonSpace)
	if len(words) == 0 {
		return errNoVersion
	}
	unsupported := fmt.Errorf("unknown protocol version %.40q", words[0])
	digits, negative := strings.CutPrefix(words[0], "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	value, afterDigit := 0, false
	for _, r := range digits {
		if r == '_' && afterDigit {
			afterDigit = false
			continue
		}
		d, ok := digitValue(r)
		if !ok {
			return unsupported
		}
		value, afterDigit = min(10*value+d, 10), true
	}
	if !afterDigit || value > 1 && !negative {
		return unsupported
	}
	return nil
}

// isPythonSpace adds what Python's str.split takes for white space and Go
// does not.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// digitValue relies on Unicode's decimal digits standing in runs from zero to nine.
func digitValue(r rune) (int, bool) {
	if r < utf8.RuneSelf {
		return int(r - '0'), r >= '0' && r <= '9'
	}
	for _, run := range unicode.Nd.R16 {
		if rune(run.Lo) <= r && r <= rune(run.Hi) {
			return int(r-rune(run.Lo)) % 10, true
		}
	}
	for _, run := range unicode.Nd.R32 {
		if rune(run.Lo) <= r && r <= rune(run.Hi) {
			return int(r-rune(run.Lo)) % 10, true
		}
	}
	return 0, false
}
