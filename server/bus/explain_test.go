// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
)

func TestRulingsOnTheBus(t *testing.T) {
	b := dbustest.Start(t)
	host1 := unhurried("host1")
	host1.AllowFrom = "interface:eth0"
	serve(t, b.Address, host1)
	api := connect(t, b.Address)
	clients, err := api.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]dbusapi.Verdict{
		"":             dbusapi.Depends,
		"fe80::7%eth0": dbusapi.Passes,
		"fe80::7%eth1": dbusapi.Refuses,
		"192.0.2.7":    dbusapi.Refuses,
	} {
		rulings, err := api.Explain(t.Context(), clients[0], address)
		if err != nil {
			t.Fatal(err)
		}
		var rules []dbusapi.Rule
		for _, r := range rulings {
			rules = append(rules, r.Rule)
			if r.Rule == dbusapi.RuleAllowFrom && (r.Verdict != want || r.Note != "allow_from is interface:eth0" || (want == dbusapi.Refuses) != (r.Remedy == dbusapi.ToAllowFrom)) {
				t.Errorf("from %q: %+v, want %s", address, r, want)
			}
		}
		if !slices.Equal(rules, dbusapi.Rules) {
			t.Errorf("the rules are %v", rules)
		}
	}
	for _, address := range []string{"eth0", "fe80::7", "192.0.2.7:4711"} {
		if _, err := api.Explain(t.Context(), clients[0], address); !errors.Is(err, dbusapi.ErrInvalid) || !strings.Contains(err.Error(), "write for example") {
			t.Errorf("from %q: error %v", address, err)
		}
	}
}
