// SPDX-License-Identifier: Apache-2.0

// Package standing says in words how a client stands, which is all that most
// who look at it want to know. It decides nothing: whether a client is valid
// is the server's word, this is about what to look at first.
package standing

import (
	"fmt"
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/humantime"
)

// State is how a client stands, in one word.
type State string

// The states, the most urgent first. The first that fits is the one that holds.
const (
	Pending  State = "pending"  // a connection waits for approval
	Expiring State = "expiring" // it will be disabled soon unless a check succeeds
	Failing  State = "failing"  // its last check failed
	Expired  State = "expired"  // disabled by the server, for want of a check
	Untested State = "untested" // enabled and not checked yet
	Enabled  State = "enabled"
	Disabled State = "disabled" // as somebody wanted
)

// States are all states, the most urgent first.
var States = []State{Pending, Expiring, Failing, Expired, Untested, Enabled, Disabled}

// Values of Client.LastCheckerStatus besides exit statuses.
const (
	crashed      = -1
	neverChecked = -2
)

// Of tells how the client stands.
func Of(c *dbusapi.Client, now time.Time) State {
	switch {
	case !c.Enabled && deliberately(c):
		return Disabled
	case !c.Enabled:
		return Expired
	case c.ApprovalPending:
		return Pending
	case expiresSoon(c, now):
		return Expiring
	case c.LastCheckerStatus == neverChecked:
		return Untested
	case c.LastCheckerStatus != 0:
		return Failing
	}
	return Enabled
}

// deliberately tells whether somebody disabled the client, as far as is known.
func deliberately(c *dbusapi.Client) bool {
	switch c.DisabledBecause {
	case "", "by an administrator", "by the configuration":
		return true
	}
	return false
}

// expiresSoon tells whether less is left than any check in time would leave.
func expiresSoon(c *dbusapi.Client, now time.Time) bool {
	if c.Expires.IsZero() {
		return false
	}
	soon := min(c.Interval, c.Timeout-c.Interval)
	if soon <= 0 {
		soon = c.Timeout / 2
	}
	return c.Expires.Sub(now) < soon
}

// Detail is the rest of the story: since when, why, and what comes next. It is
// empty for a client about which there is nothing to say.
func Detail(c *dbusapi.Client, now time.Time) string {
	switch state := Of(c, now); state {
	case Disabled, Expired:
		return disabledDetail(c, now)
	case Pending:
		return pendingDetail(c, now)
	case Expiring, Failing:
		return checkDetail(c)
	case Untested:
		return "no check has ended yet"
	}
	return ""
}

func disabledDetail(c *dbusapi.Client, now time.Time) string {
	switch {
	case c.DisabledBecause == "":
		return ""
	case c.DisabledSince.IsZero():
		return c.DisabledBecause
	}
	return fmt.Sprintf("since %s: %s", humantime.Rough(now.Sub(c.DisabledSince)), c.DisabledBecause)
}

func pendingDetail(c *dbusapi.Client, now time.Time) string {
	left := Deadline(c).Sub(now)
	verdict := "denied"
	if c.ApprovedByDefault {
		verdict = "approved"
	}
	if left <= 0 {
		return "waits for approval"
	}
	return fmt.Sprintf("waits for approval; %s by default in %s", verdict, humantime.Rough(left))
}

// Deadline is when the connection that came last and waits for approval will be
// answered by default.
func Deadline(c *dbusapi.Client) time.Time { return c.LastApprovalRequest.Add(c.ApprovalDelay) }

func checkDetail(c *dbusapi.Client) string {
	switch c.LastCheckerStatus {
	case 0:
		return "checks are overdue"
	case neverChecked:
		return "no check has succeeded yet"
	}
	return "checker " + CheckerResult(c.LastCheckerStatus)
}

// CheckerResult says in words how a checker ended.
func CheckerResult(status int) string {
	switch status {
	case 0:
		return "succeeded"
	case neverChecked:
		return "has not ended yet"
	case crashed:
		return "crashed"
	}
	return fmt.Sprintf("failed with exit status %d", status)
}
