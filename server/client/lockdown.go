// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Lockdown is one fact: nobody gets a secret, until a person ends it or its time is over.
// Checks go on meanwhile.
type Lockdown struct {
	// ID is 128 bits in hex, which tell this fact from every other.
	ID string
	By Actor
	At time.Time
	// Why is in somebody's words; it may be empty.
	Why string
	// Left is how long it lasts yet, counted while the server runs, so that no clock
	// ends it; 0 for until somebody ends it.
	Left time.Duration
}

// ServerRecord is what must survive of the server itself.
type ServerRecord struct {
	// Lockdown is the one in force, or nil.
	Lockdown *Lockdown
	// UplinkFailsSince is since when the server's own way to the network fails; zero if it
	// works.
	UplinkFailsSince time.Time
}

// maxWhy bounds what somebody says of a reason, in bytes.
const maxWhy = 200

// lockdownCount is how often it is saved what is left of a lockdown.
const lockdownCount = time.Minute

// lockdown is the one in force.
type lockdown struct {
	Lockdown
	ends time.Time // on the monotonic clock; zero for until somebody ends it
}

// Resume continues what was saved of the server. It must be called before Load.
func (r *Registry) Resume(saved ServerRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if saved.Lockdown != nil {
		r.lockDown(*saved.Lockdown)
	}
	if since := saved.UplinkFailsSince; r.uplink.grace > 0 && !since.IsZero() { // until it is checked
		r.uplink.fails, r.uplink.since = true, since
	}
}

// LockDown refuses everybody at once, also those who wait: for d, or, if that is 0, until
// somebody ends it. It takes the place of one that is in force.
func (r *Registry) LockDown(ctx context.Context, by Actor, why string, d time.Duration) error {
	if err := faultOfWhy(why); err != nil {
		return fmt.Errorf("%w: %w", ErrBadSetting, err)
	}
	if d < 0 || d > MaxDuration {
		return fmt.Errorf("%w: a lockdown lasts from 1ms to 50 years, or 0 for until it is ended", ErrBadSetting)
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	r.lockDown(Lockdown{ID: newID(), By: by, At: r.wall(), Why: why, Left: d})
	for _, c := range r.clients {
		c.stir()
	}
	done := make(chan error, 1)
	event := Event{Kind: LockdownOn, Time: r.wall(), By: by, Note: why}
	r.queue.serverUnsaved = true
	r.queue.push(&item{events: []Event{event}, durable: true, server: true, done: done})
	r.mu.Unlock()
	return wait(ctx, done)
}

// EndLockdown ends the lockdown, if one is in force. One that somebody began after that
// was asked for stays.
func (r *Registry) EndLockdown(ctx context.Context, by Actor) error {
	seen, _, on := r.LockedDown()
	if !on {
		return nil
	}
	end := &change{server: new(ServerRecord)}
	overtaken := false
	isSeen := func() bool { return r.lockdown != nil && r.lockdown.ID == seen.ID }
	end.plan = func(recordSource) ([]Record, error) {
		if *end.server = r.serverRecord(); isSeen() {
			end.server.Lockdown = nil
		}
		return nil, nil
	}
	end.apply = func() []Event {
		if overtaken = r.lockdown != nil && !isSeen(); overtaken || r.lockdown == nil {
			return nil
		}
		r.lockdown = nil
		return []Event{{Kind: LockdownOff, Time: r.wall(), By: by}}
	}
	if err := r.propose(ctx, end); err != nil {
		return err
	}
	if overtaken {
		return errors.New("somebody else began another lockdown at this moment; see why, and end it again if that is meant")
	}
	return nil
}

// LockedDown is the lockdown in force, and when it ends, which is zero for one without end.
func (r *Registry) LockedDown() (in Lockdown, until time.Time, on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.endLockdownIfDue(); r.lockdown == nil {
		return Lockdown{}, time.Time{}, false
	}
	return *r.serverRecord().Lockdown, r.lockdownUntil(), true
}

// lockDown puts a lockdown in force.
func (r *Registry) lockDown(in Lockdown) {
	l := &lockdown{Lockdown: in}
	r.lockdown = l
	if in.Left > 0 {
		l.ends = time.Now().Add(in.Left)
		r.countDown(l)
	}
}

// countDown ends the lockdown when its time has come, and saves meanwhile what is left.
func (r *Registry) countDown(l *lockdown) {
	time.AfterFunc(min(time.Until(l.ends), lockdownCount), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case r.closed || r.lockdown != l:
			return
		case time.Until(l.ends) <= 0:
			r.endLockdownIfDue()
		default:
			r.countDown(l)
		}
		r.queue.serverUnsaved = true
		r.note()
	})
}

// endLockdownIfDue ends it when its time has come. The timer may be late.
func (r *Registry) endLockdownIfDue() {
	if l := r.lockdown; l != nil && !l.ends.IsZero() && time.Until(l.ends) <= 0 {
		r.lockdown = nil
		r.queue.serverUnsaved = true
		r.note(Event{Kind: LockdownOff, Time: r.wall(), By: ByItself})
	}
}

// lockdownUntil is the time of day at which the lockdown ends; zero without an end.
func (r *Registry) lockdownUntil() time.Time {
	if r.lockdown.ends.IsZero() {
		return time.Time{}
	}
	return r.wall().Add(time.Until(r.lockdown.ends))
}

// serverRecord is what to save of the server.
func (r *Registry) serverRecord() (record ServerRecord) {
	if r.lockdown != nil {
		in := r.lockdown.Lockdown
		if !r.lockdown.ends.IsZero() {
			in.Left = max(time.Until(r.lockdown.ends), time.Nanosecond)
		}
		record.Lockdown = &in
	}
	record.UplinkFailsSince = r.uplink.since
	return record
}

// judgeLockdown is the rule.
func judgeLockdown(r *Registry, _ *request) Ruling {
	r.endLockdownIfDue()
	if r.lockdown == nil {
		return Ruling{Verdict: Passes}
	}
	return Ruling{Verdict: Refuses, Refusal: IsLockedDown, Remedy: ToEndLockdown, Until: r.lockdownUntil(), Note: r.lockdown.Why}
}

// faultOfWhy says what is wrong with somebody's words.
func faultOfWhy(why string) error {
	switch {
	case len(why) > maxWhy:
		return fmt.Errorf("the reason is longer than %d bytes; make it shorter", maxWhy)
	case !utf8.ValidString(why):
		return errors.New("the reason is no text in UTF-8")
	}
	for _, char := range why {
		if !unicode.IsPrint(char) {
			return fmt.Errorf("the reason has the character %U, which cannot be printed; leave it out", char)
		}
	}
	return nil
}
