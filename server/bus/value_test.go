// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"math"
	"testing"
	"time"
)

func FuzzDuration(f *testing.F) {
	f.Add(int64(300000), uint64(300000), 2.5)
	f.Add(int64(-1), uint64(math.MaxUint64), math.Inf(1))
	f.Add(int64(math.MaxInt64), uint64(math.MaxInt64/1_000_000), math.NaN())
	f.Fuzz(func(t *testing.T, i int64, u uint64, d float64) {
		for _, value := range []any{i, int32(i), int16(i), u, uint32(u), uint16(u), byte(u), d} {
			got, err := duration("Timeout", value)
			if err == nil && (got < 0 || got%time.Millisecond != 0) {
				t.Errorf("%T %v is taken for %v", value, value, got)
			}
		}
		if got, err := duration("Timeout", u); err == nil && uint64(got/time.Millisecond) != u {
			t.Errorf("%d ms are taken for %v", u, got)
		}
		if got, err := duration("Timeout", i); err == nil && int64(got/time.Millisecond) != i {
			t.Errorf("%d ms are taken for %v", i, got)
		}
	})
}
