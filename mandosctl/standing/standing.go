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
	Crashed      = -1
	NeverChecked = -2
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
	case ExpiresSoon(c, now):
		return Expiring
	case c.LastCheckerStatus == NeverChecked:
		return Untested
	case c.LastCheckerStatus != 0:
		return Failing
	}
	return Enabled
}

// deliberately tells whether somebody disabled the client, as far as is known.
func deliberately(c *dbusapi.Client) bool {
	switch c.DisabledBecause {
	case "", dbusapi.ByAdministrator, dbusapi.ByConfiguration, dbusapi.BeforeTakeOver:
		return true
	}
	return false
}

// ExpiresSoon tells whether less is left than any check in time would leave.
func ExpiresSoon(c *dbusapi.Client, now time.Time) bool {
	if c.Expires.IsZero() {
		return false
	}
	soon := min(c.Interval, c.Timeout-c.Interval)
	if soon <= 0 {
		soon = c.Timeout / 2
	}
	return c.Expires.Sub(now) < soon
}

// Reason is why the client stands as it does. It is empty where the state says
// it all.
func Reason(c *dbusapi.Client, now time.Time) string {
	switch Of(c, now) {
	case Disabled, Expired:
		return c.DisabledBecause
	case Pending:
		return "waits for approval"
	case Untested:
		return "no check has ended yet"
	case Expiring, Failing:
		return checkReason(c.LastCheckerStatus)
	}
	return ""
}

func checkReason(status int) string {
	switch status {
	case 0:
		return "checks are overdue"
	case NeverChecked:
		return "no check has succeeded yet"
	}
	return "checker " + CheckerResult(status)
}

// Detail is the reason, with since when it is so or what comes next.
func Detail(c *dbusapi.Client, now time.Time) string {
	reason := Reason(c, now)
	switch state := Of(c, now); {
	case reason == "":
		return ""
	case !c.Enabled && !c.DisabledSince.IsZero():
		return fmt.Sprintf("%s, %s", reason, humantime.Relative(c.DisabledSince, now))
	case state == Pending && Deadline(c).After(now):
		return fmt.Sprintf("%s; %s by default %s", reason, Default(c), humantime.Relative(Deadline(c), now))
	}
	return reason
}

// Deadline is when the connection that came last and waits for approval is
// answered by default.
func Deadline(c *dbusapi.Client) time.Time { return c.LastApprovalRequest.Add(c.ApprovalDelay) }

// Default is what becomes of a connection that nobody decides about.
func Default(c *dbusapi.Client) string {
	if c.ApprovedByDefault {
		return "approved"
	}
	return "denied"
}

// CheckerResult says in words how a checker ended.
func CheckerResult(status int) string {
	switch status {
	case 0:
		return "succeeded"
	case NeverChecked:
		return "has not ended yet"
	case Crashed:
		return "crashed"
	}
	return fmt.Sprintf("failed with exit status %d", status)
}

// LastCheck says in words how the last check ended, with what its checker said.
func LastCheck(c *dbusapi.Client) string {
	return WithOutput(CheckerResult(c.LastCheckerStatus), c)
}

// WithOutput adds to the result of a client's last check what its checker said.
func WithOutput(result string, c *dbusapi.Client) string {
	if c.LastCheckerOutput == "" {
		return result
	}
	return result + ": " + c.LastCheckerOutput
}

// Count tells how many clients are in each state.
func Count(clients []dbusapi.Client, now time.Time) map[State]int {
	counts := make(map[State]int, len(States))
	for i := range clients {
		counts[Of(&clients[i], now)]++
	}
	return counts
}
