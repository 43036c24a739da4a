// SPDX-License-Identifier: Apache-2.0

// Package client is the core of the server: the clients, whether each may
// have its secret, and everything that changes that. It does no I/O; sockets,
// processes, the bus and the disk are reached through what the [Registry] is
// given or through its events.
//
// # Validity
//
// An enabled client is valid until it expires. A successful check, or somebody
// vouching for the client, sets its expiry to one timeout from then; a hand-out
// sets it to one extended timeout from then, if that is later. When the expiry
// comes the client is disabled, and only a person enables it again. An enabled
// client that was disabled before has two intervals to prove itself. During a planned
// absence no client expires: see [PlannedAbsence]. While the server's own way to the
// network fails, expiry may stand still for a while: see [Registry.UplinkChecked].
//
// Whatever lowers a client is a fact that stays, by the client's name and by its
// key, until a person raises the client: see [Standing]. It outlives the client's
// section in the configuration; see newSuccession.
//
// # Time
//
// Expiry, intervals and approvals run on the monotonic clock, which neither
// steps with the wall clock nor runs while the machine is suspended: setting
// the clock disables nobody and keeps nobody valid, and a suspension counts
// for nothing, as the server could neither check nor hand out anything during
// it. What is shown and saved as a time of day is computed from the wall clock
// at that moment.
//
// A restart has only the wall clock to go by. A client whose last check
// succeeded gets at least one timeout from the start on, once for each successful
// check. A saved expiry later than that stands, but not beyond the client's longest
// timeout, whatever the clock says. One whose last check failed, or which was never checked, keeps its
// saved expiry, is checked once before it comes, and is disabled at once if it
// has passed.
//
// # Order and durability
//
// All changes pass through one queue. Losing validity takes effect at once, is
// saved, and is then told to the subscribers. Whatever else an administrator
// changes is saved first; only then does it take effect and is told. Whoever
// asked is answered last of all. The rest (checks, expiry times) is saved within
// [SaveDelay].
package client

import "time"

// client is one client of the registry, guarded by the registry's mutex.
type client struct {
	Record
	objectPath string
	position   int // in the order of the configuration

	gone         bool      // dropped; whoever still holds a pointer must refuse
	failingSince time.Time // when its checks began to fail; zero while they do not
	needsOpenPGP bool      // and is counted by the registry

	deadline        time.Time // Expires on the monotonic clock
	expiry          *time.Timer
	awayUntil       time.Time // when a planned absence is over, on the monotonic clock; zero without one
	backBy          time.Time // the same as time of day
	absenceCount    *time.Timer
	stillSince      time.Time // when the expiry began to stand still, on the monotonic clock; zero if it does not
	nextCheck       *time.Timer
	nextDue         time.Time
	check           *check    // the running checker, or one that is being killed
	approved        *bool     // the decision in force
	decided         time.Time // when it ends
	approvalUp      *time.Timer
	pending         int                   // connections that asked for approval
	votes           map[string]bool       // the people who have approved, while connections wait
	present         map[*Handout]struct{} // peers with its key
	twoMachinesTold time.Time             // when it was last told that two machines have it
	stirred         chan struct{}         // closed and replaced when those who wait must look again
}

func newClient(record Record, objectPath string, position int) *client {
	return &client{
		Record:     record,
		objectPath: objectPath,
		position:   position,
		stirred:    make(chan struct{}),
	}
}

func (r *Registry) view(c *client) View {
	v := View{
		Settings:         c.Settings,
		State:            c.State,
		ObjectPath:       c.objectPath,
		CheckerRunning:   c.check.running(),
		ApprovalsPending: c.pending,
	}
	v.AbsenceUntil = r.timeOfDay(c.awayUntil, c.backBy)
	v.OnBorrowedTime = r.borrows(c)
	v.Expires = r.expires(c)
	v.HandoutsAllowed, v.AllowedUntil = c.Grants.left(r.wall())
	v.ApprovalsAhead, v.ApprovedAheadUntil = c.Ahead.byPersons(c.needed(), r.wall())
	if c.approved != nil && *c.approved {
		v.ApprovedUntil = c.decided
	}
	return v
}

func (r *Registry) recordOf(c *client) Record {
	record := c.Record
	record.Expires = r.timeOfDay(c.deadline, c.Expires)
	record.Borrowed.Since = r.timeOfDay(c.stillSince, time.Time{})
	if c.isPlannedAway() {
		record.Absence.Left = max(time.Until(c.awayUntil), time.Nanosecond)
	}
	return record
}

// expires is the time of day at which the client expires. That it would be put off is not
// told before it is.
func (r *Registry) expires(c *client) time.Time {
	own := r.timeOfDay(c.deadline, c.Expires)
	if c.awayUntil.After(c.deadline) {
		own = r.timeOfDay(c.awayUntil, c.backBy)
	}
	if r.borrows(c) {
		return own.Add(r.putOff(c))
	}
	return own
}

// timeOfDay is that of a moment on the monotonic clock, which was told as such a time of
// day: another one after the wall clock was set.
func (r *Registry) timeOfDay(moment, told time.Time) time.Time {
	if moment.IsZero() {
		return time.Time{}
	}
	now := r.wall().Add(time.Until(moment))
	if drift := now.Sub(told).Abs(); drift > time.Second {
		return now
	}
	return told
}

// stir makes those who wait for a decision about the client look again.
func (c *client) stir() {
	close(c.stirred)
	c.stirred = make(chan struct{})
}
