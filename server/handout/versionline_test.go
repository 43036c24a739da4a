// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestVersionLine(t *testing.T) {
	for sentence, c := range map[string]struct{ sent, err string }{
		"a client's own line":                      {sent: "1\r\n"},
		"LF alone ends the line":                   {sent: "1\n"},
		"the end ends the line":                    {sent: "1"},
		"CR and the end end the line":              {sent: "1\r"},
		"CR alone ends the line once more follows": {sent: "1\rx"},
		"an older version":                         {sent: "0\r\n"},
		"a negative version":                       {sent: "-7\r\n"},
		"a sign":                                   {sent: "+1\r\n"},
		"leading zeros":                            {sent: "01\r\n"},
		"an underscore between digits":             {sent: "0_1\r\n"},
		"blanks before and words after":            {sent: " \t 1 hello world\r\n"},
		"a digit of another script":                {sent: "\u0661\r\n"},
		"a digit beyond the basic plane":           {sent: "\U0001d7d9\r\n"},
		"no-break spaces are blanks":               {sent: "\u00a01\u00a0\r\n"},
		"a newer version":                          {sent: "2\r\n", err: `unknown protocol version "2"`},
		"a much newer version":                     {sent: "18446744073709551617\r\n", err: "unknown protocol version"},
		"a two of another script":                  {sent: "\u0662\r\n", err: "unknown protocol version"},
		"a word":                                   {sent: "abc\r\n", err: `unknown protocol version "abc"`},
		"a fraction":                               {sent: "1.0\r\n", err: "unknown protocol version"},
		"a semicolon":                              {sent: "1;\r\n", err: "unknown protocol version"},
		"another protocol":                         {sent: "GET / HTTP/1.1\r\n", err: `unknown protocol version "GET"`},
		"two signs":                                {sent: "+-1\r\n", err: "unknown protocol version"},
		"a sign alone":                             {sent: "-\r\n", err: "unknown protocol version"},
		"an underscore at an end":                  {sent: "1_\r\n", err: "unknown protocol version"},
		"an underscore at the start":               {sent: "_1\r\n", err: "unknown protocol version"},
		"two underscores":                          {sent: "0__1\r\n", err: "unknown protocol version"},
		"a superscript":                            {sent: "\u00b9\r\n", err: "unknown protocol version"},
		"an empty line":                            {sent: "\r\n", err: "no protocol version"},
		"a blank line":                             {sent: "  \n", err: "no protocol version"},
		"nothing":                                  {sent: "", err: "no protocol version"},
		"no UTF-8":                                 {sent: "1\xff\r\n", err: "not UTF-8"},
		"a line that just fits":                    {sent: "1 " + strings.Repeat("x", maxVersionLine-3) + "\n"},
		"a line too long":                          {sent: "1 " + strings.Repeat("x", maxVersionLine), err: "longer than 512 bytes"},
		"a terminal's control characters are not shown": {sent: "\x1b[2J\r\n", err: `"\x1b[2J"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"at once":        strings.NewReader(c.sent),
				"byte by byte":   iotest.OneByteReader(strings.NewReader(c.sent)),
				"with the error": iotest.DataErrReader(strings.NewReader(c.sent)),
			} {
				err := readVersionLine(r)
				if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Errorf("%s: error %v, want %q", how, err, c.err)
				}
			}
		})
	}
}

func TestVersionLineReportsABrokenConnection(t *testing.T) {
	broken := errors.New("connection reset by peer")
	if err := readVersionLine(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func FuzzVersionLine(f *testing.F) {
	for _, seed := range []string{"1\r\n", "2\r\n", "0_1", "\u0661 x", "GET /"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		whole := readVersionLine(strings.NewReader(string(sent)))
		pieces := readVersionLine(iotest.OneByteReader(strings.NewReader(string(sent))))
		if (whole == nil) != (pieces == nil) {
			t.Errorf("%q: %v at once, %v byte by byte", sent, whole, pieces)
		}
	})
}
