// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestFilesHaveLimits(t *testing.T) {
	var keys strings.Builder
	for i := range maxSectionSettings + 1 {
		fmt.Fprintf(&keys, "k%d = x\n", i)
	}
	for want, text := range map[string]string{
		"file:1002: there are more than 1000 keys in a section or 1000000 in the file; use fewer": "[DEFAULT]\n" + keys.String() + "[a]\njunk\n",
		"file:100001: there are more than 100000 sections; use fewer":                             strings.Repeat("[a]\n", maxSections+1) + "[a]\njunk\n[a]\n",
	} {
		f := newFindings()
		parse(f, "file", text, nil)
		if err := f.err(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
