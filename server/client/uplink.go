// SPDX-License-Identifier: Apache-2.0

package client

import "time"

// When the server's own way to the network fails, the checks of all clients fail, and all
// would expire. While that is known of, expiry may stand still: for each client so long
// in all, since its own last good check, as the server lends at most. A client that is
// valid by this alone is on borrowed time, and needs a person's approval for its secret.

// uplink is what is known of the server's own way to the network.
type uplink struct {
	grace time.Duration // the time that is lent; 0 for none
	fails bool
	since time.Time // when it began to fail
}

// Borrowed is what a client has had of the time that the server lends.
type Borrowed struct {
	// Spent is how long its expiry has stood still since its last good check, in all.
	Spent time.Duration
	// Moved is how much of that its present expiry has been put off by.
	Moved time.Duration
	// Since is since when it stands still, which is not counted in these yet; zero if it
	// does not.
	Since time.Time
}

// askingTime is how long a person has at least to let a client on borrowed time have its
// secret, which may have no approval delay of its own.
const askingTime = time.Minute

// Lend says how long the expiry of a client may stand still. It must be called before
// Resume, if at all.
func (r *Registry) Lend(grace time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.uplink.grace = grace
}

// UplinkFailsSince is since when the server's own way to the network fails; zero if it
// works, or nobody looks.
func (r *Registry) UplinkFailsSince() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.uplink.since
}

// UplinkChecked takes in how the last check of the uplink ended, and whether that means
// that it works.
func (r *Registry) UplinkChecked(works bool, result CheckResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.uplink.grace == 0 || r.uplink.fails == !works {
		return
	}
	r.expireAllDue("")
	event := Event{Kind: UplinkWorks, Time: r.wall()}
	r.uplink.fails, r.uplink.since = !works, time.Time{}
	if !works {
		event.Kind, event.Check, r.uplink.since = UplinkFails, result, event.Time
	}
	r.queue.serverUnsaved = true
	events := []Event{event}
	for _, c := range r.clients {
		if c.Enabled {
			r.standStill(c)
			r.awaitExpiry(c)
			r.queue.unsaved[c.Name] = struct{}{}
			events = append(events, r.borrowing(c)...)
		}
	}
	r.note(events...)
}

// settle counts the time for which the client's expiry has stood still until now.
func (r *Registry) settle(c *client) {
	if c.stillSince.IsZero() {
		return
	}
	if c.standsStill() {
		d := max(0, min(time.Since(c.stillSince), r.uplink.grace-c.Borrowed.Spent))
		c.Borrowed.Spent += d
		c.Borrowed.Moved += d
	}
	c.stillSince = time.Time{}
}

// standStill has the client's expiry stand still from now on, if the uplink fails.
func (r *Registry) standStill(c *client) {
	r.settle(c)
	if r.uplink.fails {
		c.stillSince = time.Now()
	}
}

// standsStill reports whether the client's expiry does. One that had come before would not
// come later.
func (c *client) standsStill() bool {
	return !c.stillSince.IsZero() && c.ownDue().Add(c.Borrowed.Moved).After(c.stillSince)
}

// putOff is by how much the client's expiry is put off, if the uplink stays as it is.
func (r *Registry) putOff(c *client) time.Duration {
	d := c.Borrowed.Moved
	if c.standsStill() {
		d += max(0, r.uplink.grace-c.Borrowed.Spent)
	}
	return d
}

// borrows reports whether the client is valid on borrowed time alone.
func (r *Registry) borrows(c *client) bool {
	return c.Enabled && r.putOff(c) > 0 && !time.Now().Before(c.ownDue())
}

// borrowing tells that the client is on borrowed time, and until when, if it is.
func (r *Registry) borrowing(c *client) []Event {
	if !r.borrows(c) {
		return nil
	}
	return []Event{{Kind: BorrowsTime, Time: r.wall(), Client: r.view(c), Properties: []Property{PropOnBorrowedTime, PropExpires}}}
}

// resumeBorrowing goes on with what was saved of it. What the server does not lend any
// more is gone.
func (r *Registry) resumeBorrowing(c *client) {
	since := c.Borrowed.Since
	c.Borrowed.Since = time.Time{}
	c.Borrowed.Moved = min(c.Borrowed.Moved, r.uplink.grace)
	r.standStill(c)
	if !since.IsZero() && !c.stillSince.IsZero() {
		c.stillSince = c.stillSince.Add(-max(0, r.wall().Sub(since)))
	}
}

// judgeBorrowed is the rule.
func judgeBorrowed(r *Registry, of *request) Ruling {
	c := of.client
	switch {
	case !r.borrows(c):
		return Ruling{Verdict: Passes}
	case c.approved != nil && *c.approved:
		return Ruling{Verdict: Passes, Until: c.decided}
	case of.late:
		return Ruling{Verdict: Refuses, Refusal: OnBorrowedTime, Remedy: ToApprove}
	}
	return Ruling{Verdict: Waits, Remedy: ToApprove}
}

// askingTime is how long a connection waits for approval.
func (r *Registry) askingTime(c *client) time.Duration {
	if r.borrows(c) {
		return max(c.ApprovalDelay, askingTime)
	}
	return c.ApprovalDelay
}
