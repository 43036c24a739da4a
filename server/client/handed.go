// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/netip"
	"slices"
	"time"
)

// Outcome is a code for what became of a hand-out. It is saved.
type Outcome string

// The outcomes.
const (
	Underway   Outcome = ""             // or the server ended before it was known
	Arrived    Outcome = "received"     //
	NotArrived Outcome = "not-received" // as far as anybody can tell
	NeverKnown Outcome = "unknown"      // it was under way when the server ended
)

// Handed is a hand-out on record: that the secret may be sent is saved before it is.
type Handed struct {
	// ID is 128 bits in hex, which tell this hand-out from every other.
	ID       string
	At       time.Time
	Identity Identity
	Address  netip.AddrPort
	Outcome  Outcome
	// Ago is how long ago it was when this was saved, counted while the server runs, so
	// that no clock makes it longer.
	Ago time.Duration

	since time.Time // when it was, on the monotonic clock; zero until it is asked for
	ended time.Time // when the outcome came, on the monotonic clock
}

// What is kept of hand-outs: so many of those that were last, fewer of those that nothing
// counts once the history tells of them, and none of them longer than so.
const (
	maxHanded          = 2 * maxTimes
	maxHandedUncounted = 20
	keepHanded         = 24 * time.Hour
)

// settleTime is how long a hand-out stays under way on disk after its end, so that this
// is in the history and the log before nothing else tells of it.
const settleTime = 3 * time.Second

// settles reports whether it has ended and is under way on disk.
func (h *Handed) settles() bool { return !h.ended.IsZero() && time.Since(h.ended) < settleTime }

// settles reports whether one of them does.
func settles(all []Handed) bool {
	return slices.ContainsFunc(all, func(h Handed) bool { return h.settles() })
}

// age is how long ago the hand-out was.
func (h *Handed) age() time.Duration {
	if h.since.IsZero() {
		h.since = time.Now().Add(-h.Ago)
	}
	return time.Since(h.since)
}

// begin puts a hand-out on record.
func (c *client) begin(h *Handout) {
	h.number = newID()
	kept := c.handedToKeep(1)
	c.Handed = append(kept[max(0, len(kept)-maxHanded+1):], Handed{
		ID: h.number, At: h.registry.wall(), Identity: h.id, Address: h.from.Address, since: time.Now(),
	})
	if c.granted() {
		c.Grants = c.Grants.use(h.number, h.registry.wall(), func(*Grant) bool { return true })
	}
	c.useAhead(h)
}

// handedToKeep are the hand-outs that are kept when so many more come. Those of which
// nothing else tells yet are kept, up to maxHanded.
func (c *client) handedToKeep(coming int) []Handed {
	most := maxHanded
	if c.HandoutLimit == "" {
		most = maxHandedUncounted
	}
	left := len(c.Handed) + coming
	return slices.DeleteFunc(slices.Clone(c.Handed), func(h Handed) bool {
		told := h.Outcome != Underway && !h.settles()
		if told && (left > most || h.age() > keepHanded) {
			left--
			return true
		}
		return false
	})
}

// end notes what became of a hand-out, wherever the record of its client is by now.
func (r *Registry) end(h *Handout, outcome Outcome) {
	note := func(record *Record) {
		record.Handed = slices.Clone(record.Handed)
		for i := range record.Handed {
			if handed := &record.Handed[i]; handed.ID == h.number {
				handed.Outcome, handed.ended = outcome, time.Now()
			}
		}
	}
	if c := r.clients[h.Client]; c != nil {
		note(&c.Record)
	} else if away, is := r.absent[h.Client]; is {
		note(&away.Record)
		r.absent[h.Client] = away
	}
	time.AfterFunc(settleTime, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.closed {
			return
		}
		if c := r.clients[h.Client]; c != nil {
			c.Handed = c.handedToKeep(0)
		}
		r.touch(h.Client)
	})
}

// withdraw takes a hand-out back of which nothing was sent.
func (c *client) withdraw(h *Handout) {
	c.Handed = slices.DeleteFunc(slices.Clone(c.Handed), func(handed Handed) bool { return handed.ID == h.number })
	c.Grants, _ = c.Grants.giveBack(h.number, false)
	c.Ahead, _ = c.Ahead.giveBack(h.number, false)
	h.registry.touch(c.Name)
}

// handedToSave are the hand-outs as they are saved.
func (r *Registry) handedToSave(all []Handed) (saved []Handed) {
	for i := range all {
		handed := all[i]
		if !r.closed && handed.settles() {
			handed.Outcome = Underway
		}
		handed.Ago = all[i].age()
		handed.since, handed.ended = time.Time{}, time.Time{}
		saved = append(saved, handed)
	}
	return saved
}

// tellUnderway tells of what was under way when a server ended, of which nobody knows
// whether it arrived.
func (r *Registry) tellUnderway(record *Record, view View) {
	record.Handed = slices.Clone(record.Handed)
	for i := range record.Handed {
		if handed := &record.Handed[i]; handed.Outcome == Underway {
			handed.Outcome = NeverKnown
			r.touch(record.Name, Event{Kind: MayHaveBeenSent, Time: handed.At, Client: view, Identity: handed.Identity, Address: handed.Address})
		}
	}
}
