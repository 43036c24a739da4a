// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Enable makes a disabled client valid again, and brings one back that was
// removed while its section stands. It does nothing to an enabled one.
func (r *Registry) Enable(ctx context.Context, by Actor, name string) error {
	enable := &change{name: name}
	raises, overtaken := false, false
	enable.plan = func(saved recordSource) ([]Record, error) {
		record, ok := saved(name)
		switch {
		case !ok:
			return nil, &NoClientError{name}
		case !record.Gone.IsZero():
			return nil, &NoSectionError{name}
		case record.Enabled:
			return nil, nil
		case !record.raise(r.wall(), enable.unseen):
			return nil, &OvertakenError{name}
		}
		raises = true
		return []Record{record}, nil
	}
	enable.apply = func() []Event {
		record := r.record(name)
		if !raises || record.Dropped || record.Enabled || !record.Gone.IsZero() {
			return nil
		}
		if !record.raise(r.wall(), enable.unseen) {
			overtaken = true
			return nil
		}
		if away, ok := r.absent[name]; ok {
			away.Record = record
			return r.bringBack(away, by)
		}
		c := r.clients[name]
		c.Record = record
		return []Event{r.revive(c, by)}
	}
	if err := r.propose(ctx, enable); err != nil {
		return err
	}
	if overtaken {
		return &OvertakenError{name}
	}
	return nil
}

// OvertakenError says that a client was not enabled, as somebody disabled or
// removed it after that was asked for.
type OvertakenError struct{ Name string }

func (e *OvertakenError) Error() string {
	return fmt.Sprintf("client %s was disabled or removed by somebody else at this moment; see who it was, and enable it again if that is meant", e.Name)
}

// Disable makes a client invalid at once, and refuses those who wait for it. That
// a disabled client is disabled again is one more fact, which only somebody raises
// who has seen it.
func (r *Registry) Disable(ctx context.Context, by Actor, name string) error {
	return r.now(ctx, name, func(c *client) <-chan error {
		r.lowerFor(c, ByAdministrator, by)
		return r.lowered(c, by, ByAdministrator)
	})
}

// Remove takes a client out at once. It stays out, by its key, until somebody
// enables it or its section has another key.
func (r *Registry) Remove(ctx context.Context, by Actor, name string) error {
	return r.now(ctx, name, func(c *client) <-chan error {
		r.lowerFor(c, RemovedByAdministrator, by)
		r.leave(c)
		return r.durably(name, Event{Kind: Removed, Time: r.wall(), Client: r.view(c), By: by, Reason: ByAdministrator})
	})
}

// lowerFor adds what somebody says against the client, which nothing has seen that
// was asked for before and is still to be made.
func (r *Registry) lowerFor(c *client, why Reason, by Actor) {
	l := NewLowering(why, by, r.wall(), c.Name, c.key())
	c.Standing = c.lower(l)
	for ch := range r.queue.pending {
		ch.unseen[l.ID] = true
	}
}

// Approve decides, for the client's approval duration, what becomes of those
// who wait for its approval or come to. A later decision replaces an earlier one.
func (r *Registry) Approve(ctx context.Context, by Actor, name string, approve bool) error {
	return r.now(ctx, name, func(c *client) <-chan error {
		if approve && c.needed() > 1 {
			if err := r.vote(c, by); err != nil {
				return failed(err)
			}
			if len(c.votes) < c.needed() {
				r.note(Event{Kind: Approved, Time: r.wall(), Client: r.view(c), By: by, Note: c.votesInWords()})
				return r.told()
			}
		}
		c.votes = nil
		before := r.view(c)
		if !approve {
			c.Ahead = nil // what others have approved in advance is denied as well
		}
		r.decideFor(c, approve, c.ApprovalDuration)
		if approve {
			c.DeniedUntil, c.DeniedFor, c.DeniedKey = time.Time{}, 0, Key{}
			r.touch(name, r.decided(Approved, c, before, by))
			return r.told()
		}
		c.DeniedUntil, c.DeniedFor, c.DeniedKey = r.wall().Add(c.ApprovalDuration), c.ApprovalDuration, c.key()
		return r.durably(name, r.decided(Denied, c, before, by))
	})
}

// failed is the answer to what cannot be done.
func failed(err error) <-chan error {
	done := make(chan error, 1)
	done <- err
	return done
}

// decided is the event of a decision about a client that was as before.
func (r *Registry) decided(kind EventKind, c *client, before View, by Actor) Event {
	e := Event{Kind: kind, Time: r.wall(), Client: r.view(c), By: by}
	if e.Client.ApprovalsAhead != before.ApprovalsAhead {
		e.Properties = append(e.Properties, aheadProperties...)
	}
	if e.Client.DeniedUntil != before.DeniedUntil {
		e.Properties = append(e.Properties, PropDeniedUntil)
	}
	if e.Client.ApprovedUntil != before.ApprovedUntil {
		e.Properties = append(e.Properties, PropApprovedUntil)
	}
	return e
}

// decideFor puts a decision in force for d.
func (r *Registry) decideFor(c *client, approve bool, d time.Duration) {
	if c.approvalUp != nil {
		c.approvalUp.Stop()
	}
	c.approved, c.decided = &approve, r.wall().Add(d)
	c.approvalUp = r.after(c, d, func() {
		c.approved, c.approvalUp = nil, nil
		c.DeniedUntil, c.DeniedFor, c.DeniedKey = time.Time{}, 0, Key{}
		c.stir()
	})
	c.stir()
}

// CheckedOK vouches for the client as if a check had succeeded.
func (r *Registry) CheckedOK(ctx context.Context, by Actor, name string) error {
	return r.now(ctx, name, func(c *client) <-chan error {
		properties := r.provedAlive(c)
		properties = slices.Insert(properties, 1, r.lastCheck(c, 0, "")...)
		return r.durably(name, andBack(Event{Kind: Vouched, Time: r.wall(), Client: r.view(c), By: by, Properties: properties})...)
	})
}

// StartChecker starts the client's checker unless it is running.
func (r *Registry) StartChecker(ctx context.Context, name string) error {
	return r.now(ctx, name, func(c *client) <-chan error {
		r.startChecker(c)
		return r.told()
	})
}

// StopChecker kills the client's running checker; its result does not count.
func (r *Registry) StopChecker(ctx context.Context, by Actor, name string) error {
	return r.now(ctx, name, func(c *client) <-chan error {
		if r.stopChecker(c) {
			r.note(Event{Kind: CheckerStopped, Time: r.wall(), Client: r.view(c), By: by, Properties: []Property{PropCheckerRunning}})
		}
		return r.told()
	})
}

// now does something that takes effect at once, and waits until it is saved and
// told.
func (r *Registry) now(ctx context.Context, name string, do func(*client) <-chan error) error {
	r.mu.Lock()
	c, closed := r.clients[name], r.closed
	var done <-chan error
	if c != nil && !closed {
		r.expireIfDue(c)
		done = do(c)
	}
	r.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case c == nil:
		return &NoClientError{name}
	case done == nil:
		return nil
	}
	return wait(ctx, done)
}

// Update is a change of some of a client's settings to values as [Setting.Value] has
// them.
type Update map[Property]any

// Update changes settings of a client at run time. Changing the timeout moves the
// expiry by the difference, which may disable the client at once; changing the
// interval starts a check and the interval anew.
func (r *Registry) Update(ctx context.Context, by Actor, name string, u Update) error {
	return r.propose(ctx, &change{
		name: name,
		plan: func(saved recordSource) ([]Record, error) {
			record, ok := saved(name)
			if !ok || record.absent() {
				return nil, &NoClientError{name}
			}
			before := record.Timeout
			if len(u.applyTo(&record.Settings)) == 0 {
				return nil, nil
			}
			if faults := record.Settings.Faults(); len(faults) > 0 {
				return nil, fmt.Errorf("%w: %w", ErrBadSetting, faults[0].Err)
			}
			record.moveExpiry(before)
			return []Record{record}, nil
		},
		apply: func() []Event {
			c := r.clients[name]
			if c == nil {
				return nil
			}
			before := c.Settings
			changed := u.applyTo(&c.Settings)
			if len(changed) == 0 {
				return nil
			}
			return r.settled(c, before, changed, by)
		},
	})
}

// applyTo changes s and tells what differs now.
func (u Update) applyTo(s *Settings) (changed []Property) {
	for i := range AllSettings {
		d := &AllSettings[i]
		if value, ok := u[d.Property]; ok && !d.Fixed {
			changed = d.put(s, value, changed)
		}
	}
	return changed
}

func set[T comparable](changed []Property, to, from *T, name Property) []Property {
	if from == nil || *from == *to {
		return changed
	}
	*to = *from
	return append(changed, name)
}

// settled draws the consequences of settings that were changed from before.
func (r *Registry) settled(c *client, before Settings, changed []Property, by Actor) []Event {
	told := changes(&c.Settings, changed)
	if c.Enabled && c.Timeout != before.Timeout {
		r.setDeadline(c, time.Until(c.deadline)+c.Timeout-before.Timeout)
		changed = append(changed, PropExpires)
	}
	event := Event{Kind: Changed, Time: r.wall(), Client: r.view(c), By: by, Properties: changed, Changes: told}
	switch {
	case c.Enabled && !time.Now().Before(r.due(c)):
		r.expire(c, TimedOut, by)
	case c.Enabled && c.Interval != before.Interval:
		r.schedule(c, c.Interval)
		r.startChecker(c)
	}
	c.stir()
	return []Event{event}
}
