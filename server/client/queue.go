// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// SaveDelay bounds how long a change may be unsaved that neither lowers a
// client's validity nor was asked for by an administrator.
const SaveDelay = time.Second / 2

// maxQueued bounds the events that wait to be told. Beyond it, refusals are
// counted and not told, since strangers can cause any number of them.
const maxQueued = 10_000

// queue holds what happened and what was asked for, in order, until the
// registry's goroutine has saved and told it. The registry's mutex guards it.
type queue struct {
	items   []*item
	unsaved map[string]struct{}  // names whose records differ from the saved ones
	pending map[*change]struct{} // what was asked for and is not made yet
	// serverUnsaved says that the server's own record differs from the saved one.
	serverUnsaved bool
	wake          chan struct{}
	dropped       int
}

// item is one step of the queue: an event that has taken effect, or a change
// that takes effect only after it was saved, or neither.
type item struct {
	events  []Event
	durable bool // save at once, before the events are told
	change  *change
	names   []string   // whose records are saved for it
	server  bool       // the server's own record is saved for it
	done    chan error // nil if nobody waits
	err     error
}

// change is what an administrator asked for. Both functions run under the
// registry's mutex. plan leaves everything as it is and tells the records to save;
// apply makes it so.
type change struct {
	name  string // of the client; empty for all of them
	plan  func(saved recordSource) ([]Record, error)
	apply func() []Event
	// server, if not nil, is what plan has made of the server's own record, to save.
	server *ServerRecord
	// unseen are the lowerings by people since the change was asked for. Whoever
	// asked for it cannot have seen them, so that it raises nobody from them.
	unseen unseen
}

// unseen are IDs of lowerings.
type unseen map[string]bool

// recordSource gives the record of that name with all changes planned so far.
type recordSource func(name string) (Record, bool)

func newQueue() queue {
	return queue{unsaved: make(map[string]struct{}), pending: make(map[*change]struct{}), wake: make(chan struct{}, 1)}
}

func (q *queue) push(it *item) {
	q.items = append(q.items, it)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// note queues events that need no saving of their own.
func (r *Registry) note(events ...Event) { r.queue.push(&item{events: events}) }

// noteRefusal queues an event that strangers can cause at will.
func (r *Registry) noteRefusal(event Event) {
	if len(r.queue.items) >= maxQueued {
		r.queue.dropped++
		return
	}
	r.note(event)
}

// touch queues events whose effect on the named client is to be saved soon.
func (r *Registry) touch(name string, events ...Event) {
	r.queue.unsaved[name] = struct{}{}
	r.note(events...)
}

// durably queues events whose effect on the named client, which it already has,
// is saved before they are told. The channel answers once both are done.
func (r *Registry) durably(name string, events ...Event) <-chan error {
	r.queue.unsaved[name] = struct{}{}
	done := make(chan error, 1)
	r.queue.push(&item{events: events, durable: true, names: []string{name}, done: done})
	return done
}

// told answers once everything queued so far was told.
func (r *Registry) told() <-chan error {
	done := make(chan error, 1)
	r.queue.push(&item{done: done})
	return done
}

// propose queues a change and waits until it was saved, made and told, or
// until ctx ends, with the change then still on its way.
func (r *Registry) propose(ctx context.Context, ch *change) error {
	done := make(chan error, 1)
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	ch.unseen = make(unseen)
	r.queue.pending[ch] = struct{}{}
	r.queue.push(&item{change: ch, done: done})
	r.mu.Unlock()
	return wait(ctx, done)
}

func wait(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the change is not saved yet: %w", context.Cause(ctx))
	}
}

// Alive answers once the registry's goroutine has worked off everything queued
// before the call. It fails only when ctx ends first.
func (r *Registry) Alive(ctx context.Context) error {
	r.mu.Lock()
	done := r.told()
	r.mu.Unlock()
	return wait(ctx, done)
}

// run works off the queue until stop is closed and the queue is empty.
func (r *Registry) run() {
	defer close(r.idle)
	saver := saver{journal: r.journal}
	var saveDue <-chan time.Time
	for {
		select {
		case <-r.queue.wake:
			if unsaved := r.turn(&saver, false); unsaved && saveDue == nil {
				saveDue = time.After(SaveDelay)
			}
		case <-saveDue:
			saveDue = nil
			if r.turn(&saver, true) {
				saveDue = time.After(SaveDelay)
			}
		case <-r.stop:
			r.turn(&saver, true)
			return
		}
	}
}

// turn saves, makes and tells everything that is in the queue at this moment,
// with one save for all, and reports whether something is left unsaved.
func (r *Registry) turn(saver *saver, saveAll bool) (unsaved bool) {
	b := r.plan(saveAll)
	err, serverErr := saver.save(&b)
	events := r.commit(b, err, serverErr)
	if event, ok := saver.news(r.wall()); ok {
		events = append(events, event)
	}
	for _, event := range events {
		for _, tell := range r.tell {
			tell(event)
		}
	}
	for _, it := range b.items {
		if it.done != nil {
			it.done <- it.err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue.unsaved) > 0 || r.queue.serverUnsaved
}

// batch is what one turn works off.
type batch struct {
	items   []*item
	dropped int
	records []Record
	server  *ServerRecord // nil if it need not be saved
}

// takeItems empties the queue. Before a change comes whatever the clients that
// it is about have lost by then, so that it is told first.
func (r *Registry) takeItems() (taken []*item) {
	items := r.queue.items
	r.queue.items = nil
	for _, it := range items {
		if it.change != nil {
			r.expireAllDue(it.change.name)
			taken = append(taken, r.queue.items...)
			r.queue.items = nil
		}
		taken = append(taken, it)
	}
	return taken
}

// expireAllDue is expireIfDue for the client of that name; for all if it is empty.
func (r *Registry) expireAllDue(name string) {
	if name != "" {
		if c := r.clients[name]; c != nil {
			r.expireIfDue(c)
		}
		return
	}
	for _, c := range r.clients {
		r.expireIfDue(c)
	}
}

// plan takes the queue and finds out what to save for it.
func (r *Registry) plan(saveAll bool) batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := batch{items: r.takeItems(), dropped: r.queue.dropped}
	r.queue.dropped = 0

	planned := make(map[string]Record)
	source := func(name string) (Record, bool) {
		record, ok := planned[name]
		if !ok {
			record = r.record(name)
		}
		return record, !record.Dropped
	}
	save := saveAll
	for _, it := range b.items {
		save = save || it.durable
		if it.change == nil {
			continue
		}
		var records []Record
		if records, it.err = it.change.plan(source); it.err != nil {
			continue
		}
		for _, record := range records {
			planned[record.Name] = record
			it.names = append(it.names, record.Name)
			save = true
		}
		if it.change.server != nil {
			it.server, b.server = true, it.change.server
			save = true
		}
	}
	if !save {
		return b
	}
	for name := range r.queue.unsaved {
		if _, ok := planned[name]; !ok {
			planned[name] = r.record(name)
		}
	}
	clear(r.queue.unsaved)
	if r.queue.serverUnsaved && b.server == nil {
		record := r.serverRecord()
		b.server = &record
	}
	r.queue.serverUnsaved = false
	b.records = slices.AppendSeq(make([]Record, 0, len(planned)), maps.Values(planned))
	for i := range b.records {
		b.records[i].Handed = r.handedToSave(b.records[i].Handed)
	}
	return b
}

// commit makes the changes that were saved and collects all events in order.
func (r *Registry) commit(b batch, saveErr, serverErr error) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []Event
	r.saveAgain(&b, saveErr)
	if len(b.records) > 0 {
		r.stateUnsaved = failureOf(saveErr) == all
	}
	r.queue.serverUnsaved = r.queue.serverUnsaved || b.server != nil && serverErr != nil
	for _, it := range b.items {
		err := it.unsaved(saveErr)
		if it.server {
			err = serverErr
		}
		switch {
		case it.err != nil:
		case err != nil && it.change != nil:
			it.err = fmt.Errorf("nothing was changed, since it could not be saved: %w", err)
		case err != nil && it.durable:
			it.err = fmt.Errorf("done, but it could not be saved and will be forgotten at the next start: %w", err)
		case it.change != nil:
			it.events = it.change.apply()
		}
		events = append(events, it.events...)
		delete(r.queue.pending, it.change)
	}
	if b.dropped > 0 {
		events = append(events, Event{Kind: EventsDropped, Time: r.wall(), Dropped: b.dropped})
	}
	return events
}

// saveAgain marks what must be saved again after a save that failed. Whether that
// took effect is open, but what is in force must be on disk in the end.
func (r *Registry) saveAgain(b *batch, saveErr error) {
	mark := func(name string) { r.queue.unsaved[name] = struct{}{} }
	var unsavable UnsavableError
	switch {
	case saveErr == nil:
	case errors.As(saveErr, &unsavable):
		for name := range unsavable {
			mark(name)
		}
		for _, it := range b.items {
			if it.change != nil && it.unsaved(saveErr) != nil {
				for _, name := range it.names {
					mark(name)
				}
			}
		}
	default:
		for _, record := range b.records {
			mark(record.Name)
		}
	}
}

// unsaved is what a failed save means for the item: nothing, if it was another
// client's record alone that could not be saved.
func (it *item) unsaved(saveErr error) error {
	var unsavable UnsavableError
	if !errors.As(saveErr, &unsavable) {
		return saveErr
	}
	own := make(UnsavableError)
	for _, name := range it.names {
		if why, ok := unsavable[name]; ok {
			own[name] = why
		}
	}
	if len(own) == 0 {
		return nil
	}
	return own
}

// record is what to save of that name.
func (r *Registry) record(name string) Record {
	if c, ok := r.clients[name]; ok {
		return r.recordOf(c)
	}
	if away, ok := r.absent[name]; ok {
		return away.Record
	}
	return Record{Settings: Settings{Name: name}, Dropped: true}
}

// saver saves and remembers whether that works.
type saver struct {
	journal Journal
	clients failure // of the clients' records
	server  bool    // the server's own cannot be saved
	told    failure // which was told
	err     error
}

// failure is how much cannot be saved.
type failure int

const (
	none failure = iota
	some         // the records of some clients
	all
)

func failureOf(err error) failure {
	var unsavable UnsavableError
	switch {
	case err == nil:
		return none
	case errors.As(err, &unsavable):
		return some
	}
	return all
}

// save saves what the batch has to. Of the clients and of the server it is told apart
// whether that went well.
func (s *saver) save(b *batch) (err, serverErr error) {
	if b.server != nil {
		serverErr = s.journal.SaveServer(*b.server)
		s.server = serverErr != nil
	}
	if len(b.records) > 0 {
		err = s.journal.Save(b.records)
		s.clients = failureOf(err)
	}
	s.err = cmp.Or(err, serverErr, s.err)
	return err, serverErr
}

func (s *saver) failing() failure {
	if s.server {
		return all
	}
	return s.clients
}

// news is the event to tell when saving began to fail, or fails otherwise, or
// works again.
func (s *saver) news(now time.Time) (event Event, ok bool) {
	failing := s.failing()
	if failing == s.told {
		return Event{}, false
	}
	s.told = failing
	if failing != none {
		return Event{Kind: StateNotSaved, Time: now, Err: s.err}, true
	}
	return Event{Kind: StateSavedAgain, Time: now}, true
}
