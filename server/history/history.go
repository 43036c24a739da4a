// SPDX-License-Identifier: Apache-2.0

// Package history keeps what happened to each client last, so that an
// administrator can see why it is as it is, also after a restart.
package history

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"mandos/server/client"
)

// Length is how many entries a client has at most; the oldest go first.
const Length = 50

// flushInterval is how long an entry may be unsaved.
const flushInterval = time.Second

// Times is the field of an entry that counts how often the same thing happened
// in a row, if more than once. The other fields are those of the last time.
const Times = "times"

// Store keeps histories on disk, each under its client's name.
type Store interface {
	// SaveHistory replaces histories; one without entries is deleted.
	SaveHistory(map[string][]map[string]string) error
	// History is the saved one, nil if there is none.
	History(name string) ([]map[string]string, error)
}

// Keeper keeps the histories. Its Tell is to be subscribed to the registry.
type Keeper struct {
	store    Store
	describe func(client.Event) map[string]string
	log      *slog.Logger

	disk    sync.Mutex // held while the store is used; before mu
	failing bool       // saving did not work last time

	mu      sync.Mutex
	unsaved map[string][]client.Event // since the last flush; nil for a client that is forgotten
}

// New makes a keeper that writes entries as describe gives them.
func New(store Store, describe func(client.Event) map[string]string, log *slog.Logger) *Keeper {
	return &Keeper{store: store, describe: describe, log: log, unsaved: make(map[string][]client.Event)}
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

// belongs reports whether the event says something about a client that stays of
// interest. Of checks only those do whose result is another than before.
func belongs(e *client.Event) bool {
	switch e.Kind {
	case client.CheckerCompleted, client.CheckerNotStarted:
		return slices.Contains(e.Properties, client.PropLastCheckerStatus)
	case client.CheckerStarted, client.CheckerStopped, client.ApprovalOver:
		return false
	}
	return e.Client.Name != ""
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
	histories := make(map[string][]map[string]string, len(unsaved))
	for name, events := range unsaved {
		histories[name] = nil
		if events != nil {
			histories[name] = k.with(k.saved(name), events)
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
func (k *Keeper) saved(name string) []map[string]string {
	entries, err := k.store.History(name)
	if err != nil {
		k.log.Warn("A client's history begins anew", "client", name, "error", err)
	}
	return entries
}

// History is what happened to that client last, the oldest first.
func (k *Keeper) History(name string) ([]map[string]string, error) {
	k.disk.Lock()
	defer k.disk.Unlock()
	saved, err := k.store.History(name)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	unsaved := slices.Clone(k.unsaved[name])
	k.mu.Unlock()
	return k.with(saved, unsaved), nil
}

// with appends events to a history. A refusal that only repeats the one before
// takes its place, and is counted: a refused client tries again every few seconds.
func (k *Keeper) with(entries []map[string]string, events []client.Event) []map[string]string {
	for _, e := range events {
		entry := k.describe(e)
		if last := len(entries) - 1; last >= 0 && repeats(&e) && maps.Equal(essence(entries[last]), essence(entry)) {
			times, err := strconv.Atoi(entries[last][Times])
			if err != nil {
				times = 1
			}
			entry[Times] = strconv.Itoa(times + 1)
			entries[last] = entry
			continue
		}
		entries = append(entries, entry)
	}
	return entries[max(0, len(entries)-Length):]
}

func repeats(e *client.Event) bool {
	return e.Kind == client.Rejected || e.Kind == client.SecretNotReceived || e.Kind == client.ApprovalNeeded
}

// essence is an entry without what differs each time.
func essence(entry map[string]string) map[string]string {
	e := maps.Clone(entry)
	for _, field := range []string{"time", "address", Times} {
		delete(e, field)
	}
	return e
}
