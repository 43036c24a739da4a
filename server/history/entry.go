// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"mandos/server/client"
)

// entry is what is saved of an event, in JSON. The client is the one whose history it
// is in.
type entry struct {
	Kind    client.EventKind
	Time    time.Time
	By      actor          `json:",omitzero"`
	Reason  client.Reason  `json:",omitempty"`
	Refusal client.Refusal `json:",omitempty"`
	Changes []change       `json:",omitempty"`
	Key     string         `json:",omitempty"`
	KeyKind client.KeyKind `json:",omitempty"`
	Address netip.AddrPort `json:",omitzero"`
	Command string         `json:",omitempty"`
	Status  int            `json:",omitempty"`
	Signal  int            `json:",omitempty"`
	Output  string         `json:",omitempty"`
	Error   string         `json:",omitempty"`
	Note    string         `json:",omitempty"`
	Times   int            `json:",omitempty"` // in a row, if more than once; the rest is of the last time
}

type actor struct {
	Kind    client.ActorKind
	BusName string `json:",omitempty"`
	UID     uint32 `json:",omitempty"`
	PID     uint32 `json:",omitempty"`
	For     string `json:",omitempty"`
}

type change struct{ Setting, Value string }

func entryOf(e *client.Event) entry {
	saved := entry{
		Kind: e.Kind, Time: e.Time.UTC(), By: actor(e.By), Reason: e.Reason, Refusal: e.Refusal,
		Key: e.Identity.Hex, KeyKind: e.Identity.Kind, Address: e.Address, Command: e.Command,
		Status: e.Check.Status, Signal: e.Check.Signal, Output: e.Check.Output, Note: e.Note,
	}
	for _, c := range e.Changes {
		saved.Changes = append(saved.Changes, change(c))
	}
	if e.Err != nil {
		saved.Error = e.Err.Error()
	}
	return saved
}

// event is the event of the client of that name that was saved.
func (s *entry) event(name string) client.Event {
	e := client.Event{
		Kind: s.Kind, Time: s.Time, Client: client.View{Settings: client.Settings{Name: name}},
		By: client.Actor(s.By), Reason: s.Reason, Refusal: s.Refusal,
		Identity: client.Identity{Kind: s.KeyKind, Hex: s.Key}, Address: s.Address, Command: s.Command,
		Check: client.CheckResult{Status: s.Status, Signal: s.Signal, Output: s.Output}, Note: s.Note, Times: s.Times,
	}
	for _, c := range s.Changes {
		e.Changes = append(e.Changes, client.Change(c))
	}
	if s.Error != "" {
		e.Err = errors.New(s.Error)
	}
	return e
}

// repeats reports whether the entry says but when and from where that was said before.
func (s *entry) repeats(before *entry) bool {
	switch s.Kind {
	case client.Rejected, client.SecretNotReceived, client.ApprovalNeeded:
	default:
		return false
	}
	return s.Kind == before.Kind && s.Refusal == before.Refusal && s.Key == before.Key && s.KeyKind == before.KeyKind && s.Error == before.Error
}

func encode(entries []entry) []byte {
	content, err := json.Marshal(entries)
	if err != nil {
		panic(fmt.Sprintf("history: %v", err)) // there is nothing in an entry that has no JSON
	}
	return content
}

func decode(content []byte) (entries []entry, err error) {
	if len(content) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(content, &entries); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	return entries, nil
}
