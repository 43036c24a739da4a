// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Handout is the permission to send a client its secret once, to the peer that
// asked. Exactly one of its two methods must be called afterwards.
type Handout struct {
	Client string
	Secret Secret

	registry *Registry
	client   *client
	id       Identity
	from     Origin
	number   string // of the hand-out, once it is on record
	note     string // what is odd about it
	approval bool   // counted among the client's pending ones
}

// RefusedError says why a peer is given nothing. Client is empty for a key that
// no client has.
type RefusedError struct {
	Client  string
	Refusal Refusal
}

func (e *RefusedError) Error() string {
	if e.Client == "" {
		return "no client has that key"
	}
	return fmt.Sprintf("client %s is refused: %s", e.Client, e.Refusal)
}

// ErrClosed is returned once the registry is closed.
var ErrClosed = errors.New("the server is exiting")

// Release decides whether the peer at from, which has proved to own id, is
// given a secret. It waits for an approval if the client needs one, at most
// the client's approval delay, and no longer than ctx lives, which must end when
// the peer goes away (or the server exits, with ErrClosed as its cause). Any
// refusal is a *RefusedError.
func (r *Registry) Release(ctx context.Context, id Identity, from Origin) (*Handout, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.lookupSettled(id)
	if c == nil {
		r.noteRefusal(Event{Kind: NotFound, Time: r.wall(), Identity: id, Address: from.Address, Note: r.namesake(id)})
		return nil, &RefusedError{}
	}
	h := &Handout{Client: c.Name, registry: r, client: c, id: id, from: from}
	h.came()
	of := request{client: c, id: id, origin: from}
	ruling := r.decide(ctx, h, &of)
	if ruling.Verdict == Passes {
		ruling = r.putOnRecord(ctx, h, &of)
	}
	if ruling.Verdict == Passes {
		h.Secret = c.Secret
		if r.borrows(c) {
			h.note = joined(h.note, "it was on borrowed time, and somebody approved it")
		}
		return h, nil
	}
	event := h.event(Rejected)
	event.Refusal, event.Note = ruling.Refusal, ruling.Note
	r.noteRefusal(event)
	h.approvalOver(ruling.Refusal)
	h.went()
	return nil, &RefusedError{Client: c.Name, Refusal: ruling.Refusal}
}

// lookupSettled is lookup for who needs the client's secret. It gives up the mutex
// while it waits for one that is late, before anything is decided.
func (r *Registry) lookupSettled(id Identity) *client {
	for {
		c := r.lookup(id)
		if c == nil || c.Secret.Found() {
			return c
		}
		late := c.Secret
		r.mu.Unlock()
		late.Settled()
		r.mu.Lock()
	}
}

// namesake says which client has a key that nobody is known by, if one has.
func (r *Registry) namesake(id Identity) string {
	if c := r.byIdleFingerprint.first(id.Hex); c != nil && id.Kind == OpenPGPKey {
		return fmt.Sprintf("client %s has that fingerprint, but also a key_id, and is known by that alone: "+
			"if it still has a mandos-client of before 2019, remove its key_id", c.Name)
	}
	absent := ""
	for name, away := range r.absent {
		if away.identity() == id && (absent == "" || name < absent) {
			absent = name
		}
	}
	switch {
	case absent == "":
		return ""
	case r.absent[absent].Gone.IsZero():
		return fmt.Sprintf("client %s has that key, and was removed", absent)
	}
	return fmt.Sprintf("client %s had that key, and is gone from the configuration", absent)
}

// decide returns the ruling that decides, which passes or refuses. It gives up the
// mutex while it waits, and looks at everything anew whenever something may have changed.
func (r *Registry) decide(ctx context.Context, h *Handout, of *request) Ruling {
	c := h.client
	var waited <-chan time.Time
	for {
		r.expireAllOfKeyIfDue(c)
		ruling := Decisive(r.rulings(of))
		switch {
		case r.closed:
			return Ruling{Verdict: Refuses, Refusal: ShuttingDown}
		case ruling.Verdict != Waits:
			return ruling
		case errors.Is(context.Cause(ctx), ErrClosed):
			return Ruling{Verdict: Refuses, Refusal: ShuttingDown}
		case ctx.Err() != nil:
			return Ruling{Verdict: Refuses, Refusal: PeerGone}
		}
		if waited == nil {
			timer := time.NewTimer(r.askingTime(c))
			defer timer.Stop()
			waited = timer.C
			h.needApproval()
		}
		stirred := c.stirred
		r.mu.Unlock()
		select {
		case <-stirred:
		case <-ctx.Done():
		case <-waited:
			of.late = true
		}
		r.mu.Lock()
	}
}

// putOnRecord has the hand-out saved before anything is sent, and judges once more what
// may have changed meanwhile. It gives up the mutex while it waits.
func (r *Registry) putOnRecord(ctx context.Context, h *Handout, of *request) Ruling {
	c := h.client
	c.begin(h)
	c.wasAway() // for it boots, whatever becomes of the connection
	saved := r.durably(c.Name)
	r.mu.Unlock()
	var err error
	select {
	case err = <-saved:
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), ErrClosed) { // who got so far is served yet
			err = <-saved
		}
	}
	r.mu.Lock()
	of.entered, of.unrecorded = h.number, err != nil
	ruling := Decisive(r.rulings(of))
	switch {
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrClosed):
		ruling = Ruling{Verdict: Refuses, Refusal: PeerGone}
	case ruling.Verdict == Waits: // a decision that has ended by now counted
		ruling = Ruling{Verdict: Passes}
	}
	if ruling.Verdict != Passes {
		c.withdraw(h)
	} else if err != nil {
		h.note = "it was sent without being on record, for that could not be saved"
	}
	return ruling
}

// needApproval counts the hand-out among those that wait, and asks.
func (h *Handout) needApproval() {
	c := h.client
	h.approval = true
	c.pending++
	c.LastApprovalRequest = h.registry.wall()
	properties := []Property{PropLastApprovalRequest}
	if c.pending == 1 {
		h.registry.pending++
		properties = []Property{PropApprovalPending, PropLastApprovalRequest}
	}
	event := h.event(ApprovalNeeded)
	event.Properties = properties
	h.registry.touch(c.Name, event)
}

// approvalOver counts it no more among those that wait. It was refused so, or, with the
// empty refusal, not.
func (h *Handout) approvalOver(refusal Refusal) {
	if !h.approval {
		return
	}
	h.approval = false
	h.client.pending--
	if h.client.pending == 0 {
		h.client.votes = nil
	}
	if h.client.gone {
		return
	}
	event := h.event(ApprovalOver)
	event.Refusal = refusal
	if h.client.pending == 0 {
		h.registry.pending--
		event.Properties = []Property{PropApprovalPending}
	}
	h.registry.note(event)
}

func (h *Handout) event(kind EventKind) Event {
	return Event{Kind: kind, Time: h.registry.wall(), Client: h.registry.view(h.client), Identity: h.id, Address: h.from.Address}
}

// Received says that the peer has the whole secret. The client then has its
// extended timeout to come up. A note, if not empty, says what is odd about it.
func (h *Handout) Received(note string) {
	r, c := h.registry, h.client
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expireIfDue(c)
	var properties []Property
	r.standStill(c)
	if c.Enabled && !c.gone && time.Until(c.deadline)+c.Borrowed.Moved < c.ExtendedTimeout {
		properties = []Property{PropExpires}
		if r.borrows(c) {
			properties = append(properties, PropOnBorrowedTime)
		}
		r.expireIn(c, c.ExtendedTimeout)
	}
	now := r.wall()
	properties = set(properties, &c.LastHandout, &now, PropLastHandout)
	properties = set(properties, &c.LastHandoutKey, &h.id.Kind, PropLastHandoutKey)
	if c.gone {
		properties = nil
	}
	h.went()
	r.end(h, Arrived)
	if c.granted() {
		properties = append(properties, grantProperties...)
	}
	event := h.event(SecretSent)
	event.Properties, event.Note = properties, joined(note, h.note)
	events := []Event{event}
	if c.arrived(h.from.Address.Addr()) {
		events = append(events, h.event(NewAddress))
	}
	r.touch(c.Name, events...)
	h.approvalOver("")
}

// NotReceived says that the peer was gone, for the reason err, before it had
// the whole secret, as far as anybody can tell.
func (h *Handout) NotReceived(err error) {
	r := h.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	h.went()
	r.end(h, NotArrived)
	note := h.note
	if c := r.clients[h.Client]; c != nil {
		var granted, ahead bool
		c.Grants, granted = c.Grants.giveBack(h.number, true)
		c.Ahead, ahead = c.Ahead.giveBack(h.number, true)
		if granted {
			note = joined(note, "its grant is given back")
		}
		if ahead {
			note = joined(note, "what was approved in advance is given back")
		}
	}
	event := h.event(SecretNotReceived)
	event.Err, event.Note = err, note
	if h.client.granted() {
		event.Properties = grantProperties
	}
	r.touch(h.Client, event)
	h.approvalOver("")
}

// joined is what both say, of which each may be nothing.
func joined(note, more string) string {
	if note == "" || more == "" {
		return note + more
	}
	return note + "; " + more
}
