// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// EventKind is a code for what happened. A later server may have others.
type EventKind string

// What can happen, and which fields of the Event go with it.
const (
	Added             EventKind = "added"               // By
	Removed           EventKind = "removed"             // By, Reason
	Forgotten         EventKind = "forgotten"           // By; the client was gone before
	Enabled           EventKind = "enabled"             // By
	Disabled          EventKind = "disabled"            // By, Reason
	Changed           EventKind = "changed"             // By, Changes
	Vouched           EventKind = "vouched"             // By; taken as checked OK without a checker
	AbsencePlanned    EventKind = "absence-planned"     // By, Note: why
	CameBack          EventKind = "came-back"           // from a planned absence
	AbsenceOver       EventKind = "absence-over"        // By; it has not come back, or somebody has ended it
	CheckerStarted    EventKind = "checker-started"     // Command
	CheckerCompleted  EventKind = "checker-completed"   // Command, Status, Signal, Output
	CheckerStopped    EventKind = "checker-stopped"     // By
	CheckerNotStarted EventKind = "checker-not-started" // Command, Error
	ApprovalNeeded    EventKind = "approval-needed"     // Key, Address
	Approved          EventKind = "approved"            // By, Note: how many of those needed, while they are not enough
	Denied            EventKind = "denied"              // By
	Allowed           EventKind = "allowed"             // By, Note: what was granted
	Revoked           EventKind = "revoked"             // By
	ApprovedAhead     EventKind = "approved-ahead"      // By, Note: what was approved in advance
	ApprovalOver      EventKind = "approval-over"
	SecretSent        EventKind = "secret-sent"         // Key, Address, Note
	SecretNotReceived EventKind = "secret-not-received" // Key, Address, Error, Note
	MayHaveBeenSent   EventKind = "may-have-been-sent"  // Key, Address; the server ended before it was known
	TwoMachines       EventKind = "two-machines"        // Key, Address, Note: how that is known
	NewAddress        EventKind = "new-address"         // Key, Address; it fetched from there for the first time
	Rejected          EventKind = "rejected"            // Key, Address, Refusal, Note
	NotFound          EventKind = "not-found"           // Key, Address, Note; no Client
	LockdownOn        EventKind = "lockdown-on"         // By, Note: why; no Client
	LockdownOff       EventKind = "lockdown-off"        // By; no Client
	MassFailure       EventKind = "mass-failure"        // Failing, Enabled; most clients began to fail their checks within an interval; no Client
	MassFailureOver   EventKind = "mass-failure-over"   // Failing, Enabled, Expired; no Client
	UplinkFails       EventKind = "uplink-fails"        // Status, Signal, Output; the server's own way to the network; no Client
	UplinkWorks       EventKind = "uplink-works"        // again; no Client
	BorrowsTime       EventKind = "borrows-time"        // it would have expired but for the uplink
	StateNotSaved     EventKind = "state-not-saved"     // Error; no Client
	StateSavedAgain   EventKind = "state-saved-again"   // no Client
	EventsDropped     EventKind = "events-dropped"      // Dropped; no Client
)

// What only a watch tells.
const (
	ServerUp   EventKind = "server-up" // Clients, Lockdown
	ServerDown EventKind = "server-down"
	BusLost    EventKind = "bus-lost" // Error; ServerUp or ServerDown follows when it is back
	// Refreshed is no news: some of a client's properties have changed, of which a
	// server that does not tell its events says no more.
	Refreshed EventKind = "refreshed"
)

// EventKinds are all of them, without Refreshed.
var EventKinds = []EventKind{
	Added, Removed, Forgotten, Enabled, Disabled, Changed, Vouched, AbsencePlanned, CameBack, AbsenceOver,
	CheckerStarted, CheckerCompleted, CheckerStopped, CheckerNotStarted,
	ApprovalNeeded, Approved, Denied, Allowed, Revoked, ApprovedAhead, ApprovalOver, SecretSent, SecretNotReceived, MayHaveBeenSent, TwoMachines, NewAddress, Rejected, NotFound,
	LockdownOn, LockdownOff, MassFailure, MassFailureOver, UplinkFails, UplinkWorks, BorrowsTime, StateNotSaved, StateSavedAgain, EventsDropped,
	ServerUp, ServerDown, BusLost,
}

// Event is something that happened.
type Event struct {
	Kind   EventKind
	Time   time.Time
	Client string // its name; empty for what is about no client

	By      Actor
	Reason  Reason
	Refusal Refusal
	// Changes are the settings that changed, by their names in clients.conf, as they
	// are written there. A secret has no value.
	Changes        map[string]string
	Key            string // that was proved, in upper-case hex
	KeyKind        KeyKind
	Address        string // with the port
	Command        string
	Status, Signal int    // Status is -1 for a checker that was killed by Signal
	Output         string // the last line that a failed checker printed
	Error          string
	Note           string // what is odd about it, as a sentence
	Dropped        int
	// Failing is how many of the clients that are enabled fail their checks, and Expired how
	// many have expired meanwhile.
	Failing, Enabled, Expired int
	Times                     int // how often in a row, if more than once; only in a history

	// Now is the client as a watch knows it after the event; its name is empty for
	// one that it does not know.
	Now Client
	// Clients are all clients that are watched, sorted by name.
	Clients []Client
	// Lockdown reports whether everybody is refused at this moment.
	Lockdown bool
}

// eventFields are how the bus carries an event.
var eventFields = dictionary[Event]{
	{"kind", func(e *Event) any { return &e.Kind }},
	{"time", func(e *Event) any { return &e.Time }},
	{"client", func(e *Event) any { return &e.Client }},
	{"by", func(e *Event) any { return &e.By.Kind }},
	{"bus-name", func(e *Event) any { return &e.By.BusName }},
	{"uid", func(e *Event) any { return &e.By.UID }},
	{"pid", func(e *Event) any { return &e.By.PID }},
	{"for", func(e *Event) any { return &e.By.For }},
	{"reason", func(e *Event) any { return &e.Reason }},
	{"refusal", func(e *Event) any { return &e.Refusal }},
	{"changes", func(e *Event) any { return &e.Changes }},
	{"key", func(e *Event) any { return &e.Key }},
	{"key-kind", func(e *Event) any { return &e.KeyKind }},
	{"address", func(e *Event) any { return &e.Address }},
	{"command", func(e *Event) any { return &e.Command }},
	{"status", func(e *Event) any { return &e.Status }},
	{"signal", func(e *Event) any { return &e.Signal }},
	{"output", func(e *Event) any { return &e.Output }},
	{"error", func(e *Event) any { return &e.Error }},
	{"note", func(e *Event) any { return &e.Note }},
	{"dropped", func(e *Event) any { return &e.Dropped }},
	{"failing", func(e *Event) any { return &e.Failing }},
	{"enabled", func(e *Event) any { return &e.Enabled }},
	{"expired", func(e *Event) any { return &e.Expired }},
	{"times", func(e *Event) any { return &e.Times }},
}

// Encode makes the dictionary that the bus carries of an event. What is empty or 0 is
// left out.
func (e *Event) Encode() map[string]dbus.Variant { return eventFields.encode(e) }

// DecodeEvent reads what Encode makes, and passes over keys that it does not know.
func DecodeEvent(fields map[string]dbus.Variant) (e Event, err error) {
	if err := eventFields.decode(fields, &e); err != nil {
		return Event{}, fmt.Errorf("an event of the server's: %w", err)
	}
	return e, nil
}

// History is what happened to a client last, the oldest first.
func (conn *Connection) History(ctx context.Context, c Client) ([]Event, error) {
	var encoded []map[string]dbus.Variant
	if err := conn.call(ctx, c.Path, ClientInterface1+".History", nil, &encoded); err != nil {
		return nil, err
	}
	history := make([]Event, len(encoded))
	for i, fields := range encoded {
		var err error
		if history[i], err = DecodeEvent(fields); err != nil {
			return nil, err
		}
	}
	return history, nil
}
