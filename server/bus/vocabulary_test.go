// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"slices"
	"testing"

	"mandos/dbusapi"
	"mandos/server/client"
)

// The contract cannot import the registry, nor the registry the contract, so that
// their common words are kept the same here.
func TestContractHasTheRegistrysWords(t *testing.T) {
	const ofTheWatchAlone = 3 // ServerUp, ServerDown, BusLost
	for what, c := range map[string]struct{ contract, registry []string }{
		"kinds of events": {texts(dbusapi.EventKinds[:len(dbusapi.EventKinds)-ofTheWatchAlone]), texts(client.EventKinds)},
		"reasons":         {texts(dbusapi.Reasons), texts(client.Reasons)},
		"refusals":        {texts(dbusapi.Refusals), texts(client.Refusals)},
		"actors":          {texts(dbusapi.ActorKinds), texts(client.ActorKinds)},
		"rules":           {texts(dbusapi.Rules), texts(client.Rules)},
		"verdicts":        {texts(dbusapi.Verdicts), texts(client.Verdicts)},
		"remedies":        {texts(dbusapi.Remedies), texts(client.Remedies)},
		"kinds of keys":   {texts(dbusapi.KeyKinds), texts(client.KeyKinds)},
	} {
		if !slices.Equal(c.contract, c.registry) {
			t.Errorf("%s: the contract has %q, the registry %q", what, c.contract, c.registry)
		}
	}
	for _, refusal := range client.Refusals {
		if dbusapi.RejectedTexts[dbusapi.Refusal(refusal)] == "" {
			t.Errorf("the signal Rejected says nothing of %s", refusal)
		}
	}
}

func texts[T ~string](codes []T) (all []string) {
	for _, code := range codes {
		all = append(all, string(code))
	}
	return all
}
