// SPDX-License-Identifier: Apache-2.0

package dbusapi

import "testing"

func TestStatusSaysWhereItListens(t *testing.T) {
	for want, status := range map[string]Status{
		"[::]:4711":                          {Address: "::"},
		"[::]:4711 on eth0, eth1":            {Address: "::", Interface: "eth0, eth1"},
		"192.0.2.1:4711, [2001:db8::1]:4711": {Address: "192.0.2.1, 2001:db8::1"},
		"[fe80::1%eth0]:4711 on eth0":        {Address: "fe80::1%eth0", Interface: "eth0"},
		"nowhere":                            {ListenProblem: "interface eth0 is gone"},
	} {
		status.Port = 4711
		if got := status.Listens(); got != want {
			t.Errorf("%+v listens on %s, not %s", status, got, want)
		}
	}
}
