// SPDX-License-Identifier: Apache-2.0

package client

import "time"

// expireIn makes the client expire after d, which is put off by nothing yet.
func (r *Registry) expireIn(c *client, d time.Duration) {
	r.standStill(c)
	c.Borrowed.Moved = 0
	r.setDeadline(c, d)
}

// setDeadline makes the client expire after d, or when that is put off to.
func (r *Registry) setDeadline(c *client, d time.Duration) {
	c.deadline = time.Now().Add(d)
	c.Expires = r.wall().Add(d)
	r.awaitExpiry(c)
}

// awaitExpiry makes the client expire when that is due, which may have moved.
func (r *Registry) awaitExpiry(c *client) {
	if c.expiry != nil {
		c.expiry.Stop()
	}
	next := c.ownDue()
	if !time.Now().Before(next) {
		next = r.due(c)
	}
	c.expiry = r.after(c, time.Until(next), func() {
		if r.expireIfDue(c); c.Enabled {
			r.touch(c.Name, r.borrowing(c)...)
			r.awaitExpiry(c)
		}
	})
}

// ownDue is when the client would expire without borrowed time: at its deadline, but not
// during a planned absence.
func (c *client) ownDue() time.Time {
	if c.awayUntil.After(c.deadline) {
		return c.awayUntil
	}
	return c.deadline
}

// due is when the client expires.
func (r *Registry) due(c *client) time.Time { return c.ownDue().Add(r.putOff(c)) }

// expireIfDue lets a client expire whose deadline has passed. The timer may be
// late: when the process goes on after a pause it is one of many that want to
// run. Whatever rests on the client's being valid must call this before.
func (r *Registry) expireIfDue(c *client) {
	r.endAbsenceIfDue(c)
	if c.Enabled && !c.deadline.IsZero() && !time.Now().Before(r.due(c)) {
		r.expire(c, TimedOut, ByItself)
	}
}

// expireAllOfKeyIfDue is expireIfDue for the client and all others with its key.
func (r *Registry) expireAllOfKeyIfDue(c *client) {
	r.expireIfDue(c)
	for _, other := range r.byIdentity[c.identity()] {
		r.expireIfDue(other)
	}
}

// stirAllOfKey is stir for the client and all others with its key, which are lowered
// with it.
func (r *Registry) stirAllOfKey(c *client) {
	c.stir()
	for _, other := range r.byIdentity[c.identity()] {
		if other != c {
			other.stir()
		}
	}
}

// expire ends the client's validity, since nobody has seen it alive in time. By
// is who made that time shorter, if anybody did.
func (r *Registry) expire(c *client, why Reason, by Actor) {
	c.Standing = c.Standing.expire(c.Name, why, r.wall(), c.key())
	r.lowered(c, by, why)
}

// provedAlive gives the client one timeout from now.
func (r *Registry) provedAlive(c *client) []Property {
	r.expireIfDue(c)
	c.LastCheckedOK = r.wall()
	c.GraceSpent = false
	if !c.Enabled {
		return []Property{PropLastCheckedOK}
	}
	borrowed := r.borrows(c)
	c.Borrowed, c.stillSince = Borrowed{}, time.Time{}
	properties := []Property{PropLastCheckedOK, PropExpires}
	if c.Absence.Begun {
		r.dropAbsence(c)
		properties = append(properties, PropAbsenceUntil)
	}
	r.expireIn(c, c.Timeout)
	if borrowed {
		properties = append(properties, PropOnBorrowedTime)
		c.stir() // who waits need not wait any more
	}
	return properties
}

// lowered takes the client's validity away, for what its standing has got. To a
// client that was not valid it is one more fact, which is saved and changes
// nothing that anybody sees.
func (r *Registry) lowered(c *client, by Actor, why Reason) <-chan error {
	if !c.Enabled {
		return r.durably(c.Name)
	}
	properties := []Property{PropExpires}
	if r.borrows(c) {
		properties = append(properties, PropOnBorrowedTime)
	}
	if c.isPlannedAway() {
		properties = append(properties, PropAbsenceUntil)
	}
	r.idleTimers(c)
	if r.stopChecker(c) {
		properties = append(properties, PropCheckerRunning)
	}
	c.judge()
	r.stirAllOfKey(c)
	r.lookAtFailures()
	if why == TimedOut {
		r.massFailure.expired++
	}
	return r.durably(c.Name, Event{
		Kind: Disabled, Time: c.DisabledSince, Client: r.view(c), By: by, Reason: why,
		Properties: append(properties, PropEnabled),
	})
}

// idleTimers stops what makes an enabled client's time pass, and ends what was planned
// for it.
func (r *Registry) idleTimers(c *client) {
	for _, timer := range []*time.Timer{c.expiry, c.nextCheck} {
		if timer != nil {
			timer.Stop()
		}
	}
	c.expiry, c.nextCheck = nil, nil
	c.failingSince = time.Time{}
	c.Expires, c.deadline, c.stillSince = time.Time{}, time.Time{}, time.Time{}
	r.dropAbsence(c)
}

// probation is how long a client that was enabled has to prove itself.
func (s *Settings) probation() time.Duration { return 2 * s.Interval }

// revive lets time pass for a client that was raised.
func (r *Registry) revive(c *client, by Actor) Event {
	c.judge()
	r.expireIn(c, c.probation())
	r.schedule(c, c.Interval)
	c.stir()
	return Event{
		Kind: Enabled, Time: c.LastEnabled, Client: r.view(c), By: by,
		Properties: []Property{PropEnabled, PropLastEnabled, PropExpires},
	}
}
