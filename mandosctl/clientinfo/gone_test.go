// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"strings"
	"testing"
	"time"

	"mandos/dbusapi"
)

var now = time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)

func TestWhatIsAgainstAClientThatIsGone(t *testing.T) {
	hourAgo := now.Add(-time.Hour)
	root := dbusapi.Actor{Kind: dbusapi.Caller, PID: 17}
	for want, g := range map[string]dbusapi.Gone{
		"":                                      {},
		"disabled by root (pid 17), 1h ago":     {Because: dbusapi.ByAdministrator, By: root, Since: hourAgo},
		"removed by root (pid 17), 1h ago":      {Because: dbusapi.RemovedByAdministrator, By: root, Since: hourAgo},
		"disabled by the configuration, 1h ago": {Because: dbusapi.ByConfiguration, By: dbusapi.Actor{Kind: dbusapi.Configuration}, Since: hourAgo},
		"expired for want of a successful check, 1h ago": {Because: dbusapi.TimedOut, By: dbusapi.Actor{Kind: dbusapi.Itself}, Since: hourAgo},
		"by a rule to come": {Because: "by a rule to come"},
	} {
		if got := WhyGone(&g, now); got != want {
			t.Errorf("%+v: %q, want %q", g, got, want)
		}
	}
}

func TestWhatHasBecomeOfTheSection(t *testing.T) {
	if got := SectionOfGone(&dbusapi.Gone{}, now); got != "stands, without effect" {
		t.Errorf("of a removed one: %q", got)
	}
	if got := SectionOfGone(&dbusapi.Gone{GoneSince: now.Add(-time.Hour)}, now); got != "gone since 1h ago" {
		t.Errorf("of one that is gone: %q", got)
	}
}

func TestThoseThatAreGoneAreChosenByNameAndPattern(t *testing.T) {
	gone := []dbusapi.Gone{{Name: "a"}, {Name: "b*", Because: dbusapi.RemovedByAdministrator}, {Name: "b1"}}
	for _, c := range []struct{ names, want, unknown string }{
		{"a", "a", ""},
		{"b*", "b*", ""}, // which is a name
		{"?1", "b1", ""},
		{"* a", "a b* b1", ""},
		{"x a y*", "a", `"x" "y*"`},
	} {
		chosen, unknown := ChooseGone(gone, strings.Fields(c.names))
		var names []string
		for _, g := range chosen {
			names = append(names, g.Name)
		}
		if got := strings.Join(names, " "); got != c.want || strings.Join(unknown, " ") != c.unknown {
			t.Errorf("%s: %s, unknown %v", c.names, got, unknown)
		}
	}
	if n := CountLowered(gone); n != 1 {
		t.Errorf("%d are lowered", n)
	}
}
