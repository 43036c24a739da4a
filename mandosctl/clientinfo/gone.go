// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"fmt"
	"slices"
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/humantime"
)

// WhyGone says what is against a client, by whom and, as seen from now if that is given,
// since when. It is empty if nothing is: it is let in again when its section comes back.
func WhyGone(g *dbusapi.Gone, now time.Time) string {
	if g.Because == "" {
		return ""
	}
	why := reasonOf(g.Because).was
	if g.By.Kind == dbusapi.Caller {
		why += by(g.By)
	}
	if !g.Since.IsZero() && !now.IsZero() {
		why += ", " + humantime.Relative(g.Since, now)
	}
	return why
}

// SectionOfGone says what has become of the client's section.
func SectionOfGone(g *dbusapi.Gone, now time.Time) string {
	if g.GoneSince.IsZero() {
		return "stands, without effect"
	}
	return "gone since " + humantime.Relative(g.GoneSince, now)
}

// CountLowered counts those that would get nothing if they came back.
func CountLowered(gone []dbusapi.Gone) (lowered int) {
	for i := range gone {
		if gone[i].Because != "" {
			lowered++
		}
	}
	return lowered
}

// GoneNamed is the one of that very name.
func GoneNamed(gone []dbusapi.Gone, name string) (g *dbusapi.Gone, ok bool) {
	i := slices.IndexFunc(gone, func(g dbusapi.Gone) bool { return g.Name == name })
	if i < 0 {
		return nil, false
	}
	return &gone[i], true
}

// ChooseGone picks those of the names and shell patterns, each once, and tells which
// fit none.
func ChooseGone(gone []dbusapi.Gone, names []string) (chosen []dbusapi.Gone, unknown []string) {
	taken := make(map[string]bool)
	for _, name := range names {
		found := false
		exact, ok := GoneNamed(gone, name)
		for i := range gone {
			g := &gone[i]
			if ok && g != exact || !ok && !Fits(name, g.Name) {
				continue
			}
			found = true
			if !taken[g.Name] {
				taken[g.Name] = true
				chosen = append(chosen, *g)
			}
		}
		if !found {
			unknown = append(unknown, fmt.Sprintf("%q", name))
		}
	}
	return chosen, unknown
}
