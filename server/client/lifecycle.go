// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Load fills the registry with the configured clients, each continued from what
// was saved of it. Clients that expired while no server ran are disabled. It must
// be called once, before Start. It fails, with a [*VanishedError], if no client is
// left of those that were saved.
func (r *Registry) Load(configured []Settings, saved []Record) (Reloaded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := vanished(configured, saved); err != nil {
		return Reloaded{}, err
	}
	next := newSuccession(configured, saved, r.wall(), nil)
	for i := range next.heirs {
		h := &next.heirs[i]
		if h.absent() {
			r.setAbsent(h.Name, absentee{h.Record, h.position})
		} else {
			r.appear(h)
		}
		r.queue.unsaved[h.Name] = struct{}{}
	}
	for _, c := range r.ordered() {
		r.tellUnderway(&c.Record, r.view(c))
	}
	for _, record := range next.gone {
		r.tellUnderway(&record, View{Settings: record.Settings, State: record.State})
		r.setAbsent(record.Name, absentee{Record: record})
	}
	for _, name := range next.leaving {
		r.queue.unsaved[name] = struct{}{}
	}
	r.note(r.forgotten(next.dropped)...)
	return next.reloaded(), nil
}

// appear makes a client of a section that had none.
func (r *Registry) appear(h *heir) *client {
	c := newClient(h.Record, r.freeObjectPath(h.Name), h.position)
	r.insert(c)
	r.restoreDenial(c)
	switch {
	case c.Enabled && !h.goesOn:
		first := r.randomUpTo(c.Interval)
		r.expireIn(c, max(c.Timeout, first+c.Interval))
		r.schedule(c, first)
	case c.Enabled && h.known && !h.former.Enabled:
		r.note(r.revive(c, FromConfiguration))
	case c.Enabled:
		r.restoreExpiry(c)
	case h.known && h.former.Enabled:
		c.Enabled = true // until this is told
		r.lowered(c, FromConfiguration, c.DisabledBecause)
	}
	return c
}

func (r *Registry) restoreDenial(c *client) {
	left := min(c.DeniedUntil.Sub(r.wall()), c.DeniedFor)
	if left <= 0 {
		c.DeniedUntil, c.DeniedFor, c.DeniedKey = time.Time{}, 0, Key{}
		return
	}
	r.decideFor(c, false, left)
}

// restoreExpiry follows the rule for restarts in the package comment.
func (r *Registry) restoreExpiry(c *client) {
	left := c.Expires.Sub(r.wall())
	c.deadline = time.Now().Add(left)
	r.resumeAbsence(c)
	r.resumeBorrowing(c)
	switch {
	case c.graceful() && left < c.Timeout:
		left = c.Timeout
		c.GraceSpent, c.Borrowed.Moved = true, 0
	case time.Now().Before(r.due(c)):
	case c.LastCheckerStatus == NeverChecked:
		r.expire(c, NeverCheckedOK, ByItself)
		return
	case c.LastCheckerStatus == 0:
		r.expire(c, GraceSpent, ByItself)
		return
	default:
		r.expire(c, CheckFailedLast, ByItself)
		return
	}
	left = min(left, max(c.Timeout, c.ExtendedTimeout, c.probation()))
	r.setDeadline(c, left)
	r.schedule(c, r.randomUpTo(min(c.Interval, time.Until(r.due(c))/2)))
}

func (r *Registry) randomUpTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return r.random(d)
}

// Start sets the registry going: from here on events are told and saved.
func (r *Registry) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = true
	r.queue.push(&item{durable: true}) // what Load made of the clients
	go r.run()
}

// Reload puts a new configuration in place of the former one, as a restart
// would do it, without touching what stays the same. It fails, with a
// [*VanishedError], rather than have all clients go.
func (r *Registry) Reload(ctx context.Context, by Actor, configured []Settings) (Reloaded, error) {
	var reloaded Reloaded
	reload := new(change)
	reload.plan = func(saved recordSource) ([]Record, error) {
		return r.planReload(saved, configured, reload.unseen)
	}
	reload.apply = func() []Event {
		next := newSuccession(configured, r.records(r.record), r.wall(), reload.unseen)
		reloaded = next.reloaded()
		return r.reload(by, &next)
	}
	if err := r.propose(ctx, reload); err != nil {
		return Reloaded{}, err // also while the reload is still on its way
	}
	return reloaded, nil
}

func (r *Registry) planReload(saved recordSource, configured []Settings, unseen unseen) (changed []Record, err error) {
	records := r.records(func(name string) Record {
		record, _ := saved(name)
		return record
	})
	if err := vanished(configured, records); err != nil {
		return nil, err
	}
	next := newSuccession(configured, records, r.wall(), unseen)
	for i := range next.heirs {
		if h := &next.heirs[i]; h.differs() {
			changed = append(changed, h.Record)
		}
	}
	for _, name := range next.leaving {
		if record, kept := next.gone[name]; kept {
			changed = append(changed, record)
		}
	}
	for _, name := range next.dropped {
		changed = append(changed, Record{Settings: Settings{Name: name}, Dropped: true})
	}
	return changed, nil
}

// records are all that something is saved of, in a stable order.
func (r *Registry) records(of func(name string) Record) (records []Record) {
	for _, c := range r.ordered() {
		records = append(records, of(c.Name))
	}
	for _, name := range slices.Sorted(maps.Keys(r.absent)) {
		records = append(records, of(name))
	}
	return slices.DeleteFunc(records, func(r Record) bool { return r.Dropped })
}

func (r *Registry) reload(by Actor, next *succession) (events []Event) {
	for _, name := range next.leaving {
		if c := r.clients[name]; c != nil {
			r.drop(c)
			events = append(events, Event{Kind: Removed, Time: r.wall(), Client: r.view(c), By: by, Reason: ByConfiguration})
		}
		if record, kept := next.gone[name]; kept {
			r.setAbsent(name, absentee{Record: record})
		}
	}
	for i := range next.heirs {
		h := &next.heirs[i]
		c := r.clients[h.Name]
		switch {
		case c != nil && h.absent():
			c.Record = h.Record
			r.leave(c)
			events = append(events, Event{Kind: Removed, Time: r.wall(), Client: r.view(c), By: by, Reason: RemovedByAdministrator})
		case c != nil:
			c.position = h.position
			events = append(events, r.reconfigure(c, h, by)...)
		case h.absent():
			r.setAbsent(h.Name, absentee{h.Record, h.position})
		default:
			r.dropAbsent(h.Name)
			c = r.appear(h)
			r.touch(c.Name)
			events = append(events, Event{Kind: Added, Time: r.wall(), Client: r.view(c), By: by})
		}
	}
	r.reindex()
	return append(events, r.forgotten(next.dropped)...)
}

// reconfigure follows what changed in the configuration of a client that stays.
func (r *Registry) reconfigure(c *client, h *heir, by Actor) (events []Event) {
	if !h.differs() {
		return nil
	}
	before := c.Settings
	r.queue.unsaved[c.Name] = struct{}{}
	c.Record = h.Record
	c.Enabled = before.Enabled
	r.countOpenPGP(c)
	if c.DeniedUntil.After(h.former.DeniedUntil) {
		r.restoreDenial(c)
		c.stir()
	}
	if len(h.changed) > 0 {
		events = r.settled(c, before, h.changed, by)
	}
	switch {
	case h.Enabled && !before.Enabled:
		events = append(events, r.revive(c, by))
	case before.Enabled && !h.Enabled:
		r.lowered(c, by, h.DisabledBecause)
	}
	return events
}

// Close refuses those who wait, kills the running checkers, and saves and tells
// everything that is left. It fails when that is not done before ctx ends.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	r.expireAllDue("")
	r.closed = true
	r.queue.serverUnsaved = r.queue.serverUnsaved || r.lockdown != nil // of which less is left
	for _, c := range r.clients {
		if c.isPlannedAway() || settles(c.Handed) { // of which less is left, or of whose hand-outs more is known
			r.queue.unsaved[c.Name] = struct{}{}
		}
		r.stopChecker(c)
		c.stir()
	}
	for name, away := range r.absent {
		if settles(away.Handed) {
			r.queue.unsaved[name] = struct{}{}
		}
	}
	started := r.started
	r.mu.Unlock()

	done := make(chan struct{})
	go func() {
		r.tasks.Wait()
		if started {
			close(r.stop)
			<-r.idle
		}
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("not everything is saved: %w", context.Cause(ctx))
	}
}
