// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mandos/dbusapi/notation"
)

// Grant is somebody's word that a client may get its secret so many times. What is left
// of it follows from the hand-outs that used it, so that nothing refills it.
type Grant struct {
	// ID is 128 bits in hex, which tell this grant from every other.
	ID    string
	By    Actor
	At    time.Time
	Times int
	// Until is when it ends, and For how long it was given for; zero for no end.
	Until time.Time
	For   time.Duration
	// Used are the IDs of the hand-outs that it was used for.
	Used []string
	// Returned is how often one of them was given back, as it did not arrive.
	Returned int

	ends time.Time // on the monotonic clock; zero until it is asked for
}

// The values of the setting handouts.
const (
	handoutsFree    = "free"
	handoutsGranted = "granted"
)

// maxGrants bounds the grants of a client that are in force.
const maxGrants = 16

func judgeHandoutsSetting(_ *Setting, s *Settings) error {
	if s.granted() && s.Handouts != handoutsGranted {
		return fmt.Errorf("the handouts must be %s or %s", handoutsFree, handoutsGranted) // not showing what may be a swallowed secret
	}
	return nil
}

// granted reports whether it takes a grant to get the secret. What is not understood does.
func (s *Settings) granted() bool { return s.Handouts != handoutsFree && s.Handouts != "" }

// left is how many hand-outs are left of the grant.
func (g *Grant) left(wall time.Time) int {
	if g.For > 0 {
		if g.ends.IsZero() {
			g.ends = time.Now().Add(min(g.Until.Sub(wall), g.For))
		}
		if time.Until(g.ends) <= 0 {
			return 0
		}
	}
	return max(0, g.Times-len(g.Used))
}

// grants are never changed in place, so that copies may share what they have.
type grants []Grant

// left is how many hand-outs are left of all grants, and when the last of these ends,
// which is zero if one has no end.
func (all grants) left(wall time.Time) (left int, until time.Time) {
	endless := false
	for i := range all {
		g := &all[i]
		n := g.left(wall)
		if n == 0 {
			continue
		}
		left += n
		if g.For == 0 {
			endless = true
		} else if end := wall.Add(time.Until(g.ends)); end.After(until) {
			until = end
		}
	}
	if endless {
		return left, time.Time{}
	}
	return left, until
}

// use takes a hand-out from the grant that ends first, of those that are meant.
func (all grants) use(id string, wall time.Time, meant func(*Grant) bool) grants {
	all = slices.Clone(all)
	best := -1
	for i := range all {
		g := &all[i]
		if g.left(wall) == 0 || !meant(g) {
			continue
		}
		if best < 0 || g.For > 0 && (all[best].For == 0 || g.ends.Before(all[best].ends)) {
			best = i
		}
	}
	if best >= 0 {
		all[best].Used = append(slices.Clone(all[best].Used), id)
	}
	return all
}

// giveBack takes a hand-out from those that grants were used for, and reports whether
// there was one. One that did not arrive is given back only so often.
func (all grants) giveBack(id string, sent bool) (_ grants, given bool) {
	all = slices.Clone(all)
	for i := range all {
		g := &all[i]
		if !slices.Contains(g.Used, id) || sent && g.Returned >= maxLost {
			continue
		}
		g.Used = slices.DeleteFunc(slices.Clone(g.Used), func(used string) bool { return used == id })
		if sent {
			g.Returned++
		}
		given = true
	}
	return all, given
}

// usedFor reports whether a grant was used for that hand-out.
func (all grants) usedFor(id string) bool {
	return id != "" && slices.ContainsFunc(all, func(g Grant) bool { return slices.Contains(g.Used, id) })
}

// inForce are those of which something is left.
func (all grants) inForce(wall time.Time) grants {
	return slices.DeleteFunc(slices.Clone(all), func(g Grant) bool { return g.left(wall) == 0 })
}

// judgeGrant looks for a grant, or for that which the hand-out has used already.
func judgeGrant(r *Registry, of *request) Ruling {
	c := of.client
	if !c.granted() {
		return Ruling{Verdict: Passes}
	}
	left, until := c.Grants.left(r.wall())
	if left > 0 || c.Grants.usedFor(of.entered) {
		return Ruling{Verdict: Passes, Until: until, Note: "handouts is " + c.Handouts}
	}
	return Ruling{Verdict: Refuses, Refusal: NotGranted, Remedy: ToAllow, Note: "handouts is " + c.Handouts}
}

// Allow grants a client so many hand-outs: within d, or, if that is 0, whenever they are.
func (r *Registry) Allow(ctx context.Context, by Actor, name string, times int, d time.Duration) error {
	return r.grant(ctx, by, name, times, d, Allowed, grantProperties, func(record *Record) *grants { return &record.Grants })
}

// grant adds a grant to one of a client's lists of them, when it is saved.
func (r *Registry) grant(ctx context.Context, by Actor, name string, times int, d time.Duration, told EventKind, properties []Property, list func(*Record) *grants) error {
	switch {
	case times < 1 || times > maxTimes:
		return fmt.Errorf("%w: hand-outs are granted from 1 to %d at a time", ErrBadSetting, maxTimes)
	case d < 0 || d > MaxDuration:
		return fmt.Errorf("%w: a grant lasts from 1ms to 50 years, or 0 for without end", ErrBadSetting)
	}
	grant := Grant{ID: newID(), By: by, At: r.wall(), Times: times, For: d}
	note := counted(times, "hand-out")
	if d > 0 {
		grant.Until, grant.ends = grant.At.Add(d), time.Now().Add(d)
		note += " within " + notation.FormatDuration(d)
	}
	add := func(record *Record) error {
		all := list(record)
		inForce := all.inForce(r.wall())
		switch {
		case !record.Enabled:
			return fmt.Errorf("client %s is disabled; enable it before anything is granted to it", name)
		case len(inForce) >= maxGrants:
			return fmt.Errorf("client %s has %d grants, and that is enough; revoke them, or use them", name, maxGrants)
		}
		*all = append(inForce, grant)
		return nil
	}
	overtaken := false
	if err := r.propose(ctx, &change{
		name: name,
		plan: func(saved recordSource) ([]Record, error) {
			record, ok := saved(name)
			if !ok || record.absent() {
				return nil, &NoClientError{name}
			}
			if err := add(&record); err != nil {
				return nil, err
			}
			return []Record{record}, nil
		},
		apply: func() []Event {
			c := r.clients[name]
			if overtaken = c == nil || add(&c.Record) != nil; overtaken {
				return nil
			}
			c.stir()
			return []Event{{Kind: told, Time: r.wall(), Client: r.view(c), By: by, Note: note, Properties: properties}}
		},
	}); err != nil {
		return err
	}
	if overtaken {
		return errors.New("somebody else disabled or removed it at this moment; see who it was")
	}
	return nil
}

var grantProperties = []Property{PropHandoutsAllowed, PropAllowedUntil}

// Revoke takes back at once what is left of a client's grants.
func (r *Registry) Revoke(ctx context.Context, by Actor, name string) error {
	return r.now(ctx, name, func(c *client) <-chan error {
		if left, _ := c.Grants.left(r.wall()); left == 0 {
			return r.told()
		}
		c.Grants = nil
		c.stir()
		return r.durably(name, Event{Kind: Revoked, Time: r.wall(), Client: r.view(c), By: by, Properties: grantProperties})
	})
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
