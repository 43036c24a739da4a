// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"strings"
	"testing"
)

func TestErrorIsOneHarmlessLine(t *testing.T) {
	var errs bytes.Buffer
	c := &Console{Err: &errs}
	c.Errorf("%s: two\n  lines of %s", "host\x1b[2J", "text")
	if want := "mandosctl: host\\x1b[2J: two lines of text\n"; errs.String() != want {
		t.Errorf("%q, want %q", errs.String(), want)
	}
}

func TestOnlyYesIsYes(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, " yes ": true, "": false, "\n": false, "n\n": false, "yesterday\n": false} {
		var errs bytes.Buffer
		c := &Console{In: strings.NewReader(answer), Err: &errs}
		if got, err := c.Confirm("Remove foo?"); err != nil || got != want {
			t.Errorf("%q is %v, error %v", answer, got, err)
		}
		if errs.String() != "Remove foo? [y/N] " {
			t.Errorf("asked was %q", errs.String())
		}
	}
}
