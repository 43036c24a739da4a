// SPDX-License-Identifier: Apache-2.0

// Package notation reads and writes durations, booleans and whole numbers as
// mandos-clients.conf(5) has them. The server reads its files with it, mandosctl
// its arguments, so that what one takes the other takes too.
//
// All is read as Python reads it, because the files were written for a server
// that does.
package notation

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// IsSpace is str.isspace.
func IsSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// The errors about numbers.
var (
	ErrNumber      = errors.New("is not a whole number")
	ErrLargeNumber = errors.New("is too large a number")
)

var pythonInt = regexp.MustCompile(`^[+-]?[0-9]+(_[0-9]+)*$`)

// ParseInt is int(), for what fits into 64 bits.
func ParseInt(s string) (int64, error) {
	s = strings.Map(asciiDigit, s)
	if !pythonInt.MatchString(s) {
		return 0, ErrNumber
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil {
		return 0, ErrLargeNumber
	}
	return n, nil
}

// asciiDigit gives 0 to 9 for the decimal digits of any script. Unicode has
// them in unbroken runs that start at zero.
func asciiDigit(r rune) rune {
	if r <= unicode.MaxASCII || !unicode.IsDigit(r) {
		return r
	}
	var n rune
	for unicode.IsDigit(r - n - 1) {
		n++
	}
	return '0' + n%10
}

// ErrBool completes a sentence that begins with what was written.
var ErrBool = errors.New("is not a boolean; write yes, true, on or 1, or else no, false, off or 0")

var booleans = map[string]bool{
	"1": true, "yes": true, "true": true, "on": true,
	"0": false, "no": false, "false": false, "off": false,
}

// ParseBool reads a boolean as Python's configparser does.
func ParseBool(s string) (bool, error) {
	b, ok := booleans[strings.ToLower(s)]
	if !ok {
		return false, ErrBool
	}
	return b, nil
}

// FormatBool writes a boolean.
func FormatBool(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// ErrCount completes a sentence that begins with what was written.
var ErrCount = errors.New("is not a number from 1 on")

// ParseCount reads a number of things of which there is at least one.
func ParseCount(s string) (int, error) {
	n, err := ParseInt(s)
	switch {
	case err != nil:
		return 0, err
	case n < 1:
		return 0, ErrCount
	case n > math.MaxInt32:
		return 0, ErrLargeNumber
	}
	return int(n), nil
}
