// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"PT5M":            5 * time.Minute,
		"PT5M30S":         5*time.Minute + 30*time.Second,
		"P3D":             3 * day,
		"P2W":             14 * day,
		"P1M":             28 * day,
		"P1Y":             364 * day,
		"P1DT3M20S":       day + 3*time.Minute + 20*time.Second,
		"PT1H30M":         90 * time.Minute,
		"P1Y2M3DT4H5M6S":  36_561_906_000 * time.Millisecond,
		"P60D":            60 * day, // longer than 32 bits of milliseconds
		"PT0S":            0,
		"P290Y":           290 * 364 * day,
		"PT٥M":            5 * time.Minute,
		"":                0,
		"5m":              5 * time.Minute,
		"1h 30m 5s":       time.Hour + 30*time.Minute + 5*time.Second,
		" 2d\n1w ":        9 * day,
		"+5m":             5 * time.Minute,
		"1_0m":            10 * time.Minute,
		"1h -5m":          55 * time.Minute,
		"9223372036s":     9223372036 * time.Second,
		"PT9223372036S":   9223372036 * time.Second,
		"PT153722867M16S": 9223372036 * time.Second,
	} {
		if got, err := parseDuration(text); got != want || err != nil {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]error{
		"P":                      errDuration,
		"PT":                     errDuration,
		"T5M":                    errDuration,
		"pt5m":                   errDuration,
		"PT1H1S":                 errDuration,
		"P1Y1D":                  errDuration,
		"P1YT1S":                 errDuration,
		"P1Y2MT1S":               errDuration,
		"PT5S30M":                errDuration,
		"P1W2D":                  errDuration,
		"P2D1W":                  errDuration,
		"P1DT":                   errDuration,
		"P1DT1D":                 errDuration,
		"PT1.5S":                 errDuration,
		"PT5M ":                  errDuration,
		"P-1D":                   errDuration,
		"5":                      errDuration,
		"5M":                     errDuration,
		"1h30m":                  errDuration,
		"m":                      errDuration,
		"5 m":                    errDuration,
		"five minutes":           errDuration,
		"-5m":                    errNegative,
		"P294Y":                  errLongDuration,
		"PT9223372037S":          errLongDuration,
		"PT153722867M17S":        errLongDuration,
		"P106751DT23H47M17S":     errLongDuration,
		"P99999999999999999999D": errLongDuration,
		"9223372036s 1s":         errLongDuration,
		"99999999999999999999w":  errLongDuration,
		"-9223372037s":           errLongDuration,
	} {
		if got, err := parseDuration(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, text := range []string{"PT5M", "P1Y2M3DT4H5M6S", "P2W", "1h 30m", "-5m", "PT9223372037S", "PT٥M", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseDuration(text)
		if err == nil && (got < 0 || got%time.Second != 0) {
			t.Errorf("%q: %v", text, got)
		}
	})
}
