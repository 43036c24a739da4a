// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxDuration is the longest there is: 50 years.
const MaxDuration = 50 * year * time.Second

const maxSeconds = int64(MaxDuration / time.Second)

// The errors about durations complete a sentence that begins with what was
// written.
var (
	ErrDuration     = errors.New("is not a duration; write for example PT5M (five minutes), PT1H30M, P3D or P2W")
	ErrLongDuration = errors.New("is longer than 50 years; write less")
	ErrNegative     = errors.New("is a negative duration; write for example PT5M (five minutes)")
)

// A unit is a letter that stands for so many seconds.
type unit struct {
	letter  rune
	seconds int64
}

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
	week   = 7 * day
	month  = 4 * week
	year   = 52 * week
)

var (
	weekUnits   = []unit{{'W', week}}
	dateUnits   = []unit{{'Y', year}, {'M', month}, {'D', day}}
	timeUnits   = []unit{{'H', hour}, {'M', minute}, {'S', 1}}
	legacyUnits = []unit{{'w', week}, {'d', day}, {'h', hour}, {'m', minute}, {'s', 1}}
)

// ParseDuration reads a duration of RFC 3339, Appendix A, with years of 52
// weeks and months of 4; or else the older form, like "1h 30m", whose sum must
// not be negative and of which the empty text is zero (mandos-clients.conf(5)).
// Durations are whole seconds.
func ParseDuration(s string) (time.Duration, error) {
	seconds, err := parseRFC3339(strings.Map(asciiDigit, s))
	if errors.Is(err, ErrDuration) {
		seconds, err = parseLegacy(s)
	}
	return time.Duration(seconds) * time.Second, err
}

// parseRFC3339 reads P followed by weeks, or by a date part, a time part
// after T, or both. Each part has units without a gap, and the date part must
// go down to days to be followed by a time part.
func parseRFC3339(s string) (int64, error) {
	s, ok := strings.CutPrefix(s, "P")
	if !ok {
		return 0, ErrDuration
	}
	if seconds, err := sum(s, weekUnits); !errors.Is(err, ErrDuration) {
		return seconds, err
	}
	datePart, timePart, hasTime := strings.Cut(s, "T")
	if !hasTime {
		return sum(datePart, dateUnits)
	}
	seconds, err := sum(timePart, timeUnits)
	if err != nil || datePart == "" {
		return seconds, err
	}
	if !strings.HasSuffix(datePart, "D") {
		return 0, ErrDuration
	}
	days, err := sum(datePart, dateUnits)
	if err != nil {
		return 0, err
	}
	return add(days, seconds)
}

// sum adds up one or more numbers, each with its unit, which follow one another
// as in units.
func sum(s string, units []unit) (total int64, err error) {
	for begun := false; s != "" || !begun; begun = true {
		end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
		if end < 1 {
			return 0, ErrDuration
		}
		for !begun && len(units) > 0 && units[0].letter != rune(s[end]) {
			units = units[1:]
		}
		if len(units) == 0 || units[0].letter != rune(s[end]) {
			return 0, ErrDuration
		}
		term, err := multiply(s[:end], units[0])
		if err != nil {
			return 0, err
		}
		if total, err = add(total, term); err != nil {
			return 0, err
		}
		s, units = s[end+1:], units[1:]
	}
	return total, nil
}

func parseLegacy(s string) (total int64, err error) {
	for _, word := range strings.FieldsFunc(s, IsSpace) {
		term := int64(0)
		err := ErrDuration
		for _, u := range legacyUnits {
			if number, ok := strings.CutSuffix(word, string(u.letter)); ok {
				term, err = multiply(number, u)
			}
		}
		if err != nil {
			return 0, err
		}
		if total, err = add(total, term); err != nil {
			return 0, err
		}
	}
	if total < 0 {
		return 0, ErrNegative
	}
	return total, nil
}

func multiply(number string, u unit) (int64, error) {
	n, err := ParseInt(number)
	switch {
	case errors.Is(err, ErrNumber):
		return 0, ErrDuration
	case err != nil, n > maxSeconds/u.seconds, n < -maxSeconds/u.seconds:
		return 0, ErrLongDuration
	}
	return n * u.seconds, nil
}

func add(a, b int64) (int64, error) {
	if s := a + b; -maxSeconds <= s && s <= maxSeconds {
		return s, nil
	}
	return 0, ErrLongDuration
}

// shortUnits are those that durations are written in, largest first. Only a program
// can have set what is less than a second; that is never read back.
var shortUnits = []struct {
	letter string
	length time.Duration
}{
	{"d", day * time.Second}, {"h", hour * time.Second}, {"m", minute * time.Second}, {"s", time.Second}, {"ms", time.Millisecond},
}

// FormatDuration writes d in the older form, exactly, down to the millisecond:
// "1d 2h", "5m", and "0s" for nothing.
func FormatDuration(d time.Duration) string {
	var parts []string
	for _, u := range shortUnits {
		if n := d / u.length; n > 0 {
			parts = append(parts, fmt.Sprintf("%d%s", n, u.letter))
			d -= n * u.length
		}
	}
	if len(parts) == 0 {
		return "0s"
	}
	return strings.Join(parts, " ")
}
