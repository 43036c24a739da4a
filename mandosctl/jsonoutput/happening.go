// SPDX-License-Identifier: Apache-2.0

package jsonoutput

import (
	"time"

	"mandos/dbusapi"
)

// Histories is the document of "show".
type Histories struct {
	SchemaVersion int             `json:"schemaVersion"`
	Clients       []ClientHistory `json:"clients"`
}

// ClientHistory is a client with what happened to it last, the oldest first.
type ClientHistory struct {
	Client
	History []Happening `json:"history"`
}

// Happening is something that happened. What it does not have is left out.
type Happening struct {
	Time    *time.Time            `json:"time"`
	Kind    dbusapi.HappeningKind `json:"kind"`
	Client  string                `json:"client,omitempty"`
	By      string                `json:"by,omitempty"` // "server", "configuration", or "uid N, pid N"
	Reason  string                `json:"reason,omitempty"`
	Key     string                `json:"key,omitempty"`
	KeyKind string                `json:"keyKind,omitempty"`
	Address string                `json:"address,omitempty"`
	Command string                `json:"command,omitempty"`
	Status  *int                  `json:"status,omitempty"` // of a completed check
	Signal  int                   `json:"signal,omitempty"`
	Error   string                `json:"error,omitempty"`
	Dropped int                   `json:"dropped,omitempty"`
	Times   int                   `json:"times,omitempty"` // how often in a row, in a history
	// Values are the settings that changed, by their names on the bus; durations
	// are milliseconds.
	Values map[string]string `json:"values,omitempty"`
}

// OfHistories makes the document of clients with their histories.
func OfHistories(clients []dbusapi.Client, histories [][]dbusapi.Happening, now time.Time) Histories {
	document := Histories{SchemaVersion: SchemaVersion, Clients: make([]ClientHistory, len(clients))}
	for i := range clients {
		history := make([]Happening, len(histories[i]))
		for j := range histories[i] {
			history[j] = ofHappening(&histories[i][j])
		}
		document.Clients[i] = ClientHistory{ofClient(&clients[i], now), history}
	}
	return document
}

func ofHappening(h *dbusapi.Happening) Happening {
	out := Happening{
		Time: orNull(h.Time), Kind: h.Kind, Client: h.Client, By: h.By, Reason: h.Reason, Key: h.Key, KeyKind: h.KeyKind,
		Address: h.Address, Command: h.Command, Signal: h.Signal, Error: h.Error, Dropped: h.Dropped, Times: h.Times, Values: h.Values,
	}
	if h.Kind == dbusapi.CheckCompleted {
		out.Status = &h.Status
	}
	return out
}

// Event is one line of "watch": something that happened, or one of the kinds
// "server up", "server down" and "bus lost", with the reason.
type Event struct {
	SchemaVersion int `json:"schemaVersion"`
	Happening
}

// OfEvent makes one line of "watch".
func OfEvent(h *dbusapi.Happening) Event { return Event{SchemaVersion, ofHappening(h)} }
