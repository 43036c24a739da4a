// SPDX-License-Identifier: Apache-2.0

package humantime

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Years of 52 weeks and months of 4 are mandos-clients.conf(5)'s.
const (
	month = 4 * week
	year  = 52 * week
)

var (
	rfc3339 = regexp.MustCompile(`^P(?:(\d+)W|(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?)$`)
	short   = regexp.MustCompile(`^(?:(\d+)w)?\s*(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+)s)?\s*(?:(\d+)ms)?$`)

	rfc3339Units = []time.Duration{week, year, month, day, time.Hour, time.Minute, time.Second}
	shortUnits   = []time.Duration{week, day, time.Hour, time.Minute, time.Second, time.Millisecond}
)

// ParseDuration reads a duration of RFC 3339, Appendix A, such as "PT5M" or
// "P1DT12H", or a short one such as "5m", "1h 30m" or "500ms".
func ParseDuration(s string) (time.Duration, error) {
	var total time.Duration
	found, unitsOf := rfc3339.FindStringSubmatch(s), rfc3339Units
	if found == nil {
		found, unitsOf = short.FindStringSubmatch(strings.TrimSpace(s)), shortUnits
	}
	numbers := 0
	for i := range max(len(found)-1, 0) {
		if found[i+1] == "" {
			continue
		}
		numbers++
		n, err := strconv.ParseInt(found[i+1], 10, 64)
		if err != nil || n > int64((math.MaxInt64-total)/unitsOf[i]) {
			return 0, fmt.Errorf("%q is longer than 292 years", s)
		}
		total += time.Duration(n) * unitsOf[i]
	}
	if numbers == 0 || strings.HasSuffix(s, "T") {
		return 0, fmt.Errorf("%q is not a duration; write for example 5m, 1h30m, 2d or PT5M", s)
	}
	return total, nil
}
