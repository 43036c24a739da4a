// SPDX-License-Identifier: Apache-2.0

package jsonoutput

import (
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

// Histories is the document of "show".
type Histories struct {
	SchemaVersion int             `json:"schemaVersion"`
	Clients       []ClientHistory `json:"clients"`
}

// ClientHistory is a client with what happened to it last, the oldest first.
type ClientHistory struct {
	Client
	History []Event `json:"history"`
}

// Event is something that happened. What it does not have is left out.
type Event struct {
	Time    *time.Time        `json:"time"`
	Kind    dbusapi.EventKind `json:"kind"`
	Client  string            `json:"client,omitempty"`
	By      *Actor            `json:"by,omitempty"`
	Reason  dbusapi.Reason    `json:"reason,omitempty"`
	Refusal dbusapi.Refusal   `json:"refusal,omitempty"`
	Key     string            `json:"key,omitempty"`
	KeyKind dbusapi.KeyKind   `json:"keyKind,omitempty"`
	Address string            `json:"address,omitempty"`
	Command string            `json:"command,omitempty"`
	Status  *int              `json:"status,omitempty"` // of a completed check
	Signal  int               `json:"signal,omitempty"`
	Output  string            `json:"output,omitempty"`
	Error   string            `json:"error,omitempty"`
	Note    string            `json:"note,omitempty"`
	Dropped int               `json:"dropped,omitempty"`
	Failing int               `json:"failing,omitempty"` // how many of those that are enabled fail their checks
	Enabled int               `json:"enabled,omitempty"`
	Expired int               `json:"expired,omitempty"` // meanwhile
	Times   int               `json:"times,omitempty"`   // how often in a row, in a history
	Clients *int              `json:"clients,omitempty"` // how many a server has that is up
	// Changes are the settings that changed, by their names in clients.conf, as they
	// are written there; empty for the secret.
	Changes map[string]string `json:"changes,omitempty"`
}

// Actor is who did something: "server", "configuration", "former-server", or "caller"
// with the process that called, if that is known, and its user.
type Actor struct {
	Kind    dbusapi.ActorKind `json:"kind"`
	UID     *uint32           `json:"uid,omitempty"`
	PID     uint32            `json:"pid,omitempty"`
	User    string            `json:"user,omitempty"`
	BusName string            `json:"busName,omitempty"`
	For     string            `json:"for,omitempty"` // whom it said that it acts for
}

// actorOrNull makes nobody a null.
func actorOrNull(a dbusapi.Actor) *Actor {
	if a == (dbusapi.Actor{}) {
		return nil
	}
	out := &Actor{Kind: a.Kind, PID: a.PID, BusName: a.BusName, For: a.For}
	if a.PID != 0 {
		out.UID, out.User = &a.UID, clientinfo.UserName(a.UID)
	}
	return out
}

// OfHistories makes the document of clients with their histories.
func OfHistories(clients []dbusapi.Client, histories [][]dbusapi.Event, now time.Time) Histories {
	document := Histories{SchemaVersion: SchemaVersion, Clients: make([]ClientHistory, len(clients))}
	for i := range clients {
		history := make([]Event, len(histories[i]))
		for j := range histories[i] {
			history[j] = ofEvent(&histories[i][j])
		}
		document.Clients[i] = ClientHistory{ofClient(&clients[i], now), history}
	}
	return document
}

func ofEvent(e *dbusapi.Event) Event {
	out := Event{
		Time: orNull(e.Time), Kind: e.Kind, Client: e.Client, By: actorOrNull(e.By), Reason: e.Reason, Refusal: e.Refusal,
		Key: e.Key, KeyKind: e.KeyKind, Address: e.Address, Command: e.Command, Signal: e.Signal, Output: e.Output,
		Error: e.Error, Note: e.Note, Dropped: e.Dropped, Failing: e.Failing, Enabled: e.Enabled, Expired: e.Expired, Times: e.Times, Changes: e.Changes,
	}
	switch e.Kind {
	case dbusapi.CheckerCompleted:
		out.Status = &e.Status
	case dbusapi.ServerUp:
		clients := len(e.Clients)
		out.Clients = &clients
	}
	return out
}

// WatchedEvent is one line of "watch".
type WatchedEvent struct {
	SchemaVersion int `json:"schemaVersion"`
	Event
}

// OfEvent makes one line of "watch".
func OfEvent(e *dbusapi.Event) WatchedEvent { return WatchedEvent{SchemaVersion, ofEvent(e)} }
