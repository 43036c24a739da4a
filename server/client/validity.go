// SPDX-License-Identifier: Apache-2.0

package client

import "time"

// expireIn makes the client expire after d.
func (r *Registry) expireIn(c *client, d time.Duration) {
	if c.expiry != nil {
		c.expiry.Stop()
	}
	c.deadline = time.Now().Add(d)
	c.Expires = r.wall().Add(d)
	c.expiry = r.after(c, d, func() { r.disable(c, Actor{}, TimedOut) })
}

// provedAlive gives the client one timeout from now.
func (r *Registry) provedAlive(c *client) []Property {
	c.LastCheckedOK = r.wall()
	if !c.Enabled {
		return []Property{PropLastCheckedOK}
	}
	r.expireIn(c, c.Timeout)
	return []Property{PropLastCheckedOK, PropExpires}
}

// disable takes the client's validity away until a person gives it back.
func (r *Registry) disable(c *client, by Actor, why Reason) <-chan error {
	r.idleTimers(c)
	properties := []Property{PropExpires}
	if r.stopChecker(c) {
		properties = append(properties, PropCheckerRunning)
	}
	c.Enabled = false
	c.DisabledSince, c.DisabledBecause = r.wall(), why
	c.stir()
	return r.durably(c.Name, Event{
		Kind: Disabled, Time: c.DisabledSince, Client: r.view(c), By: by, Reason: why,
		Properties: append(properties, PropEnabled),
	})
}

// idleTimers stops what makes an enabled client's time pass.
func (r *Registry) idleTimers(c *client) {
	for _, timer := range []*time.Timer{c.expiry, c.nextCheck} {
		if timer != nil {
			timer.Stop()
		}
	}
	c.expiry, c.nextCheck = nil, nil
	c.Expires, c.deadline = time.Time{}, time.Time{}
}

// enabling is the part of becoming enabled that is saved. The client has two
// intervals to prove itself.
func enabling(s *Settings, state *State, now time.Time) {
	s.Enabled = true
	state.LastEnabled = now
	state.Expires = now.Add(2 * s.Interval)
	state.DisabledSince, state.DisabledBecause = time.Time{}, ""
}

// enable makes what enabling wrote come true: time passes for the client.
func (r *Registry) enable(c *client, by Actor) Event {
	enabling(&c.Settings, &c.State, r.wall())
	r.expireIn(c, 2*c.Interval)
	r.schedule(c, c.Interval)
	c.stir()
	return Event{
		Kind: Enabled, Time: c.LastEnabled, Client: r.view(c), By: by,
		Properties: []Property{PropEnabled, PropLastEnabled, PropExpires},
	}
}
