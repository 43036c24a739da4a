// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// PlannedAbsence is one fact: somebody expects the client to be away, which does not
// expire meanwhile. It ends with the first sign of life after the client was away, when
// its time has passed, when somebody ends it, and with the client's validity.
type PlannedAbsence struct {
	// ID is 128 bits in hex, which tell this fact from every other; empty for none.
	ID string
	By Actor
	At time.Time
	// Why is in somebody's words; it may be empty.
	Why string
	// Left is how long it lasts yet, counted while the server runs, so that no clock ends
	// or stretches it.
	Left time.Duration
	// Begun says that the client has been away since: a check has failed, or it was to get
	// its secret. Before that, a check that succeeds is none of a client that is
	// back.
	Begun bool
}

// MaxAbsence bounds a planned absence.
const MaxAbsence = 7 * 24 * time.Hour

// absenceCount is how often it is saved what is left of a planned absence.
const absenceCount = time.Minute

// NotEnabledError says that no absence of a client is planned, as it is disabled.
type NotEnabledError struct{ Name string }

func (e *NotEnabledError) Error() string {
	return fmt.Sprintf("client %s is disabled, and stays so; enable it first if that is meant", e.Name)
}

// Expect plans that the client is away for d at most. It takes the place of what was
// planned before.
func (r *Registry) Expect(ctx context.Context, by Actor, name string, d time.Duration, why string) error {
	if err := faultOfWhy(why); err != nil {
		return fmt.Errorf("%w: %w", ErrBadSetting, err)
	}
	if d < time.Millisecond || d > MaxAbsence {
		return fmt.Errorf("%w: a planned absence lasts from 1ms to a week", ErrBadSetting)
	}
	id := newID()
	disabled := false
	plan := func(record *Record) {
		record.Absence = PlannedAbsence{ID: id, By: by, At: r.wall(), Why: why, Left: d, Begun: record.LastCheckerStatus > 0}
	}
	if err := r.propose(ctx, &change{
		name: name,
		plan: func(saved recordSource) ([]Record, error) {
			record, ok := saved(name)
			switch {
			case !ok || record.absent():
				return nil, &NoClientError{name}
			case !record.Enabled:
				return nil, &NotEnabledError{name}
			}
			plan(&record)
			return []Record{record}, nil
		},
		apply: func() []Event {
			c := r.clients[name]
			if disabled = c == nil || !c.Enabled; disabled {
				return nil
			}
			plan(&c.Record)
			r.resumeAbsence(c)
			r.awaitExpiry(c)
			return []Event{c.absenceEvent(r, AbsencePlanned, by)}
		},
	}); err != nil {
		return err
	}
	if disabled {
		return &NotEnabledError{name}
	}
	return nil
}

// EndAbsence ends a planned absence before its time, as if nobody had planned it: a client
// that has been away for longer than its timeout expires.
func (r *Registry) EndAbsence(ctx context.Context, by Actor, name string) error {
	return r.now(ctx, name, func(c *client) <-chan error {
		if !c.isPlannedAway() {
			return r.told()
		}
		r.dropAbsence(c)
		done := r.durably(name, c.absenceEvent(r, AbsenceOver, by))
		if !time.Now().Before(r.due(c)) {
			r.expire(c, TimedOut, by)
		}
		return done
	})
}

func (c *client) isPlannedAway() bool { return c.Absence.ID != "" }

// resumeAbsence has the time of a planned absence pass, if there is one.
func (r *Registry) resumeAbsence(c *client) {
	if !c.isPlannedAway() {
		return
	}
	c.awayUntil = time.Now().Add(c.Absence.Left)
	c.backBy = r.wall().Add(c.Absence.Left)
	r.countAbsence(c)
	r.lookAtFailures()
}

// countAbsence ends a planned absence when its time has come, and saves meanwhile what is
// left.
func (r *Registry) countAbsence(c *client) {
	if c.absenceCount != nil {
		c.absenceCount.Stop()
	}
	c.absenceCount = r.after(c, min(time.Until(c.awayUntil), absenceCount), func() {
		if r.expireIfDue(c); c.isPlannedAway() {
			r.countAbsence(c)
		}
		r.touch(c.Name)
	})
}

// dropAbsence makes it so that no absence is planned.
func (r *Registry) dropAbsence(c *client) {
	if c.absenceCount != nil {
		c.absenceCount.Stop()
	}
	c.absenceCount = nil
	r.lookAtFailures()
	c.Absence, c.awayUntil, c.backBy = PlannedAbsence{}, time.Time{}, time.Time{}
	if !c.deadline.IsZero() {
		r.awaitExpiry(c)
	}
}

// endAbsenceIfDue ends a planned absence whose time has passed. The timer may be late.
func (r *Registry) endAbsenceIfDue(c *client) {
	if c.isPlannedAway() && !c.awayUntil.IsZero() && !time.Now().Before(c.awayUntil) {
		if c.awayUntil.After(c.deadline) { // to stay so, if expiry stands still
			c.deadline, c.Expires = c.awayUntil, c.backBy
		}
		r.dropAbsence(c)
		r.touch(c.Name, c.absenceEvent(r, AbsenceOver, ByItself))
	}
}

// wasAway notes that the client is not there, or was not.
func (c *client) wasAway() {
	if c.isPlannedAway() {
		c.Absence.Begun = true
	}
}

func (c *client) absenceEvent(r *Registry, kind EventKind, by Actor) Event {
	return Event{
		Kind: kind, Time: r.wall(), Client: r.view(c), By: by, Note: c.Absence.Why,
		Properties: []Property{PropAbsenceUntil, PropExpires},
	}
}

// andBack adds to the event of a sign of life that it ended a planned absence, if it did.
func andBack(alive Event) []Event {
	events := []Event{alive}
	if slices.Contains(alive.Properties, PropAbsenceUntil) {
		events = append(events, Event{Kind: CameBack, Time: alive.Time, Client: alive.Client})
	}
	return events
}

// ConvertAbsence is for who knows no planned absence, or whose section is gone: the record
// expires when it would have done, and nothing is planned any more.
func (r *Record) ConvertAbsence(now time.Time) {
	if back := now.Add(r.Absence.Left); r.Absence.ID != "" && back.After(r.Expires) {
		r.Expires = back
	}
	r.Absence = PlannedAbsence{}
}
