// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxApprovalsNeeded bounds the setting.
const maxApprovalsNeeded = 10

func judgeApprovalsNeeded(_ *Setting, s *Settings) error {
	switch {
	case s.ApprovalsNeeded < 0 || s.ApprovalsNeeded > maxApprovalsNeeded:
		return fmt.Errorf("the approvals_needed must be from 1 to %d", maxApprovalsNeeded)
	case s.needed() > 1 && s.ApprovalDelay == 0:
		return errors.New("the approvals_needed count while a client waits, and without an approval_delay it does not wait; write for example approval_delay = PT10M")
	}
	return nil
}

// needed is how many people have to approve, if anybody has to.
func (s *Settings) needed() int { return max(s.ApprovalsNeeded, 1) }

// judgeApproval looks for a decision in force, then for approvals in advance, and else
// waits for somebody until the delay is over. Where several have to approve, that nobody
// has said anything is no approval.
func judgeApproval(r *Registry, of *request) Ruling {
	c := of.client
	ahead, until := c.Ahead.byPersons(c.needed(), r.wall())
	switch {
	case c.approved != nil && !*c.approved:
		return Ruling{Verdict: Refuses, Refusal: WasDenied, Remedy: ToApprove, Until: c.decided}
	case c.approved != nil:
		return Ruling{Verdict: Passes, Until: c.decided}
	case c.ApprovalDelay == 0:
		return Ruling{Verdict: Passes}
	case ahead > 0 || c.Ahead.usedFor(of.entered):
		return Ruling{Verdict: Passes, Until: until, Note: "approved in advance"}
	case of.late && c.ApprovedByDefault && c.needed() == 1:
		return Ruling{Verdict: Passes}
	case of.late:
		return Ruling{Verdict: Refuses, Refusal: ApprovalTimedOut, Remedy: ToApprove, Note: c.votesInWords()}
	}
	return Ruling{Verdict: Waits, Remedy: ToApprove, Note: c.votesInWords()}
}

// person is whom an approval counts as, of which each counts once; empty if it is not
// known who it was. Whoever is root is one person.
func (a Actor) person() string {
	if a.Kind != Caller || a.PID == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", a.UID, a.For)
}

// vote counts an approval by somebody, for those who wait.
func (r *Registry) vote(c *client, by Actor) error {
	switch person := by.person(); {
	case c.pending == 0:
		return fmt.Errorf("nobody waits for approval of client %s: it needs %d, each of which counts while it waits, or is given in advance", c.Name, c.needed())
	case person == "":
		return fmt.Errorf("client %s needs the approval of %d people, and who asks left the bus before it could be found out who it is", c.Name, c.needed())
	default:
		if c.votes == nil {
			c.votes = make(map[string]bool)
		}
		c.votes[person] = true
	}
	return nil
}

// votesInWords is empty where one approval is enough.
func (c *client) votesInWords() string {
	if c.needed() == 1 {
		return ""
	}
	return fmt.Sprintf("%d of %d approvals", len(c.votes), c.needed())
}

// byPersons is how many hand-outs so many people have granted alike, and when the first
// of their grants ends that counts, which is zero for no end.
func (all grants) byPersons(needed int, wall time.Time) (handouts int, until time.Time) {
	byPerson := make(map[string]grants)
	for _, g := range all.inForce(wall) {
		byPerson[g.By.person()] = append(byPerson[g.By.person()], g)
	}
	if len(byPerson) < needed {
		return 0, time.Time{}
	}
	each := make([]grants, 0, len(byPerson))
	for _, of := range byPerson {
		each = append(each, of)
	}
	slices.SortFunc(each, func(a, b grants) int {
		leftA, _ := a.left(wall)
		leftB, _ := b.left(wall)
		return leftB - leftA
	})
	for _, of := range each[:needed] {
		left, ends := of.left(wall)
		handouts = left // the least of them, which comes last
		if !ends.IsZero() && (until.IsZero() || ends.Before(until)) {
			until = ends
		}
	}
	return handouts, until
}

// useAhead takes the hand-out from approvals in advance, if it rests on them.
func (c *client) useAhead(h *Handout) {
	wall := h.registry.wall()
	if left, _ := c.Ahead.byPersons(c.needed(), wall); left == 0 || c.ApprovalDelay == 0 || c.approved != nil {
		return
	}
	used := make(map[string]bool)
	for _, g := range c.Ahead.inForce(wall) {
		person := g.By.person()
		if used[person] || len(used) == c.needed() {
			continue
		}
		used[person] = true
		c.Ahead = c.Ahead.use(h.number, wall, func(g *Grant) bool { return g.By.person() == person })
	}
}

var aheadProperties = []Property{PropApprovalsAhead, PropApprovedAheadUntil}

// ApproveAhead approves so many of a client's hand-outs in advance: within d, or, if that
// is 0, whenever they are. Where several people have to approve, each has to do so.
func (r *Registry) ApproveAhead(ctx context.Context, by Actor, name string, times int, d time.Duration) error {
	if by.person() == "" {
		return errors.New("it could not be found out who approves; wait for the answer")
	}
	return r.grant(ctx, by, name, times, d, ApprovedAhead, aheadProperties, func(record *Record) *grants { return &record.Ahead })
}
