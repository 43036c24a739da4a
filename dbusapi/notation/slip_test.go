// SPDX-License-Identifier: Apache-2.0

package notation

import "testing"

func TestASlipIsOneChange(t *testing.T) {
	for _, pair := range [][2]string{{"tiemout", "timeout"}, {"timeot", "timeout"}, {"timeoutt", "timeout"}, {"timeoux", "timeout"}, {"x", ""}, {"xtimeout", "timeout"}} {
		if !IsSlip(pair[0], pair[1]) || !IsSlip(pair[1], pair[0]) {
			t.Errorf("%q is no slip of %q", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"timeout", "timeout"}, {"", ""}, {"tiemuot", "timeout"}, {"time", "timeout"}, {"abcd", "badc"}, {"ab", ""}} {
		if IsSlip(pair[0], pair[1]) || IsSlip(pair[1], pair[0]) {
			t.Errorf("%q is a slip of %q", pair[0], pair[1])
		}
	}
}
