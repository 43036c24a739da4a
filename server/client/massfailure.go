// SPDX-License-Identifier: Apache-2.0

package client

import "time"

// Many clients that fail their checks within an interval have most likely one fault in
// common, such as the server's own network.

// fewest is how many clients there have to be for one to speak of most of them.
const fewest = 4

// lookDelay is how long it may take until somebody looks how many fail, so that with many
// clients nobody looks at all of them for each.
const lookDelay = time.Second

// massFailure is whether most clients fail their checks.
type massFailure struct {
	since   time.Time // zero if they do not
	expired int       // how many have expired since
	look    *time.Timer
}

// MassFailureSince is since when most clients fail their checks, which they began to do
// within an interval. It is zero if they do not.
func (r *Registry) MassFailureSince() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.massFailure.since
}

// checked notes how a client's last check ended.
func (r *Registry) checked(c *client) {
	fails := c.LastCheckerStatus != 0
	switch {
	case fails == !c.failingSince.IsZero():
		return
	case fails:
		c.failingSince = time.Now()
	default:
		c.failingSince = time.Time{}
	}
	r.lookAtFailures()
}

// lookAtFailures finds out soon whether most clients fail.
func (r *Registry) lookAtFailures() {
	if r.massFailure.look != nil || r.closed {
		return
	}
	r.massFailure.look = time.AfterFunc(lookDelay, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.massFailure.look = nil
		if !r.closed {
			r.judgeFailures()
		}
	})
}

// judgeFailures begins a mass failure when more than half of the clients began to fail
// within their interval, and ends it when no more than half fail. Those that are expected
// to be away say nothing.
func (r *Registry) judgeFailures() {
	m := &r.massFailure
	all, fail, lately := 0, 0, 0
	for _, c := range r.clients {
		if !c.Enabled || c.isPlannedAway() {
			continue
		}
		all++
		if !c.failingSince.IsZero() {
			fail++
			if time.Since(c.failingSince) <= c.Interval+lookDelay {
				lately++
			}
		}
	}
	event := Event{Time: r.wall(), Failing: fail, Enabled: all}
	switch {
	case m.since.IsZero() && all >= fewest && 2*lately > all:
		m.since, m.expired = event.Time, 0
		event.Kind = MassFailure
	case !m.since.IsZero() && 2*fail <= all:
		m.since = time.Time{}
		event.Kind, event.Expired = MassFailureOver, m.expired
	default:
		return
	}
	r.note(event)
}
