// SPDX-License-Identifier: Apache-2.0

// Package humantime writes times as people read them.
package humantime

import (
	"fmt"
	"time"
)

// units are those that a time is told in, largest first.
var units = []struct {
	letter string
	length time.Duration
}{
	{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
}

// Rough writes a positive d in its one or two largest units, which is as
// much as one wants to read of how long something is ago: "45s", "2m 5s", "3d 4h".
func Rough(d time.Duration) string {
	d = d.Round(time.Second)
	for i, u := range units {
		n := d / u.length
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("%d%s", n, u.letter)
		if n < 10 && i+1 < len(units) {
			if rest := (d - n*u.length) / units[i+1].length; rest > 0 {
				text += fmt.Sprintf(" %d%s", rest, units[i+1].letter)
			}
		}
		return text
	}
	return "0s"
}

// Relative writes where t lies as seen from now: "2m 5s ago", "in 3h", "now".
func Relative(t, now time.Time) string {
	d := t.Sub(now)
	switch {
	case d.Abs() < time.Second:
		return "now"
	case d > 0:
		return "in " + Rough(d)
	}
	return Rough(-d) + " ago"
}

// Absolute writes t in local time with its zone, which is what one compares to
// a clock.
func Absolute(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// Machine writes t as programs read it: RFC 3339, UTC, to the microsecond;
// empty for the zero time.
func Machine(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00")
}
