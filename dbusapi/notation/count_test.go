// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"errors"
	"testing"
)

func TestParseCount(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "+3": 3, "1_000": 1000} {
		if got, err := ParseCount(text); got != want || err != nil {
			t.Errorf("%q is %d, error %v", text, got, err)
		}
	}
	for text, want := range map[string]error{"": ErrNumber, "two": ErrNumber, "0": ErrCount, "-1": ErrCount, "2147483648": ErrLargeNumber, "99999999999999999999": ErrLargeNumber} {
		if got, err := ParseCount(text); !errors.Is(err, want) {
			t.Errorf("%q is %d, error %v, want %v", text, got, err, want)
		}
	}
}
