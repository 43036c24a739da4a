// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for sentence, c := range map[string]struct {
		args   []string
		status int
		says   string
		never  string
	}{
		"--check=yes checks":                         {[]string{"--check=yes", "--no-dbus", "--configdir", empty}, exitOK, "0 errors", "serving"},
		"--check=1 checks":                           {[]string{"--check=1", "--no-dbus", "--configdir", empty}, exitOK, "0 errors", "serving"},
		"--check=on checks":                          {[]string{"--check=on", "--no-dbus", "--configdir", empty}, exitOK, "0 errors", "serving"},
		"an option is not the value of another":      {[]string{"--interface", "--foreground"}, exitUsage, "mandos: error: argument -i/--interface: expected one argument", "serving"},
		"help comes before what is wrong after it":   {[]string{"-h", "--bogus"}, exitOK, "--configdir DIR", "error"},
		"help comes in spite of what does not exist": {[]string{"--bogus", "-h"}, exitOK, "--configdir DIR", "error"},
		"the version comes before what is wrong":     {[]string{"--version", "--bogus"}, exitOK, "mandos " + version + "\n", "error"},
		"the version may be abbreviated":             {[]string{"--vers"}, exitOK, "mandos " + version + "\n", "--configdir"},
		"the version comes before help":              {[]string{"-vh"}, exitOK, "mandos " + version + "\n", "--configdir"},
		"help may be abbreviated":                    {[]string{"--hel"}, exitOK, "--configdir DIR", "error"},
		"help comes before a bad value after it":     {[]string{"-h", "--port", "abc"}, exitOK, "--configdir DIR", "error"},
		"a bad value comes before help":              {[]string{"--port", "abc", "-h"}, exitUsage, "mandos: error: argument -p/--port: ", "--configdir DIR"},
		"a debuglevel that there is not":             {[]string{"--debuglevel", "loud", "--configdir", empty}, exitUsage, `mandos: error: argument --debuglevel: "loud" is not a logging level`, "serving"},
		"a priority that there is not":               {[]string{"--priority", "LOUD", "--configdir", empty}, exitUsage, "mandos: error: argument --priority: ", "serving"},
		"options that do not go together":            {[]string{"--address", "::1", "--no-ipv6", "--configdir", empty}, exitUsage, "mandos: error: argument --address: ::1 is an IPv6 address", "serving"},
		"a bad option together with --check":         {[]string{"--priority", "LOUD", "--check", "--configdir", empty}, exitUsage, "error: --priority: ", "fine"},
		"the commands of cobra are none of ours":     {[]string{"__complete", "x"}, exitUsage, "mandos: error: unrecognized arguments: __complete x", "serving"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), mandos(t), append([]string{"--statedir", empty + "/state"}, c.args...)...)
			out, _ := cmd.CombinedOutput()
			if status := cmd.ProcessState.ExitCode(); status != c.status {
				t.Errorf("exit status %d, want %d", status, c.status)
			}
			if !strings.Contains(string(out), c.says) || strings.Contains(string(out), c.never) {
				t.Errorf("it should say %q and not %q:\n%s", c.says, c.never, out)
			}
		})
	}
}
