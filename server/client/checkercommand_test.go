// SPDX-License-Identifier: Apache-2.0

package client

import (
	"strings"
	"testing"
	"time"
)

func TestCheckerCommand(t *testing.T) {
	v := View{
		Settings: Settings{
			Name: "host1", Host: "host1.example.org", KeyID: keyA, Timeout: 25 * time.Hour, Interval: 2 * time.Minute,
			ApprovalDelay: 500 * time.Millisecond, ApprovalDuration: 50 * time.Hour, Enabled: true,
		},
		State:      State{Created: time.Date(2026, 11, 23, 3, 24, 34, 317874000, time.UTC)},
		ObjectPath: "/clients/host1",
	}
	for sentence, c := range map[string]struct{ command, host, want, err string }{
		"the host is inserted":                    {command: "fping -q -- %(host)s", want: "fping -q -- host1.example.org"},
		"a blank is quoted":                       {command: "ping %(host)s", host: "a b", want: "ping 'a b'"},
		"a quote is quoted":                       {command: "ping %(host)s", host: "it's", want: `ping 'it'"'"'s'`},
		"an empty value is a pair of quotes":      {command: "ping %(fingerprint)s", want: "ping ''"},
		"a command in the host stays a host":      {command: "ping %(host)s", host: "$(reboot)", want: "ping '$(reboot)'"},
		"two percent signs are one":               {command: "date +%%s", want: "date +%s"},
		"a duration has days":                     {command: "%(timeout)s %(approval_duration)s", want: "'1 day, 1:00:00' '2 days, 2:00:00'"},
		"a duration has microseconds":             {command: "%(approval_delay)s %(interval)s", want: "0:00:00.500000 0:02:00"},
		"a time is UTC":                           {command: "%(created)s", want: "'2026-11-23 03:24:34.317874'"},
		"a time that never was is None":           {command: "%(last_checked_ok)s", want: "None"},
		"enabled is True":                         {command: "%(enabled)s %(name)s %(dbus_object_path)s", want: "True host1 /clients/host1"},
		"an unknown attribute is an error":        {command: "ping %(hots)s", err: `unknown attribute in "%(hots)s"`},
		"a reference without its parenthesis":     {command: "ping %host)s", err: `must start %(attribute)s or be doubled (in clients.conf: %%(attribute)s, or %%%% for a plain %): "%host"...`},
		"a name of thirty letters is shown":       {command: "%(" + strings.Repeat("x", 30) + ")s", err: `unknown attribute in "%(` + strings.Repeat("x", 30) + `)s"`},
		"a longer one is not":                     {command: "%(" + strings.Repeat("x", 31) + ")s", err: `unknown attribute in "%(xxx"...; known are`},
		"nor is what is no name":                  {command: "%(hQE+/3)s", err: `unknown attribute in "%(hQE"...; known are`},
		"nor is a second line":                    {command: "%x\nsecret", err: `a plain %): "%x"...`},
		"what is short is shown":                  {command: "%(x)d", err: `a plain %): "%(x)d"`},
		"the secret is no attribute":              {command: "%(secret)s", err: "unknown attribute"},
		"a lone percent sign is an error":         {command: "5% of", err: "must start %(attribute)s or be doubled"},
		"a percent sign at the end is an error":   {command: "100%", err: "must start %(attribute)s or be doubled"},
		"another format than a string's is error": {command: "%(timeout)d", err: "must start %(attribute)s or be doubled"},
	} {
		t.Run(sentence, func(t *testing.T) {
			v := v
			if c.host != "" {
				v.Host = c.host
			}
			got, err := expandChecker(c.command, v)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%q, error %v, want %q", got, err, c.err)
				}
				if s := host("host1", keyA); len(s.Faults()) != 0 {
					t.Errorf("the host itself has faults: %v", s.Faults())
				} else if s.Checker = c.command; len(s.Faults()) != 1 {
					t.Errorf("as a setting it has the faults %v", s.Faults())
				}
				return
			}
			if err != nil || got != c.want {
				t.Fatalf("%q, error %v, want %q", got, err, c.want)
			}
		})
	}
}

func FuzzCheckerCommand(f *testing.F) {
	f.Add("fping -q -- %(host)s")
	f.Add("%%%(name)s%")
	f.Fuzz(func(t *testing.T, command string) {
		if out, err := expandChecker(command, View{}); err == nil && !strings.Contains(command, "%") && out != command {
			t.Errorf("%q became %q", command, out)
		}
	})
}

func TestADisabledClientIsShownAsPythonDoes(t *testing.T) {
	if got, err := expandChecker("%(enabled)s", View{}); err != nil || got != "False" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestElementsOfObjectPaths holds what D-Bus allows in a path, to the character.
func TestElementsOfObjectPaths(t *testing.T) {
	for name, want := range map[string]string{
		"azAZ09_": "/clients/azAZ09_", "a.b-c": "/clients/a_b_c", "`{@[": "/clients/_60_7b_40_5b", "a:b;": "/clients/a_3ab_3b", "a/b": "/clients/a/b", "ä": "/clients/_c3_a4",
	} {
		if got := objectPath(name); got != want {
			t.Errorf("%q has the path %s, want %s", name, got, want)
		}
	}
}

func TestNamesInErrorsAreBounded(t *testing.T) {
	for name, want := range map[string]string{
		strings.Repeat("n", 60): strings.Repeat("n", 60), strings.Repeat("n", 61): strings.Repeat("n", 60) + "...", strings.Repeat("n", 59) + "ä": strings.Repeat("n", 59) + "...",
	} {
		if got := beginning(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
}
