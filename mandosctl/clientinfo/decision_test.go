// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"testing"
	"time"

	"mandos/dbusapi"
)

func TestWhatFollowsFromADecision(t *testing.T) {
	for sentence, c := range map[string]struct {
		change           func(*dbusapi.Client)
		approved, denied string
	}{
		"nobody waits": {func(c *dbusapi.Client) {},
			"approved; nobody waits; who comes within 15m gets it",
			"denied; nobody waits; who comes within 15m is refused"},
		"somebody waits": {func(c *dbusapi.Client) { c.ApprovalPending, c.ApprovalsPending = true, 1 },
			"approved; one connection waits and gets its secret, and who comes within 15m gets it too",
			"denied; one connection waits and is refused, and who comes within 15m is refused too"},
		"many wait": {func(c *dbusapi.Client) { c.ApprovalPending, c.ApprovalsPending = true, 3 },
			"approved; 3 connections wait, and each gets its secret; who comes within 15m gets it too",
			"denied; 3 connections wait, and each is refused; who comes within 15m is refused too"},
		"another server only tells that somebody waits": {func(c *dbusapi.Client) { c.ApprovalPending = true },
			"approved; one connection waits and gets its secret, and who comes within 15m gets it too",
			"denied; one connection waits and is refused, and who comes within 15m is refused too"},
		"it is disabled": {func(c *dbusapi.Client) { c.Enabled = false },
			"approved, but it is disabled and gets nothing until somebody enables it; the approval holds for 15m",
			"denied, but it is disabled and gets nothing anyway; the denial holds for 15m"},
		"it needs no approval": {func(c *dbusapi.Client) { c.ApprovalDelay = 0 },
			"approved, which changes nothing: nobody waits, and it needs no approval",
			"denied; nobody waits; who comes within 15m is refused"},
		"it needs no approval, but was denied": {func(c *dbusapi.Client) { c.ApprovalDelay, c.DeniedUntil = 0, time.Now() },
			"approved; nobody waits; who comes within 15m gets it",
			"denied; nobody waits; who comes within 15m is refused"},
	} {
		client := dbusapi.Client{Enabled: true, ApprovalDelay: time.Minute, ApprovalDuration: 15 * time.Minute}
		c.change(&client)
		if got := Outcome(&client, true); got != c.approved {
			t.Errorf("%s: %q, want %q", sentence, got, c.approved)
		}
		if got := Outcome(&client, false); got != c.denied {
			t.Errorf("%s: %q, want %q", sentence, got, c.denied)
		}
	}
}
