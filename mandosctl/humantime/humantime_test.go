// SPDX-License-Identifier: Apache-2.0

package humantime

import (
	"testing"
	"time"
)

func TestTimesAreWrittenAsPeopleReadThem(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 5, 6, 7000, time.UTC)
	for want, d := range map[string]time.Duration{
		"now":       300 * time.Millisecond,
		"45s ago":   -45 * time.Second,
		"2m 5s ago": -125 * time.Second,
		"10m ago":   -10*time.Minute - 20*time.Second,
		"1h ago":    -time.Hour,
		"3d 4h ago": -76 * time.Hour,
		"in 1m":     59*time.Second + 900*time.Millisecond,
		"in 23h":    23*time.Hour + 5*time.Minute,
		"100d ago":  -2400 * time.Hour,
	} {
		if got := Relative(now.Add(d), now); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	if got := Machine(now.In(time.FixedZone("", 3600))); got != "2026-11-23T04:05:06.000007Z" {
		t.Errorf("for programs it is %q", got)
	}
	if got := Machine(time.Time{}); got != "" {
		t.Errorf("never is %q", got)
	}
}
