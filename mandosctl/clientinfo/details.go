// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
)

// Line is one thing about a client. An empty one stands between groups.
type Line struct {
	Name, Value string
}

// Details is all about a client, without what there is nothing to say of. The first
// line is its state. A time is written by when.
func Details(c *dbusapi.Client, now time.Time, when func(time.Time) string) []Line {
	state := string(StateOf(c, now))
	if detail := ReasonInFull(c, now); detail != "" {
		state += ": " + detail
	}
	return joinGroups(
		[]Line{
			{"state", state},
			{"expires", when(c.Expires)},
			{"planned absence", plannedAbsence(c, when(c.AbsenceUntil))},
			{"disabled since", when(c.DisabledSince)},
		},
		[]Line{
			{"last checked OK", orNever(when(c.LastCheckedOK))},
			{"last check", lastCheck(c)},
			{"which said", c.LastCheckerOutput},
			{"checker", c.Checker},
			{"host", c.Host},
			{"interval", notation.FormatDuration(c.Interval)},
			{"timeout", notation.FormatDuration(c.Timeout)},
			{"extended timeout", notation.FormatDuration(c.ExtendedTimeout)},
		},
		[]Line{
			{"secret", doubts(c.SecretProblem)},
			{"last hand-out", lastHandout(c, when(c.LastHandout))},
			{"approval", approvalInWords(c)},
			{"last asked for", when(c.LastApprovalRequest)},
			{"denied until", when(c.DeniedUntil)},
			{"approved until", when(c.ApprovedUntil)},
			{"approved ahead", aheadInWords(c, now)},
			{"granted", grantedInWords(c, now)},
			{"key ID", c.KeyID},
			{"fingerprint", c.Fingerprint},
		},
		[]Line{
			{"created", when(c.Created)},
			{"last enabled", when(c.LastEnabled)},
		},
		otherSettings(c),
	)
}

// otherSettings are those that only this kind of server has, where they say something.
func otherSettings(c *dbusapi.Client) (lines []Line) {
	for _, key := range slices.Sorted(maps.Keys(c.Other)) {
		if c.AsDefault[key] { // nothing that one has to know
			continue
		}
		lines = append(lines, Line{strings.ReplaceAll(key, "_", " "), c.Other[key]})
	}
	return lines
}

// joinGroups drops lines without a value and puts an empty one between groups.
func joinGroups(groups ...[]Line) (all []Line) {
	for _, group := range groups {
		group = slices.DeleteFunc(group, func(line Line) bool { return line.Value == "" })
		if len(all) > 0 && len(group) > 0 {
			all = append(all, Line{})
		}
		all = append(all, group...)
	}
	return all
}

// doubts are those about the secret. There is nothing to say of a good one.
func doubts(problem string) string {
	if problem == "" {
		return ""
	}
	return "doubtful: " + problem
}

func orNever(when string) string {
	if when == "" {
		return "never"
	}
	return when
}

func lastCheck(c *dbusapi.Client) string {
	last := CheckerResult(c.LastCheckerStatus)
	if c.CheckerRunning {
		return last + "; one runs now"
	}
	return last
}

func plannedAbsence(c *dbusapi.Client, until string) string {
	switch {
	case until == "":
		return ""
	case c.AbsenceReason == "":
		return "until " + until
	}
	return "until " + until + ": " + c.AbsenceReason
}

func lastHandout(c *dbusapi.Client, when string) string {
	if when == "" || c.LastHandoutKey == "" {
		return orNever(when)
	}
	return when + ", by " + keyKind(c.LastHandoutKey)
}

// grantedInWords is empty if nothing is left of any grant.
func grantedInWords(c *dbusapi.Client, now time.Time) string {
	if c.HandoutsAllowed == 0 {
		return ""
	}
	return Allowed(c, now)
}

// aheadInWords is empty if nothing is approved in advance.
func aheadInWords(c *dbusapi.Client, now time.Time) string {
	if c.ApprovalsAhead == 0 {
		return ""
	}
	return approvedAhead(c, now)
}

func approvalInWords(c *dbusapi.Client) string {
	if c.ApprovalDelay == 0 {
		return "not needed"
	}
	if c.ApprovalsNeeded > 1 {
		return fmt.Sprintf("asked for, from %d people; after %s it is denied; a decision holds for %s",
			c.ApprovalsNeeded, notation.FormatDuration(c.ApprovalDelay), notation.FormatDuration(c.ApprovalDuration))
	}
	return fmt.Sprintf("asked for; after %s it is %s by default; a decision holds for %s",
		notation.FormatDuration(c.ApprovalDelay), DecisionByDefault(c), notation.FormatDuration(c.ApprovalDuration))
}
