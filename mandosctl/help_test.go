// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"

	"mandos/mandosctl/console"
)

// inMemory is a console that is no terminal.
func inMemory() (c *console.Console, out, errs *bytes.Buffer) {
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	return console.Detached(strings.NewReader(""), out, errs), out, errs
}

func TestHelpPagesAreAsTheyWere(t *testing.T) {
	c, _, _ := inMemory()
	root := newRootCommand(&program{console: c})
	for _, cmd := range append(root.Commands(), root) {
		t.Run(cmd.Name(), func(t *testing.T) {
			c, out, errs := inMemory()
			args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
			if status := run(args, c); status != exitOK || errs.Len() > 0 {
				t.Fatalf("exit status %d: %s", status, errs)
			}
			golden := filepath.Join("testdata", "help", cmd.Name()+".txt")
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, out.Bytes()) {
				t.Errorf("the help has changed (write it anew with -update):\n%s", out)
			}
		})
	}
}

func TestEveryCommandHelps(t *testing.T) {
	c, _, _ := inMemory()
	root := newRootCommand(&program{console: c})
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Short == "" || !unicode.IsUpper(rune(cmd.Short[0])) || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the summary must begin with a capital and end without a full stop: %q", cmd.Name(), cmd.Short)
		}
		if cmd.Long == "" || !strings.Contains(cmd.Example, "mandosctl") {
			t.Errorf("%s has no description or no example", cmd.Name())
		}
		for _, line := range strings.Split(cmd.UsageString()+cmd.Long, "\n") {
			if len(line) > 90 {
				t.Errorf("%s: this line is too long for a terminal: %q", cmd.Name(), line)
			}
		}
		checkFlags(t, cmd)
	}
}

func checkFlags(t *testing.T, cmd *cobra.Command) {
	if cmd.Runnable() && cmd.Args == nil {
		t.Errorf("%s does not say which arguments it takes", cmd.Name())
	}
	if cmd.ValidArgs == nil && cmd.ValidArgsFunction == nil && strings.Contains(cmd.Use, "NAME") {
		t.Errorf("%s does not complete names", cmd.Name())
	}
}
