// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"strings"
	"testing"
	"time"

	"mandos/dbusapi"
)

func named(names ...string) (clients []dbusapi.Client) {
	for _, name := range names {
		clients = append(clients, dbusapi.Client{Name: name, Enabled: true})
	}
	return clients
}

func names(clients []dbusapi.Client) string {
	var all []string
	for _, c := range clients {
		all = append(all, c.Name)
	}
	return strings.Join(all, " ")
}

func TestWhoIsChosen(t *testing.T) {
	all := named("a/b", "host1", "host10", "host[1]", "web")
	for sentence, c := range map[string]struct {
		args []string
		want string
		err  string
	}{
		"a name is that client":                      {[]string{"host1"}, "host1", ""},
		"a pattern is all that it fits":              {[]string{"host?"}, "host1", ""},
		"a star fits a slash as well":                {[]string{"a*"}, "a/b", ""},
		"a client whose very name is a pattern wins": {[]string{"host[1]"}, "host[1]", ""},
		"each is chosen once, in the order of names": {[]string{"web", "host*", "host1"}, "web host1 host10 host[1]", ""},
		"what fits nobody is told, all of it":        {[]string{"x", "web", "y*"}, "", `no client "x", "y*";`},
		"a broken pattern is told":                   {[]string{"[x"}, "", `"[x" is not a shell pattern; write \[`},
	} {
		got, err := Choose(all, c.args)
		if names(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, error %v", sentence, names(got), err)
		}
	}
}

func TestNumbersInNamesCount(t *testing.T) {
	clients := named("host10", "b", "host9", "host", "host009", "a2b10", "a2b9", "Host1")
	Sort(clients, "name", time.Now())
	if got, want := names(clients), "Host1 a2b9 a2b10 b host host009 host9 host10"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestEveryOrderPutsFirstWhatIsMostUrgent(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	clients := func() []dbusapi.Client {
		return []dbusapi.Client{
			{Name: "disabled", DisabledBecause: dbusapi.ByAdministrator, LastCheckedOK: now.Add(-time.Hour)},
			{Name: "well", Enabled: true, Expires: now.Add(5 * time.Minute), LastCheckedOK: now, Timeout: 5 * time.Minute, Interval: time.Minute},
			{Name: "waits", Enabled: true, ApprovalPending: true, Expires: now.Add(time.Hour), LastCheckedOK: now.Add(-time.Minute)},
		}
	}
	for order, want := range map[string]string{
		"name":    "disabled waits well",
		"state":   "waits well disabled",
		"expires": "well waits disabled",
		"checked": "disabled waits well",
	} {
		all := clients()
		Sort(all, order, now)
		if got := names(all); got != want {
			t.Errorf("by %s: %s, want %s", order, got, want)
		}
	}
}

func FuzzFits(f *testing.F) {
	f.Add("web*", "web-1")
	f.Add("[x", "[x")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		Fits(pattern, name)
		if !Fits(name, name) {
			t.Errorf("%q does not fit itself", name)
		}
	})
}
