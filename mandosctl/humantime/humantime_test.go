// SPDX-License-Identifier: Apache-2.0

package humantime

import (
	"strings"
	"testing"
	"time"
)

func TestDurationsAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5m":        5 * time.Minute,
		"1h30m":     90 * time.Minute,
		"1h 30m":    90 * time.Minute,
		" 2d ":      48 * time.Hour,
		"1w":        7 * 24 * time.Hour,
		"500ms":     500 * time.Millisecond,
		"0s":        0,
		"PT5M":      5 * time.Minute,
		"PT0S":      0,
		"P2W":       14 * 24 * time.Hour,
		"P1DT12H":   36 * time.Hour,
		"P1Y2M3D":   (364 + 56 + 3) * 24 * time.Hour,
		"PT1H30M5S": time.Hour + 30*time.Minute + 5*time.Second,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, error %v, want %v", text, got, err, want)
		}
	}
}

func TestWhatIsNoDurationIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "is not a duration",
		"5":                        "is not a duration",
		"P":                        "is not a duration",
		"PT":                       "is not a duration",
		"P1DT":                     "is not a duration",
		"-5m":                      "is not a duration",
		"5M":                       "is not a duration",
		"1.5h":                     "is not a duration",
		"5m1h":                     "is not a duration",
		"P1W2D":                    "is not a duration",
		"five minutes":             "is not a duration",
		"300y":                     "is not a duration",
		"P300Y":                    "longer than 292 years",
		"P292Y400M":                "longer than 292 years",
		"99999999999999999999s":    "longer than 292 years",
		"9223372036s 9999999999ms": "longer than 292 years",
	} {
		if got, err := ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, error %v, want one with %q", text, got, err, want)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"5m", "PT5M", "P1Y2M3DT4H5M6S", "1w 2d 3h 4m 5s 6ms", "PT", "99999999999999999999s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q is negative: %v", text, d)
		}
		if again, err := ParseDuration(Duration(d)); err != nil || again != d {
			t.Fatalf("%q is %v, written as %q, which is %v, error %v", text, d, Duration(d), again, err)
		}
	})
}

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
	for want, d := range map[string]time.Duration{
		"0s": 0, "5m": 5 * time.Minute, "1h 30m": 90 * time.Minute, "1s 500ms": 1500 * time.Millisecond, "2d": 48 * time.Hour,
	} {
		if got := Duration(d); got != want {
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
