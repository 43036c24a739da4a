// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"testing"

	"mandos/server/client"
)

func TestWhatACheckSaysOfTheUplink(t *testing.T) {
	crashed := client.CheckResult{Status: client.CheckerCrashed, Signal: 9}
	for sentence, c := range map[string]struct {
		result client.CheckResult
		err    error
		late   bool
		want   uplinkVerdict
	}{
		"it succeeds":                    {want: uplinkWorks},
		"it fails":                       {result: client.CheckResult{Status: 1}, want: uplinkFails},
		"it was killed as it took long":  {result: crashed, late: true, want: uplinkFails},
		"it was killed by somebody":      {result: crashed, want: uplinkUnknown},
		"its program is missing":         {result: client.CheckResult{Status: 127}, want: uplinkUnknown},
		"its program is no program":      {result: client.CheckResult{Status: 126}, want: uplinkUnknown},
		"the system has no more process": {err: errors.New("resource temporarily unavailable"), want: uplinkUnknown},
	} {
		if got := judgeUplink(c.result, c.err, c.late); got != c.want {
			t.Errorf("%s: it %s, want %s", sentence, got, c.want)
		}
	}
}
