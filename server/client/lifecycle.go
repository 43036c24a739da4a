// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Load fills the registry with the configured clients, each continued from what
// was saved of it. Clients that expired while no server ran are disabled. It must
// be called once, before Start.
func (r *Registry) Load(configured []Settings, saved []Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := make(map[string]Record, len(saved))
	for _, record := range saved {
		records[record.Settings.Name] = record
	}
	for i, settings := range configured {
		record, known := records[settings.Name]
		delete(records, settings.Name)
		switch {
		case known && record.Removed && !comesBack(record, settings):
			r.removed[settings.Name] = record
			continue
		case known && !record.Removed:
			r.restore(record, settings, i)
		default:
			r.create(settings, i)
		}
		r.queue.unsaved[settings.Name] = struct{}{}
	}
	for name := range records {
		r.queue.unsaved[name] = struct{}{} // not configured any more: to be deleted
	}
}

// create begins the life of a client that the server has not met before.
func (r *Registry) create(settings Settings, position int) *client {
	c := newClient(settings, r.freeObjectPath(settings.Name), position)
	c.Created = r.wall()
	r.insert(c)
	if !c.Enabled {
		c.DisabledSince, c.DisabledBecause = c.Created, ByConfiguration
		return c
	}
	c.LastEnabled = c.Created
	first := r.randomUpTo(c.Interval)
	r.expireIn(c, max(c.Timeout, first+c.Interval))
	r.schedule(c, first)
	return c
}

// restore continues the life of a client from what was saved of it.
func (r *Registry) restore(saved Record, settings Settings, position int) {
	merged, _ := merge(saved, settings)
	c := newClient(merged.Settings, r.freeObjectPath(settings.Name), position)
	c.configured, c.State = merged.Configured, merged.State
	c.Expires = time.Time{}
	r.insert(c)
	r.restoreDenial(c)
	switch {
	case c.Enabled && !saved.Settings.Enabled:
		r.note(r.enable(c, FromConfiguration))
	case c.Enabled:
		r.restoreExpiry(c, merged.State.Expires)
	case saved.Settings.Enabled:
		r.disable(c, FromConfiguration, ByConfiguration)
	}
}

func (r *Registry) restoreDenial(c *client) {
	left := min(c.DeniedUntil.Sub(r.wall()), c.ApprovalDuration)
	if left <= 0 {
		c.DeniedUntil = time.Time{}
		return
	}
	r.decideFor(c, false, left)
}

// restoreExpiry follows the rule for restarts in the package comment.
func (r *Registry) restoreExpiry(c *client, expires time.Time) {
	left := expires.Sub(r.wall())
	switch {
	case c.LastCheckerStatus == 0:
		left = max(left, c.Timeout)
	case left <= 0 && c.LastCheckerStatus == NeverChecked:
		r.disable(c, Actor{}, NeverCheckedOK)
		return
	case left <= 0:
		r.disable(c, Actor{}, CheckFailedLast)
		return
	}
	left = min(left, max(c.Timeout, c.ExtendedTimeout, 2*c.Interval))
	r.expireIn(c, left)
	r.schedule(c, r.randomUpTo(min(c.Interval, left/2)))
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
// would do it, without touching what stays the same.
func (r *Registry) Reload(ctx context.Context, by Actor, configured []Settings) error {
	return r.propose(ctx, &change{
		plan: func(saved recordSource) ([]Record, error) {
			return r.planReload(saved, configured), nil
		},
		apply: func() []Event { return r.reload(by, configured) },
	})
}

func (r *Registry) planReload(saved recordSource, configured []Settings) (records []Record) {
	stays := make(map[string]bool, len(configured))
	for _, settings := range configured {
		stays[settings.Name] = true
		record, known := saved(settings.Name)
		switch {
		case known && record.Configured != settings:
			records = append(records, r.planMerge(record, settings))
		case record.Removed && !comesBack(record, settings), known:
		default:
			record = Record{Settings: settings, Configured: settings, State: State{Created: r.wall(), LastCheckerStatus: NeverChecked}}
			if settings.Enabled {
				record.State.Expires = r.wall().Add(settings.Timeout)
			}
			records = append(records, record)
		}
	}
	for _, name := range r.names() {
		if !stays[name] {
			records = append(records, Record{Settings: Settings{Name: name}, Dropped: true})
		}
	}
	return records
}

// planMerge is what reconfigure is about to make of a record.
func (r *Registry) planMerge(saved Record, now Settings) Record {
	merged, _ := merge(saved, now)
	if merged.Settings.Enabled && !saved.Settings.Enabled {
		enabling(&merged.Settings, &merged.State, r.wall())
	}
	return merged
}

// names are all names that something is saved under, in a stable order.
func (r *Registry) names() []string {
	var names []string
	for _, c := range r.ordered() {
		names = append(names, c.Name)
	}
	for name := range r.removed {
		names = append(names, name)
	}
	return names
}

func (r *Registry) reload(by Actor, configured []Settings) (events []Event) {
	stays := make(map[string]bool, len(configured))
	for _, settings := range configured {
		stays[settings.Name] = true
	}
	for _, name := range r.names() {
		if stays[name] {
			continue
		}
		delete(r.removed, name)
		if c := r.clients[name]; c != nil {
			r.drop(c)
			events = append(events, Event{Kind: Removed, Time: r.wall(), Client: r.view(c), By: by, Reason: ByConfiguration})
		}
	}
	for i, settings := range configured {
		record, wasRemoved := r.removed[settings.Name]
		c := r.clients[settings.Name]
		switch {
		case c != nil:
			c.position = i
			events = append(events, r.reconfigure(c, settings, by)...)
		case !wasRemoved || comesBack(record, settings):
			delete(r.removed, settings.Name)
			c = r.create(settings, i)
			r.touch(c.Name, Event{Kind: Added, Time: r.wall(), Client: r.view(c), By: by})
		}
	}
	r.reindex()
	return events
}

// reconfigure follows what changed in the configuration of a client that stays.
func (r *Registry) reconfigure(c *client, now Settings, by Actor) (events []Event) {
	merged, changed := merge(r.recordOf(c), now)
	before := c.Settings
	c.configured = now
	if len(changed) == 0 {
		return nil
	}
	r.queue.unsaved[c.Name] = struct{}{}
	c.Settings = merged.Settings
	c.Enabled = before.Enabled
	r.countOpenPGP(c)
	if others := slices.DeleteFunc(changed, func(p Property) bool { return p == PropEnabled }); len(others) > 0 {
		events = r.settled(c, before, others, by)
	}
	switch {
	case merged.Settings.Enabled && !before.Enabled:
		events = append(events, r.enable(c, by))
	case before.Enabled && !merged.Settings.Enabled:
		r.disable(c, by, ByConfiguration)
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
	r.closed = true
	for _, c := range r.clients {
		r.stopChecker(c)
		c.stir()
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
