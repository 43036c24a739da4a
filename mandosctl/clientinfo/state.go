// SPDX-License-Identifier: Apache-2.0

// Package clientinfo is what is known and said of clients: choosing them by name,
// how one stands, all about it, what happens to it, whether it would get its secret,
// and what is left of those that are gone. It decides nothing: whether a client is
// valid is the server's word, this is about what to look at first.
package clientinfo

import (
	"fmt"
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/console"
	"mandos/mandosctl/humantime"
)

// State is how a client stands, in one word.
type State string

// The states, the most urgent first. The first that fits is the one that holds.
const (
	Pending  State = "pending"  // a connection waits for approval
	Expiring State = "expiring" // it will be disabled soon unless a check succeeds
	Failing  State = "failing"  // its last check failed
	Away     State = "away"     // its last check failed, and somebody expects it to be away
	Expired  State = "expired"  // disabled by the server, for want of a check
	Untested State = "untested" // enabled and not checked yet
	Enabled  State = "enabled"
	Disabled State = "disabled" // as somebody wanted
)

// States are all states, the most urgent first.
var States = []State{Pending, Expiring, Failing, Away, Expired, Untested, Enabled, Disabled}

// Tone is how good it is that a client stands so.
func (s State) Tone() console.Tone {
	switch s {
	case Pending, Expiring, Failing:
		return console.Warning
	case Expired:
		return console.Bad
	case Enabled:
		return console.Good
	}
	return console.Routine
}

// StateOf tells how the client stands.
func StateOf(c *dbusapi.Client, now time.Time) State {
	switch {
	case !c.Enabled && IsDeliberate(c.DisabledBecause):
		return Disabled
	case !c.Enabled:
		return Expired
	case c.ApprovalPending:
		return Pending
	case ExpiresSoon(c, now):
		return Expiring
	case c.LastCheckerStatus == dbusapi.NeverChecked:
		return Untested
	case c.LastCheckerStatus != 0 && c.AbsenceUntil.After(now):
		return Away
	case c.LastCheckerStatus != 0:
		return Failing
	}
	return Enabled
}

// ExpiresSoon reports whether less is left than any check in time would leave.
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
	switch StateOf(c, now) {
	case Disabled, Expired:
		return reasonOf(c.DisabledBecause).said
	case Pending:
		return "waits for approval"
	case Untested:
		return "no check has ended yet"
	case Expiring, Failing:
		if c.OnBorrowedTime {
			return "on borrowed time, as the server's own network fails or did"
		}
		return checkReason(c.LastCheckerStatus)
	case Away:
		return "as planned"
	case Enabled:
		if c.AbsenceUntil.After(now) {
			return "absence planned"
		}
	}
	return ""
}

func checkReason(status int) string {
	switch status {
	case 0:
		return "checks are overdue"
	case dbusapi.NeverChecked:
		return "no check has succeeded yet"
	}
	return "checker " + CheckerResult(status)
}

// ReasonInFull is the reason, with since when it is so or what comes next.
func ReasonInFull(c *dbusapi.Client, now time.Time) string {
	reason := Reason(c, now)
	switch state := StateOf(c, now); {
	case reason == "":
		return ""
	case !c.Enabled && !c.DisabledSince.IsZero():
		return fmt.Sprintf("%s, %s", reason, humantime.Relative(c.DisabledSince, now))
	case state == Pending && ApprovalDeadline(c).After(now):
		return fmt.Sprintf("%s; %s by default %s", reason, DecisionByDefault(c), humantime.Relative(ApprovalDeadline(c), now))
	case (state == Away || state == Enabled) && c.AbsenceUntil.After(now):
		return reason + ", " + AbsenceInWords(c, now)
	}
	return reason
}

// AbsenceInWords tells how long a planned absence may last yet, and why.
func AbsenceInWords(c *dbusapi.Client, now time.Time) string {
	text := "for another " + humantime.Rough(c.AbsenceUntil.Sub(now)) + " at most"
	if c.AbsenceReason != "" {
		text += ": " + c.AbsenceReason
	}
	return text
}

// ApprovalDeadline is when the connection that came last and waits for approval is
// answered by default.
func ApprovalDeadline(c *dbusapi.Client) time.Time { return c.LastApprovalRequest.Add(c.ApprovalDelay) }

// DecisionByDefault is what becomes of a connection that nobody decides about.
func DecisionByDefault(c *dbusapi.Client) string {
	if c.ApprovedByDefault && c.ApprovalsNeeded <= 1 && !c.OnBorrowedTime {
		return "approved"
	}
	return "denied"
}

// CheckerResult says in words how a checker ended.
func CheckerResult(status int) string {
	switch status {
	case 0:
		return "succeeded"
	case dbusapi.NeverChecked:
		return "has not ended yet"
	case dbusapi.CheckerCrashed:
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

// CountStates tells how many clients are in each state.
func CountStates(clients []dbusapi.Client, now time.Time) map[State]int {
	counts := make(map[State]int, len(States))
	for i := range clients {
		counts[StateOf(&clients[i], now)]++
	}
	return counts
}
