// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mandos/dbusapi"
	"mandos/server/client"
)

func TestWhatHappenedIsToldInFull(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 5, 6, 7000, time.UTC)
	foo := client.View{Settings: client.Settings{Name: "foo", Timeout: time.Hour, Host: "foo.example.org"}}
	admin := client.Actor{Caller: ":1.2", UID: 1000, PID: 17}
	somewhere := netip.MustParseAddrPort("[2001:db8::7]:4711")
	key := client.Identity{Kind: client.RawPublicKey, Hex: "ABCD"}
	for sentence, c := range map[string]struct {
		event client.Event
		want  dbusapi.Happening
	}{
		"a disabling says by whom and why": {
			client.Event{Kind: client.Disabled, Client: foo, By: admin, Reason: client.ByAdministrator},
			dbusapi.Happening{Kind: dbusapi.WasDisabled, Client: "foo", By: "uid 1000, pid 17", Reason: "by an administrator"},
		},
		"an expiry is the server's doing": {
			client.Event{Kind: client.Disabled, Client: foo, Reason: client.TimedOut},
			dbusapi.Happening{Kind: dbusapi.WasDisabled, Client: "foo", By: "server", Reason: string(client.TimedOut)},
		},
		"a change has the new values, but no secret and no consequences": {
			client.Event{Kind: client.Changed, Client: foo, By: client.FromConfiguration, Properties: []client.Property{
				client.PropTimeout, client.PropHost, client.PropSecret, client.PropExpires}},
			dbusapi.Happening{Kind: dbusapi.WasChanged, Client: "foo", By: "configuration",
				Values: map[string]string{"Timeout": "3600000", "Host": "foo.example.org", "Secret": ""}},
		},
		"a hand-out says what is odd about it": {
			client.Event{Kind: client.SecretSent, Client: foo, Identity: key, Address: somewhere, Note: "it said no good-bye"},
			dbusapi.Happening{Kind: dbusapi.SecretSent, Client: "foo", Key: "ABCD", KeyKind: "raw public key",
				Address: "[2001:db8::7]:4711", Note: "it said no good-bye"},
		},
		"a refusal says whose, where and why": {
			client.Event{Kind: client.Rejected, Client: foo, Identity: key, Address: somewhere, Reason: client.IsDisabled},
			dbusapi.Happening{Kind: dbusapi.WasRejected, Client: "foo", Key: "ABCD", KeyKind: "raw public key",
				Address: "[2001:db8::7]:4711", Reason: "Disabled"},
		},
		"a check that was killed says by which signal": {
			client.Event{Kind: client.CheckerCompleted, Client: foo, Command: "sleep 9", Check: client.CheckResult{Status: -1, Signal: 9}},
			dbusapi.Happening{Kind: dbusapi.CheckCompleted, Client: "foo", Command: "sleep 9", Status: -1, Signal: 9},
		},
		"a state that is not saved concerns no client": {
			client.Event{Kind: client.StateNotSaved, Err: errors.New("disk\x00full\xff")},
			dbusapi.Happening{Kind: dbusapi.StateNotSaved, Error: "disk\ufffdfull\ufffd"},
		},
		"what was left out is counted": {
			client.Event{Kind: client.EventsDropped, Dropped: 12},
			dbusapi.Happening{Kind: dbusapi.HappeningsLeftUntold, Dropped: 12},
		},
	} {
		c.event.Time, c.want.Time = now, now
		h := happening(c.event)
		got, err := dbusapi.DecodeHappening(h.Encode())
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", sentence, diff)
		}
	}
}
