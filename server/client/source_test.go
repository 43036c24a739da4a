// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/netip"
	"testing"
)

func TestWhatCountsAsOneSource(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":           "192.0.2.1/32",
		"::ffff:192.0.2.1":    "192.0.2.1/32",
		"fe80::1%eth0":        "fe80::1/128",
		"::1":                 "::1/128",
		"2001:db8:1:2::3":     "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::": "2001:db8:1:2::/64",
		"fd00:1:2:3::4":       "fd00:1:2:3::/64",
	} {
		if got := SourceOf(netip.MustParseAddr(address)); got != netip.MustParsePrefix(want) {
			t.Errorf("%s counts as %v, want %s", address, got, want)
		}
	}
}
