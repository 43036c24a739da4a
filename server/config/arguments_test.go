// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestArgumentsAreReadAsArgparseReadsThem compares with Python's argparse and the
// options that upstream gives it.
func TestArgumentsAreReadAsArgparseReadsThem(t *testing.T) {
	words := []string{
		"--interface", "--interface=", "--interface=x", "-i", "-ix", "-i=x", "-i--debug", "--int", "--int=x",
		"--port", "--port=1", "-p", "-p1", "--po", "--debug", "--debugl", "--debuglevel=INFO", "--foreground", "--foregr",
		"--no-dbus", "--no-d", "--no", "--de", "--s", "--statedir", "--stat=/x", "--check", "-h", "--help", "--hel", "--help=yes", "-h=",
		"-v", "--version", "-vh", "-hv", "-hi", "-vix", "-hx", "--bogus", "--bogus=1", "-x", "-xh", "x", "", "-", "-5", "-.5", "-1x", "a b", "-a b", "-x b", "--x y",
	}
	r := rand.New(rand.NewPCG(3, 4))
	var lines []string
	for _, word := range words {
		lines = append(lines, word)
		for range 60 {
			line := []string{word}
			for range 1 + r.IntN(3) {
				line = append(line, pick(r, words...))
			}
			lines = append(lines, strings.Join(line, "\n"))
		}
	}
	answers := askPython[[]string](t, "arguments", lines)
	compared := map[string]int{}
	for i, line := range lines {
		args := strings.Split(line, "\n")
		want, got := answers[i], arrangedFor(t, args)
		if strings.HasPrefix(want[0], "error: ambiguous") && !strings.HasPrefix(got[0], "error: unrecognized") && got[0] != "values" {
			want = got // up to Python 3.11 it was noticed before all else
		}
		if want[0] == "help" && strings.HasSuffix(got[0], "ignored explicit argument 'x'") {
			want = got // from Python 3.12 on help comes before the error
		}
		compared[strings.Fields(want[0])[0]]++
		if !slices.Equal(got, want) {
			t.Errorf("%q:\ngot  %q\nwant %q", args, got, want)
		}
	}
	for _, kind := range []string{"help", "version", "error:", "values"} {
		if compared[kind] < 50 {
			t.Errorf("only %d cases ended in %s", compared[kind], kind)
		}
	}
}

// arrangedFor puts what Arrange makes of the arguments in the words of testdata/oracle.py.
func arrangedFor(t *testing.T, args []string) []string {
	t.Helper()
	fs, _ := flags()
	for _, name := range []string{"max-unproven", "uplink-check", "uplink-grace"} { // which upstream lacks
		fs.Lookup(name).Hidden = true
	}
	arranged, err := Arrange(fs, args)
	var usage UsageError
	if errors.As(err, &usage) {
		return []string{"error: " + strings.ReplaceAll(usage.Problem, `"`, "'")}
	}
	if err != nil {
		t.Fatal(err)
	}
	switch last := arranged[len(arranged)-1]; last {
	case "--help", "--version":
		return []string{last[2:]}
	}
	end := slices.Index(arranged, "--")
	values := []string{"values"}
	for _, option := range arranged[:end] {
		if strings.Contains(option, "=") {
			values = append(values, option)
		} else {
			values = append(values, option+"=True")
		}
	}
	if others := arranged[end+1:]; len(others) > 0 {
		return []string{"error: unrecognized arguments: " + strings.Join(others, " ")}
	}
	return values
}

func TestASwitchHasTheValueOfABoolean(t *testing.T) {
	for value, want := range map[string]bool{"": true, "=yes": true, "=1": true, "=on": true, "=True": true, "=no": false, "=0": false, "=OFF": false} {
		fs, _ := flags()
		args, err := Arrange(fs, []string{"--check" + value})
		if err != nil {
			t.Fatal(err)
		}
		if err := fs.Parse(args); err != nil {
			t.Fatal(err)
		}
		if got := fs.Lookup("check").Value.String(); got != map[bool]string{true: "true", false: "false"}[want] {
			t.Errorf("--check%s is %s", value, got)
		}
	}
}
