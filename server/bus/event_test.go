// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mandos/dbusapi"
	"mandos/server/client"
)

func TestWhatHappenedIsToldInFull(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 5, 6, 7000, time.UTC)
	foo := client.View{Settings: client.Settings{Name: "foo", Timeout: time.Hour, Host: "foo.example.org"}}
	admin := client.Actor{Kind: client.Caller, BusName: ":1.2", UID: 1000, PID: 17}
	somewhere := netip.MustParseAddrPort("[2001:db8::7]:4711")
	key := client.Identity{Kind: client.RawPublicKey, Hex: "ABCD"}
	for sentence, c := range map[string]struct {
		event client.Event
		want  dbusapi.Event
	}{
		"a disabling says by whom and why": {
			client.Event{Kind: client.Disabled, Client: foo, By: admin, Reason: client.ByAdministrator},
			dbusapi.Event{Kind: dbusapi.Disabled, Client: "foo", By: dbusapi.Actor{Kind: dbusapi.Caller, BusName: ":1.2", UID: 1000, PID: 17}, Reason: dbusapi.ByAdministrator},
		},
		"an expiry is the server's doing": {
			client.Event{Kind: client.Disabled, Client: foo, By: client.ByItself, Reason: client.TimedOut},
			dbusapi.Event{Kind: dbusapi.Disabled, Client: "foo", By: dbusapi.Actor{Kind: dbusapi.Itself}, Reason: dbusapi.TimedOut},
		},
		"a change has the new values, but no secret": {
			client.Event{Kind: client.Changed, Client: foo, By: client.FromConfiguration, Changes: []client.Change{
				{Setting: "timeout", Value: "1h"}, {Setting: "host", Value: "foo.example.org"}, {Setting: "secret"}}},
			dbusapi.Event{Kind: dbusapi.Changed, Client: "foo", By: dbusapi.Actor{Kind: dbusapi.Configuration},
				Changes: map[string]string{"timeout": "1h", "host": "foo.example.org", "secret": ""}},
		},
		"a hand-out says what is odd about it": {
			client.Event{Kind: client.SecretSent, Client: foo, Identity: key, Address: somewhere, Note: "it said no good-bye"},
			dbusapi.Event{Kind: dbusapi.SecretSent, Client: "foo", Key: "ABCD", KeyKind: "raw-public-key",
				Address: "[2001:db8::7]:4711", Note: "it said no good-bye"},
		},
		"a refusal says whose, where and why": {
			client.Event{Kind: client.Rejected, Client: foo, Identity: key, Address: somewhere, Refusal: client.IsDisabled},
			dbusapi.Event{Kind: dbusapi.Rejected, Client: "foo", Key: "ABCD", KeyKind: "raw-public-key",
				Address: "[2001:db8::7]:4711", Refusal: dbusapi.IsDisabled},
		},
		"a check that was killed says by which signal": {
			client.Event{Kind: client.CheckerCompleted, Client: foo, Command: "sleep 9", Check: client.CheckResult{Status: -1, Signal: 9, Output: "oops"}},
			dbusapi.Event{Kind: dbusapi.CheckerCompleted, Client: "foo", Command: "sleep 9", Status: -1, Signal: 9, Output: "oops"},
		},
		"a state that is not saved concerns no client": {
			client.Event{Kind: client.StateNotSaved, Err: errors.New("disk\x00full\xff")},
			dbusapi.Event{Kind: dbusapi.StateNotSaved, Error: "disk\ufffdfull\ufffd"},
		},
		"what was left out is counted": {
			client.Event{Kind: client.EventsDropped, Dropped: 12},
			dbusapi.Event{Kind: dbusapi.EventsDropped, Dropped: 12},
		},
		"of many clients": {
			client.Event{Kind: client.MassFailureOver, Failing: 1, Enabled: 2, Expired: 3},
			dbusapi.Event{Kind: dbusapi.MassFailureOver, Failing: 1, Enabled: 2, Expired: 3},
		},
	} {
		c.event.Time, c.want.Time = now, now
		got, err := dbusapi.DecodeEvent(encoded(c.event))
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
		}
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreUnexported(dbusapi.Client{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", sentence, diff)
		}
	}
}
