// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"testing"
	"time"

	"mandos/dbusapi"
)

func TestHowAClientStands(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	well := dbusapi.Client{Enabled: true, Timeout: 5 * time.Minute, Interval: 2 * time.Minute, Expires: now.Add(4 * time.Minute), LastCheckedOK: now.Add(-time.Minute)}
	for sentence, c := range map[string]struct {
		change func(*dbusapi.Client)
		state  State
		detail string
	}{
		"all is well": {func(c *dbusapi.Client) {}, Enabled, ""},
		"a client just before its next check is well": {func(c *dbusapi.Client) {
			c.Expires = now.Add(3*time.Minute + time.Second)
		}, Enabled, ""},
		"a client after an overdue check expires soon": {func(c *dbusapi.Client) {
			c.Expires = now.Add(2*time.Minute - time.Second)
		}, Expiring, "checks are overdue"},
		"a client with a short timeout expires soon only when its check is overdue": {func(c *dbusapi.Client) {
			c.Timeout, c.Expires = 3*time.Minute, now.Add(61*time.Second)
		}, Enabled, ""},
		"a timeout within the interval leaves half of it": {func(c *dbusapi.Client) {
			c.Timeout, c.Expires = 2*time.Minute, now.Add(59*time.Second)
		}, Expiring, "checks are overdue"},
		"a failed check shows": {func(c *dbusapi.Client) { c.LastCheckerStatus = 2 }, Failing, "checker failed with exit status 2"},
		"a crash shows":        {func(c *dbusapi.Client) { c.LastCheckerStatus = dbusapi.CheckerCrashed }, Failing, "checker crashed"},
		"expiry is more urgent than the failure that leads to it": {func(c *dbusapi.Client) {
			c.LastCheckerStatus, c.Expires = 1, now.Add(time.Minute)
		}, Expiring, "checker failed with exit status 1"},
		"who is away as planned does not fail": {func(c *dbusapi.Client) {
			c.LastCheckerStatus, c.AbsenceUntil, c.Expires, c.AbsenceReason = 1, now.Add(time.Hour), now.Add(time.Hour), "new firmware"
		}, Away, "as planned, for another 1h at most: new firmware"},
		"who is to be away is well yet": {func(c *dbusapi.Client) {
			c.AbsenceUntil, c.Expires = now.Add(time.Hour), now.Add(time.Hour)
		}, Enabled, "absence planned, for another 1h at most"},
		"who is away as planned expires soon at its end": {func(c *dbusapi.Client) {
			c.LastCheckerStatus, c.AbsenceUntil, c.Expires = 1, now.Add(time.Minute), now.Add(time.Minute)
		}, Expiring, "checker failed with exit status 1"},
		"an absence that is over is none": {func(c *dbusapi.Client) { c.LastCheckerStatus, c.AbsenceUntil = 2, now }, Failing, "checker failed with exit status 2"},
		"a new client is untested":        {func(c *dbusapi.Client) { c.LastCheckerStatus = dbusapi.NeverChecked }, Untested, "no check has ended yet"},
		"waiting for approval is the most urgent, with a countdown": {func(c *dbusapi.Client) {
			c.ApprovalPending, c.LastApprovalRequest, c.ApprovalDelay, c.LastCheckerStatus = true, now.Add(-10*time.Second), 30*time.Second, 1
		}, Pending, "waits for approval; denied by default in 20s"},
		"the default may be to approve": {func(c *dbusapi.Client) {
			c.ApprovalPending, c.LastApprovalRequest, c.ApprovalDelay, c.ApprovedByDefault = true, now, time.Minute, true
		}, Pending, "waits for approval; approved by default in 1m"},
		"who was disabled on purpose is just disabled": {func(c *dbusapi.Client) {
			c.Enabled, c.Expires, c.DisabledSince, c.DisabledBecause = false, time.Time{}, now.Add(-time.Hour), dbusapi.ByAdministrator
		}, Disabled, "by an administrator, 1h ago"},
		"who was not is expired": {func(c *dbusapi.Client) {
			c.Enabled, c.Expires, c.DisabledSince, c.DisabledBecause = false, time.Time{}, now.Add(-3*time.Minute), dbusapi.TimedOut
		}, Expired, "no successful check within its timeout, 3m ago"},
		"a server that gives no reason is believed": {func(c *dbusapi.Client) { c.Enabled = false }, Disabled, ""},
	} {
		client := well
		c.change(&client)
		if state, detail := StateOf(&client, now), ReasonInFull(&client, now); state != c.state || detail != c.detail {
			t.Errorf("%s: %s %q, want %s %q", sentence, state, detail, c.state, c.detail)
		}
	}
}
