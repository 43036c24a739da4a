// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestEveryLineOfAnErrorIsHarmlessAndSaysWhose(t *testing.T) {
	var errs bytes.Buffer
	c := &Console{Err: &errs}
	c.Errorf("%s: two\n\n  lines of %s\n", "host\x1b[2J", "text")
	if want := "mandosctl: host\\x1b[2J: two\nmandosctl: lines of text\n"; errs.String() != want {
		t.Errorf("%q, want %q", errs.String(), want)
	}
}

func TestOnlyYesIsYes(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, " yes ": true, "": false, "\n": false, "n\n": false, "yesterday\n": false} {
		var errs bytes.Buffer
		c := &Console{In: strings.NewReader(answer), Err: &errs, Interactive: true}
		if got, err := c.Confirm("Remove foo?"); err != nil || got != want {
			t.Errorf("%q is %v, error %v", answer, got, err)
		}
		if errs.String() != "Remove foo? [y/N] " {
			t.Errorf("asked was %q", errs.String())
		}
	}
}

// terminal is one that answers.
type terminal struct {
	io.Reader
	bytes.Buffer
	closed bool
}

func (t *terminal) Read(p []byte) (int, error) { return t.Reader.Read(p) }

func (t *terminal) Close() error {
	t.closed = true
	return nil
}

func TestWhoseInputIsAPipeIsAskedAtTheTerminal(t *testing.T) {
	at := &terminal{Reader: strings.NewReader("y\n")}
	c := Detached(strings.NewReader("n\n"), nil, nil)
	if _, err := c.Confirm("Remove foo?"); !errors.Is(err, ErrNobody) {
		t.Errorf("without a terminal the error is %v", err)
	}
	c.Session = func() (io.ReadWriteCloser, error) { return at, nil }
	if ok, err := c.Confirm("Remove foo?"); !ok || err != nil || at.String() != "Remove foo? [y/N] " || !at.closed {
		t.Errorf("%v, %v, and asked was %q", ok, err, at.String())
	}
}
