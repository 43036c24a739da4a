// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"testing"

	"mandos/dbusapi"
	"mandos/mandosctl/console"
)

func TestWhatHappenedInWords(t *testing.T) {
	admin := dbusapi.Actor{Kind: dbusapi.Caller, UID: 0, PID: 17}
	files, itself := dbusapi.Actor{Kind: dbusapi.Configuration}, dbusapi.Actor{Kind: dbusapi.Itself}
	for _, c := range []struct {
		e    dbusapi.Event
		want string
		tone console.Tone
	}{
		{dbusapi.Event{Kind: dbusapi.Added, By: files}, "added by configuration", console.Plain},
		{dbusapi.Event{Kind: dbusapi.Enabled, By: admin}, "enabled by root (pid 17)", console.Good},
		{dbusapi.Event{Kind: dbusapi.Enabled, By: dbusapi.Actor{Kind: dbusapi.Caller, UID: 4_000_000_000, PID: 17}}, "enabled by 4000000000 (pid 17)", console.Good},
		{dbusapi.Event{Kind: dbusapi.Disabled, By: admin, Reason: dbusapi.ByAdministrator}, "disabled by root (pid 17)", console.Plain},
		{dbusapi.Event{Kind: dbusapi.Disabled, By: itself, Reason: dbusapi.TimedOut}, "disabled: no successful check within its timeout", console.Bad},
		{dbusapi.Event{Kind: dbusapi.Removed, By: files, Reason: dbusapi.ByConfiguration}, "removed by configuration", console.Plain},
		{dbusapi.Event{Kind: dbusapi.Changed, By: admin, Changes: map[string]string{
			"approval_delay": "1m 30s", "host": "a.example.org", "key_id": "AB", "approved_by_default": "yes", "secret": ""}},
			"changed by root (pid 17): approval_delay=1m 30s, approved_by_default=yes, host=a.example.org, key_id=AB, secret", console.Plain},
		{dbusapi.Event{Kind: dbusapi.Vouched, By: admin}, "taken as checked OK by root (pid 17)", console.Plain},
		{dbusapi.Event{Kind: dbusapi.CheckerStarted, Command: "fping -q -- a"}, "check started: fping -q -- a", console.Routine},
		{dbusapi.Event{Kind: dbusapi.CheckerCompleted}, "check succeeded", console.Routine},
		{dbusapi.Event{Kind: dbusapi.CheckerCompleted, Status: 2}, "check failed with exit status 2", console.Warning},
		{dbusapi.Event{Kind: dbusapi.CheckerCompleted, Status: -1, Signal: 9}, "check was killed by signal 9 (killed)", console.Warning},
		{dbusapi.Event{Kind: dbusapi.CheckerStopped, By: admin}, "check stopped by root (pid 17)", console.Plain},
		{dbusapi.Event{Kind: dbusapi.CheckerNotStarted, Error: "no processes left"}, "checker could not be started: no processes left", console.Bad},
		{dbusapi.Event{Kind: dbusapi.ApprovalNeeded, Address: "[::1]:4711"}, "waits for approval at [::1]:4711", console.Warning},
		{dbusapi.Event{Kind: dbusapi.ApprovalOver}, "nobody waits for approval any more", console.Routine},
		{dbusapi.Event{Kind: dbusapi.Approved, By: admin}, "approved by root (pid 17)", console.Plain},
		{dbusapi.Event{Kind: dbusapi.SecretSent, Address: "[::1]:4711"}, "received its secret at [::1]:4711", console.Good},
		{dbusapi.Event{Kind: dbusapi.SecretSent, Address: "[::1]:4711", Note: "it said no good-bye"}, "received its secret at [::1]:4711; it said no good-bye", console.Good},
		{dbusapi.Event{Kind: dbusapi.SecretNotReceived, Address: "[::1]:4711", Error: "gone"}, "did not receive its whole secret at [::1]:4711: gone", console.Warning},
		{dbusapi.Event{Kind: dbusapi.Rejected, Address: "[::1]:4711", Refusal: dbusapi.IsDisabled, Times: 3}, "was refused its secret at [::1]:4711: it is disabled (3 times)", console.Warning},
		{dbusapi.Event{Kind: dbusapi.NotFound, Address: "[::1]:4711", Key: "AB"}, "somebody at [::1]:4711 came with a key that no client has: AB", console.Warning},
		{dbusapi.Event{Kind: dbusapi.NotFound, Key: "AB", Note: "but foo has"}, "somebody came with a key that no client has: AB; but foo has", console.Warning},
		{dbusapi.Event{Kind: dbusapi.StateNotSaved, Error: "no space"}, "the server cannot save its state: no space", console.Bad},
		{dbusapi.Event{Kind: dbusapi.StateSavedAgain}, "the server saves its state again", console.Good},
		{dbusapi.Event{Kind: dbusapi.UplinkFails, Status: 1, Output: "unreachable"}, "the server's own network does not work: the uplink check failed with exit status 1: unreachable", console.Bad},
		{dbusapi.Event{Kind: dbusapi.UplinkFails, Status: -1, Signal: 9}, "the server's own network does not work: the uplink check was killed by signal 9 (killed)", console.Bad},
		{dbusapi.Event{Kind: dbusapi.UplinkWorks}, "the server's own network works again", console.Good},
		{dbusapi.Event{Kind: dbusapi.BorrowsTime, Client: "foo"}, "would have expired, but is on borrowed time", console.Warning},
		{dbusapi.Event{Kind: dbusapi.MassFailure, Failing: 3, Enabled: 5}, "3 of 5 clients have begun to fail their checks within an interval: look whether the server's own network works", console.Bad},
		{dbusapi.Event{Kind: dbusapi.MassFailureOver, Failing: 1, Enabled: 4, Expired: 1}, "no more than half of the clients fail their checks any more: 1 of 4; 1 have expired meanwhile", console.Warning},
		{dbusapi.Event{Kind: dbusapi.EventsDropped, Dropped: 12}, "12 refusals came too fast to tell them", console.Warning},
		{dbusapi.Event{Kind: dbusapi.ServerUp, Clients: make([]dbusapi.Client, 3)}, "server up: it has 3 clients", console.Plain},
		{dbusapi.Event{Kind: dbusapi.ServerDown}, "server down", console.Warning},
		{dbusapi.Event{Kind: dbusapi.BusLost, Error: "it closed the connection"}, "bus lost: it closed the connection", console.Warning},
		{dbusapi.Event{Kind: dbusapi.ServerUp, Clients: make([]dbusapi.Client, 1)}, "server up: it has 1 client", console.Plain},
		{dbusapi.Event{Kind: "of-a-later-server", By: admin, Reason: "for-once"}, "of-a-later-server by root (pid 17): for-once", console.Plain},
		{dbusapi.Event{Kind: dbusapi.Forgotten, By: itself}, "forgotten", console.Plain},
		{dbusapi.Event{Kind: dbusapi.Denied, By: dbusapi.Actor{Kind: dbusapi.Caller, PID: 17, For: "alice"}}, "denied by root (pid 17) for alice", console.Plain},
		{dbusapi.Event{Kind: dbusapi.Disabled, By: dbusapi.Actor{Kind: dbusapi.Caller, BusName: ":1.7"}, Reason: dbusapi.ByAdministrator}, "disabled by an unknown process, :1.7", console.Plain},
		{dbusapi.Event{Kind: dbusapi.Disabled, By: dbusapi.Actor{Kind: dbusapi.FormerServer}, Reason: dbusapi.BeforeTakeOver},
			"disabled by a former server: it was disabled when the state of another server was taken over", console.Plain},
		{dbusapi.Event{Kind: dbusapi.Rejected, Refusal: "of-a-later-server"}, "was refused its secret: of-a-later-server", console.Warning},
	} {
		if got := Sentence(&c.e); got != c.want {
			t.Errorf("%s: %q, want %q", c.e.Kind, got, c.want)
		}
		if got := ToneOf(&c.e); got != c.tone {
			t.Errorf("%s: tone %d, want %d", c.e.Kind, got, c.tone)
		}
	}
}

func TestEveryCodeHasWords(t *testing.T) {
	for _, kind := range dbusapi.EventKinds {
		if _, told := accounts[kind]; !told {
			t.Errorf("nothing is said of %s", kind)
		}
	}
	for _, why := range dbusapi.Reasons {
		if said := reasons[why]; said.said == "" || said.was == "" {
			t.Errorf("of the reason %s is said %+v", why, said)
		}
	}
	for _, why := range dbusapi.Refusals {
		if refusals[why] == "" {
			t.Errorf("nothing is said of the refusal %s", why)
		}
	}
	for _, kind := range dbusapi.KeyKinds {
		if keyKinds[kind] == "" {
			t.Errorf("nothing is said of keys of the kind %s", kind)
		}
	}
	for _, kind := range dbusapi.ActorKinds {
		if Who(dbusapi.Actor{Kind: kind, PID: 1}) == "" {
			t.Errorf("nothing is said of the actor %s", kind)
		}
	}
}
