// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"errors"
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"PT5M":           5 * time.Minute,
		"PT5M30S":        5*time.Minute + 30*time.Second,
		"P3D":            3 * day,
		"P2W":            14 * day,
		"P1M":            28 * day,
		"P1Y":            364 * day,
		"P1DT3M20S":      day + 3*time.Minute + 20*time.Second,
		"PT1H30M":        90 * time.Minute,
		"P1Y2M3DT4H5M6S": 36_561_906_000 * time.Millisecond,
		"P60D":           60 * day, // longer than 32 bits of milliseconds
		"PT0S":           0,
		"P50Y":           50 * 364 * day,
		"PT٥M":           5 * time.Minute,
		"":               0,
		"5m":             5 * time.Minute,
		"1h 30m 5s":      time.Hour + 30*time.Minute + 5*time.Second,
		" 2d\n1w ":       9 * day,
		"+5m":            5 * time.Minute,
		"1_0m":           10 * time.Minute,
		"1h -5m":         55 * time.Minute,
		"1572480000s":    50 * 364 * day,
		"PT1572480000S":  50 * 364 * day,
		"PT26207999M60S": 50 * 364 * day,
	} {
		if got, err := ParseDuration(text); got != want || err != nil {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]error{
		"P":                      ErrDuration,
		"PT":                     ErrDuration,
		"T5M":                    ErrDuration,
		"pt5m":                   ErrDuration,
		"PT1H1S":                 ErrDuration,
		"P1Y1D":                  ErrDuration,
		"P1YT1S":                 ErrDuration,
		"P1Y2MT1S":               ErrDuration,
		"PT5S30M":                ErrDuration,
		"P1W2D":                  ErrDuration,
		"P2D1W":                  ErrDuration,
		"P1DT":                   ErrDuration,
		"P1DT1D":                 ErrDuration,
		"PT1.5S":                 ErrDuration,
		"PT5M ":                  ErrDuration,
		"P-1D":                   ErrDuration,
		"5":                      ErrDuration,
		"5M":                     ErrDuration,
		"1h30m":                  ErrDuration,
		"m":                      ErrDuration,
		"5 m":                    ErrDuration,
		"five minutes":           ErrDuration,
		"-5m":                    ErrNegative,
		"P51Y":                   ErrLongDuration,
		"PT1572480001S":          ErrLongDuration,
		"PT26207999M61S":         ErrLongDuration,
		"P18200DT1S":             ErrLongDuration,
		"P99999999999999999999D": ErrLongDuration,
		"1572480000s 1s":         ErrLongDuration,
		"99999999999999999999w":  ErrLongDuration,
		"-1572480001s":           ErrLongDuration,
	} {
		if got, err := ParseDuration(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, text := range []string{"PT5M", "P1Y2M3DT4H5M6S", "P2W", "1h 30m", "-5m", "PT1572480001S", "PT٥M", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseDuration(text)
		if err != nil {
			return
		}
		if got < 0 || got%time.Second != 0 {
			t.Errorf("%q: %v", text, got)
		}
		if again, err := ParseDuration(FormatDuration(got)); err != nil || again != got {
			t.Errorf("%q is %v, written as %q, which is %v, error %v", text, got, FormatDuration(got), again, err)
		}
	})
}

func TestDurationsAreWrittenExactly(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "5m": 5 * time.Minute, "1h 30m": 90 * time.Minute, "1s 500ms": 1500 * time.Millisecond, "2d": 48 * time.Hour,
		"106751d 23h 47m 16s": 9223372036 * time.Second,
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestBooleans(t *testing.T) {
	for text, want := range map[string]bool{"yes": true, "On": true, "1": true, "TRUE": true, "no": false, "oFF": false, "0": false, "false": false} {
		if got, err := ParseBool(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if again, err := ParseBool(FormatBool(want)); again != want || err != nil {
			t.Errorf("%v is written %q, which is %v, %v", want, FormatBool(want), again, err)
		}
	}
	for _, text := range []string{"", "y", "2", " yes", "maybe"} {
		if got, err := ParseBool(text); !errors.Is(err, ErrBool) {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
