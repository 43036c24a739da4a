// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"testing"

	"mandos/dbusapi"
	"mandos/mandosctl/console"
)

func TestWhatHappenedInWords(t *testing.T) {
	const admin = "uid 0, pid 17"
	for _, c := range []struct {
		h    dbusapi.Happening
		want string
		tone console.Tone
	}{
		{dbusapi.Happening{Kind: dbusapi.WasAdded, By: "configuration"}, "added by configuration", console.Plain},
		{dbusapi.Happening{Kind: dbusapi.WasEnabled, By: admin}, "enabled by root (pid 17)", console.Good},
		{dbusapi.Happening{Kind: dbusapi.WasEnabled, By: "uid 4000000000, pid 17"}, "enabled by 4000000000 (pid 17)", console.Good},
		{dbusapi.Happening{Kind: dbusapi.WasDisabled, By: admin, Reason: dbusapi.ByAdministrator}, "disabled by root (pid 17)", console.Plain},
		{dbusapi.Happening{Kind: dbusapi.WasDisabled, By: "server", Reason: "no successful check within its timeout"}, "disabled: no successful check within its timeout", console.Bad},
		{dbusapi.Happening{Kind: dbusapi.WasRemoved, By: "configuration", Reason: dbusapi.ByConfiguration}, "removed by configuration", console.Plain},
		{dbusapi.Happening{Kind: dbusapi.WasChanged, By: admin, Values: map[string]string{
			"ApprovalDelay": "90000", "Host": "a.example.org", "KeyID": "AB", "ApprovedByDefault": "true", "Secret": ""}},
			"changed by root (pid 17): approval_delay=1m 30s, approved_by_default=true, host=a.example.org, key_id=AB, secret", console.Plain},
		{dbusapi.Happening{Kind: dbusapi.WasVouchedFor, By: admin}, "taken as checked OK by root (pid 17)", console.Plain},
		{dbusapi.Happening{Kind: dbusapi.CheckStarted, Command: "fping -q -- a"}, "check started: fping -q -- a", console.Routine},
		{dbusapi.Happening{Kind: dbusapi.CheckCompleted}, "check succeeded", console.Routine},
		{dbusapi.Happening{Kind: dbusapi.CheckCompleted, Status: 2}, "check failed with exit status 2", console.Warning},
		{dbusapi.Happening{Kind: dbusapi.CheckCompleted, Status: -1, Signal: 9}, "check was killed by signal 9 (killed)", console.Warning},
		{dbusapi.Happening{Kind: dbusapi.CheckStopped, By: admin}, "check stopped by root (pid 17)", console.Plain},
		{dbusapi.Happening{Kind: dbusapi.CheckNotStarted, Error: "no processes left"}, "checker could not be started: no processes left", console.Bad},
		{dbusapi.Happening{Kind: dbusapi.ApprovalNeeded, Address: "[::1]:4711"}, "waits for approval at [::1]:4711", console.Warning},
		{dbusapi.Happening{Kind: dbusapi.ApprovalOver}, "nobody waits for approval any more", console.Routine},
		{dbusapi.Happening{Kind: dbusapi.WasApproved, By: admin}, "approved by root (pid 17)", console.Plain},
		{dbusapi.Happening{Kind: dbusapi.SecretSent, Address: "[::1]:4711"}, "received its secret at [::1]:4711", console.Good},
		{dbusapi.Happening{Kind: dbusapi.SecretSent, Address: "[::1]:4711", Note: "it said no good-bye"}, "received its secret at [::1]:4711; it said no good-bye", console.Good},
		{dbusapi.Happening{Kind: dbusapi.SecretNotReceived, Address: "[::1]:4711", Error: "gone"}, "did not receive its whole secret at [::1]:4711: gone", console.Warning},
		{dbusapi.Happening{Kind: dbusapi.WasRejected, Address: "[::1]:4711", Reason: "Disabled", Times: 3}, "was refused its secret at [::1]:4711: Disabled (3 times)", console.Warning},
		{dbusapi.Happening{Kind: dbusapi.KeyNotFound, Address: "[::1]:4711", Key: "AB"}, "somebody at [::1]:4711 came with a key that no client has: AB", console.Warning},
		{dbusapi.Happening{Kind: dbusapi.KeyNotFound, Key: "AB", Note: "but foo has"}, "somebody came with a key that no client has: AB; but foo has", console.Warning},
		{dbusapi.Happening{Kind: dbusapi.StateNotSaved, Error: "no space"}, "the server cannot save its state: no space", console.Bad},
		{dbusapi.Happening{Kind: dbusapi.StateSavedAgain}, "the server saves its state again", console.Good},
		{dbusapi.Happening{Kind: dbusapi.HappeningsLeftUntold, Dropped: 12}, "12 refusals came too fast to tell them", console.Warning},
		{dbusapi.Happening{Kind: ServerUp, Reason: "it has 3 clients"}, "server up: it has 3 clients", console.Plain},
		{dbusapi.Happening{Kind: ServerDown}, "server down", console.Warning},
		{dbusapi.Happening{Kind: BusLost, Reason: "it closed the connection"}, "bus lost: it closed the connection", console.Warning},
		{dbusapi.Happening{Kind: "what a later server tells", By: admin, Reason: "for once"}, "what a later server tells by root (pid 17): for once", console.Plain},
	} {
		if got := Sentence(&c.h); got != c.want {
			t.Errorf("%s: %q, want %q", c.h.Kind, got, c.want)
		}
		if got := ToneOf(&c.h); got != c.tone {
			t.Errorf("%s: tone %d, want %d", c.h.Kind, got, c.tone)
		}
	}
}
