// SPDX-License-Identifier: Apache-2.0

// Package history keeps what happened to each client last, so that an
// administrator can see why it is as it is, also after a restart.
package history

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"mandos/server/client"
)

// Length is how many entries a client has at most; the oldest go first.
const Length = 50

// flushInterval is how long an entry may be unsaved.
const flushInterval = time.Second

// Store keeps histories on disk, each under its client's name.
type Store interface {
	// SaveHistory replaces histories; an empty one is deleted.
	SaveHistory(map[string][]byte) error
	// History is the saved one, empty if there is none.
	History(name string) ([]byte, error)
}

// Keeper keeps the histories. Its Tell is to be subscribed to the registry.
type Keeper struct {
	store Store
	log   *slog.Logger

	disk    sync.Mutex // held while the store is used; before mu
	failing bool       // saving did not work last time

	mu      sync.Mutex
	unsaved map[string][]client.Event // since the last flush; nil for a client that is forgotten
}

// New makes a keeper.
func New(store Store, log *slog.Logger) *Keeper {
	return &Keeper{store: store, log: log, unsaved: make(map[string][]client.Event)}
}

// Tell takes an event in, if it belongs to a history. It never blocks.
func (k *Keeper) Tell(e client.Event) {
	name := e.Client.Name
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case e.Kind == client.Forgotten:
		k.unsaved[name] = nil
	case belongs(&e):
		events := append(k.unsaved[name], e)
		k.unsaved[name] = events[max(0, len(events)-Length):]
	}
}

// keep says which events of a kind belong to a history.
type keep int

const (
	never keep = iota
	always
	ifNews // checks whose result is another than before
)

// kept says it of each kind of event that is about a client. Who is told of the
// others looks at the moment.
var kept = map[client.EventKind]keep{
	client.Added: always, client.Removed: always, client.Enabled: always, client.Disabled: always,
	client.Changed: always, client.Vouched: always,
	client.BorrowsTime: always, client.AbsencePlanned: always, client.CameBack: always, client.AbsenceOver: always,
	client.CheckerStarted: never, client.CheckerCompleted: ifNews, client.CheckerStopped: never, client.CheckerNotStarted: ifNews,
	client.ApprovalNeeded: always, client.Approved: always, client.Denied: always, client.Allowed: always, client.Revoked: always, client.ApprovedAhead: always, client.ApprovalOver: never,
	client.SecretSent: always, client.SecretNotReceived: always, client.MayHaveBeenSent: always, client.TwoMachines: always, client.NewAddress: always, client.Rejected: always,
	client.Forgotten: never, // there is no history any more
	// Those of no client.
	client.NotFound: never, client.LockdownOn: never, client.LockdownOff: never,
	client.MassFailure: never, client.MassFailureOver: never, client.UplinkFails: never, client.UplinkWorks: never,
	client.StateNotSaved: never, client.StateSavedAgain: never, client.EventsDropped: never,
}

// belongs reports whether the event says something about a client that stays of
// interest.
func belongs(e *client.Event) bool {
	switch kept[e.Kind] {
	case always:
		return true
	case ifNews:
		return slices.Contains(e.Properties, client.PropLastCheckerStatus)
	}
	return false
}

// Run saves what is told until ctx ends, and the rest of it then.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			k.flush()
		case <-ctx.Done():
			k.flush()
			return
		}
	}
}

func (k *Keeper) flush() {
	k.disk.Lock()
	defer k.disk.Unlock()
	k.mu.Lock()
	unsaved := k.unsaved
	k.unsaved = make(map[string][]client.Event)
	k.mu.Unlock()
	if len(unsaved) == 0 {
		return
	}
	histories := make(map[string][]byte, len(unsaved))
	for name, events := range unsaved {
		histories[name] = nil
		if events != nil {
			histories[name] = encode(with(k.saved(name), events))
		}
	}
	err := k.store.SaveHistory(histories)
	switch {
	case err != nil && !k.failing:
		k.log.Error("The history of the clients cannot be saved; it will be tried again", "error", err)
	case err == nil && k.failing:
		k.log.Warn("The history of the clients is saved again")
	}
	if k.failing = err != nil; k.failing {
		k.putBack(unsaved)
	}
}

// putBack keeps what could not be saved for the next time.
func (k *Keeper) putBack(unsaved map[string][]client.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, events := range unsaved {
		since, told := k.unsaved[name]
		if told && since == nil {
			continue // the client is gone by now
		}
		events = append(events, since...)
		k.unsaved[name] = events[max(0, len(events)-Length):]
	}
}

// saved is the history on disk; one that cannot be read begins anew.
func (k *Keeper) saved(name string) []entry {
	entries, err := k.read(name)
	if err != nil {
		k.log.Warn("A client's history begins anew", "client", name, "error", err)
	}
	return entries
}

func (k *Keeper) read(name string) ([]entry, error) {
	content, err := k.store.History(name)
	if err != nil {
		return nil, err
	}
	return decode(content)
}

// History is what happened to that client last, the oldest first. Of the client itself
// the events tell the name alone.
func (k *Keeper) History(name string) ([]client.Event, error) {
	k.disk.Lock()
	defer k.disk.Unlock()
	saved, err := k.read(name)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	unsaved := slices.Clone(k.unsaved[name])
	k.mu.Unlock()
	entries := with(saved, unsaved)
	events := make([]client.Event, len(entries))
	for i := range entries {
		events[i] = entries[i].event(name)
	}
	return events, nil
}

// with appends events to a history. A refusal that only repeats the one before
// takes its place, and is counted: a refused client tries again every few seconds.
func with(entries []entry, events []client.Event) []entry {
	for i := range events {
		next := entryOf(&events[i])
		if last := len(entries) - 1; last >= 0 && next.repeats(&entries[last]) {
			next.Times = max(entries[last].Times, 1) + 1
			entries[last] = next
			continue
		}
		entries = append(entries, next)
	}
	return entries[max(0, len(entries)-Length):]
}
