// SPDX-License-Identifier: Apache-2.0

package pickle

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The opcodes of protocol 0, whose arguments are lines of text.
const (
	opTextInt     = 'I'
	opTextLong    = 'L'
	opTextFloat   = 'F'
	opTextBytes   = 'S'
	opTextUnicode = 'V'
	opTextPut     = 'p'
	opTextGet     = 'g'
	opMarkedList  = 'l'
	opMarkedDict  = 'd'
)

// line takes the rest of a line of at most so many bytes.
func (m *machine) line(most int) (string, error) {
	rest := m.program[m.next:]
	end := bytes.IndexByte(rest[:min(len(rest), most)], '\n')
	if end < 0 {
		return "", errTruncated
	}
	m.next += end + 1
	return string(rest[:end]), nil
}

// stepText runs an opcode of protocol 0 that the later ones have no use for.
func (m *machine) stepText(op byte) error {
	switch op {
	case opTextInt, opTextLong, opTextFloat:
		return m.push(m.textNumber(op))
	case opTextBytes, opTextUnicode:
		return m.push(m.textLine(op))
	case opTextPut, opTextGet:
		return m.textMemo(op)
	case opMarkedList:
		values, err := m.popMarked()
		return m.push(&List{values}, err)
	case opMarkedDict:
		values, err := m.popMarked()
		if err != nil {
			return err
		}
		dict := new(Dict)
		if err := dict.set(values); err != nil {
			return err
		}
		return m.push(dict, nil)
	}
	return fmt.Errorf("opcode %#02x is not for plain data", op)
}

const maxNumber = 400 // characters; Python writes a float in fewer

func (m *machine) textNumber(op byte) (any, error) {
	text, err := m.line(maxNumber)
	if err != nil {
		return nil, err
	}
	if op == opTextFloat {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, fmt.Errorf("it has the number %q", text)
		}
		return f, nil
	}
	switch {
	case op == opTextInt && text == "00":
		return false, nil
	case op == opTextInt && text == "01":
		return true, nil
	}
	digits := strings.TrimSuffix(text, "L")
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return n, nil
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), strings.HasPrefix(digits, "-"):
		return nil, errors.New("it has a number beyond 64 bits")
	case err != nil:
		return nil, fmt.Errorf("it has the number %q", text)
	}
	return n, nil
}

func (m *machine) textLine(op byte) (any, error) {
	text, err := m.line(len(m.program))
	if err != nil {
		return nil, err
	}
	if err := m.spend(len(text)); err != nil {
		return nil, err
	}
	if op == opTextUnicode {
		return unicodeOf(text)
	}
	return bytesOf(text)
}

// unicodeOf undoes Python's raw-unicode-escape: bytes are code points, but for
// \u and \U with the number of one.
func unicodeOf(text string) (any, error) {
	var b strings.Builder
	for len(text) > 0 {
		digits := 0
		switch {
		case strings.HasPrefix(text, `\u`):
			digits = 4
		case strings.HasPrefix(text, `\U`):
			digits = 8
		default:
			b.WriteRune(rune(text[0]))
			text = text[1:]
			continue
		}
		if len(text) < 2+digits {
			return nil, errors.New("it has text that is not Unicode")
		}
		n, err := strconv.ParseUint(text[2:2+digits], 16, 32)
		if err != nil || !utf8.ValidRune(rune(n)) {
			return nil, errors.New("it has text that is not Unicode")
		}
		b.WriteRune(rune(n))
		text = text[2+digits:]
	}
	return b.String(), nil
}

// bytesOf undoes what Python 2 writes of bytes: quotes around them, and escapes.
func bytesOf(text string) (any, error) {
	unknown := errors.New("it has bytes in an unknown form")
	if len(text) < 2 || text[0] != text[len(text)-1] || text[0] != '\'' && text[0] != '"' {
		return nil, unknown
	}
	text = text[1 : len(text)-1]
	var b strings.Builder
	for len(text) > 0 {
		if text[0] != '\\' {
			b.WriteByte(text[0])
			text = text[1:]
			continue
		}
		if len(text) < 2 {
			return nil, unknown
		}
		if text[1] == 'x' {
			if len(text) < 4 {
				return nil, unknown
			}
			c, err := hex.DecodeString(text[2:4])
			if err != nil {
				return nil, unknown
			}
			b.Write(c)
			text = text[4:]
			continue
		}
		c, ok := map[byte]byte{'\\': '\\', '\'': '\'', '"': '"', 'n': '\n', 'r': '\r', 't': '\t'}[text[1]]
		if !ok {
			return nil, unknown
		}
		b.WriteByte(c)
		text = text[2:]
	}
	return Bytes(b.String()), nil
}

func (m *machine) textMemo(op byte) error {
	text, err := m.line(maxNumber)
	if err != nil {
		return err
	}
	index, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("it refers to value %q, which it does not have", text)
	}
	if op == opTextPut {
		return m.keep(uint32(index))
	}
	return m.recall(uint32(index))
}
