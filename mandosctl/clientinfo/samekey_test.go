// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mandos/dbusapi"
)

func TestSameKeys(t *testing.T) {
	for sentence, c := range map[string]struct {
		clients []dbusapi.Client
		gone    []dbusapi.Gone
		want    [][]string
	}{
		"each has its own": {clients: []dbusapi.Client{{Name: "a", KeyID: "A"}, {Name: "b", KeyID: "B"}}},
		"some have one key ID": {clients: []dbusapi.Client{{Name: "a", KeyID: "A"}, {Name: "b", KeyID: "B"}, {Name: "c", KeyID: "A"}, {Name: "d", KeyID: "A"}},
			want: [][]string{{"a", "c", "d"}}},
		"a fingerprint beside a key ID is no key": {clients: []dbusapi.Client{{Name: "a", KeyID: "A", Fingerprint: "F"}, {Name: "b", KeyID: "B", Fingerprint: "F"}, {Name: "c", Fingerprint: "F"}}},
		"a fingerprint alone is":                  {clients: []dbusapi.Client{{Name: "a", Fingerprint: "F"}, {Name: "b", Fingerprint: "F"}}, want: [][]string{{"a", "b"}}},
		"without any key nobody shares it":        {clients: []dbusapi.Client{{Name: "a"}, {Name: "b"}}},
		"one was removed and has its section": {clients: []dbusapi.Client{{Name: "a", KeyID: "A"}}, gone: []dbusapi.Gone{{Name: "b", KeyID: "A"}},
			want: [][]string{{"a", "b"}}},
		"one is gone with its section": {clients: []dbusapi.Client{{Name: "a", KeyID: "A"}}, gone: []dbusapi.Gone{{Name: "b", KeyID: "A", GoneSince: time.Unix(1, 0)}}},
	} {
		if diff := cmp.Diff(c.want, SameKeys(c.clients, c.gone)); diff != "" {
			t.Errorf("%s: wanted (-) and got (+):\n%s", sentence, diff)
		}
	}
}
