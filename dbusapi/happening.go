// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode"

	"github.com/godbus/dbus/v5"
)

// HappeningKind says what happened, in the server's words.
type HappeningKind string

// What can happen, and which fields of the Happening go with it. There may be
// others in a later server.
const (
	WasAdded             HappeningKind = "added"               // By
	WasRemoved           HappeningKind = "removed"             // By, Reason
	WasForgotten         HappeningKind = "forgotten"           // By
	WasEnabled           HappeningKind = "enabled"             // By
	WasDisabled          HappeningKind = "disabled"            // By, Reason
	WasChanged           HappeningKind = "changed"             // By, Values
	WasVouchedFor        HappeningKind = "vouched"             // By
	CheckStarted         HappeningKind = "checker started"     // Command
	CheckCompleted       HappeningKind = "checker completed"   // Status, Signal
	CheckStopped         HappeningKind = "checker stopped"     // By
	CheckNotStarted      HappeningKind = "checker not started" // Command, Error
	ApprovalNeeded       HappeningKind = "approval needed"     // Key, Address
	WasApproved          HappeningKind = "approved"            // By
	WasDenied            HappeningKind = "denied"              // By
	ApprovalOver         HappeningKind = "approval over"
	SecretSent           HappeningKind = "secret sent"         // Key, Address, Note
	SecretNotReceived    HappeningKind = "secret not received" // Key, Address, Error
	WasRejected          HappeningKind = "rejected"            // Key, Address, Reason
	KeyNotFound          HappeningKind = "not found"           // Key, Address, Note; no Client
	StateNotSaved        HappeningKind = "state not saved"     // Error; no Client
	StateSavedAgain      HappeningKind = "state saved again"   // no Client
	HappeningsLeftUntold HappeningKind = "events dropped"      // Dropped; no Client
)

// Happening is something that happened, as the server tells it in full and
// keeps it in a client's history.
type Happening struct {
	Kind   HappeningKind
	Time   time.Time
	Client string // its name; empty for what is about no client

	By             string // who did it: "server", "configuration" or "uid N, pid N"
	Reason         string
	Key, KeyKind   string // the key that was proved, in upper-case hex
	Address        string // with the port
	Command        string
	Status, Signal int // Status is -1 for a checker that was killed by Signal
	Error          string
	Note           string // what is odd about it, as a sentence
	Dropped        int
	Times          int // how often in a row, if more than once; only in a history

	// Values are the settings that changed, by the names of their properties,
	// as text; durations are milliseconds. A secret has no value.
	Values map[string]string
}

// On the bus a happening is a dictionary of strings, in which property names
// begin with a capital and the names of all other fields do not.
const (
	keyKind    = "kind"
	keyTime    = "time"
	keyClient  = "client"
	keyBy      = "by"
	keyReason  = "reason"
	keyKey     = "key"
	keyKeyKind = "key kind"
	keyAddress = "address"
	keyCommand = "command"
	keyStatus  = "status"
	keySignal  = "signal"
	keyError   = "error"
	keyNote    = "note"
	keyDropped = "dropped"
	keyTimes   = "times"
)

// Encode makes what the bus carries of a happening. What is empty or 0 is left out.
func (h *Happening) Encode() map[string]string {
	fields := map[string]string{
		keyKind:    string(h.Kind),
		keyTime:    FormatTime(h.Time),
		keyClient:  h.Client,
		keyBy:      h.By,
		keyReason:  h.Reason,
		keyKey:     h.Key,
		keyKeyKind: h.KeyKind,
		keyAddress: h.Address,
		keyCommand: h.Command,
		keyError:   h.Error,
		keyNote:    h.Note,
	}
	for key, n := range map[string]int{keyStatus: h.Status, keySignal: h.Signal, keyDropped: h.Dropped, keyTimes: h.Times} {
		if n != 0 {
			fields[key] = strconv.Itoa(n)
		}
	}
	for key, text := range fields {
		if text == "" {
			delete(fields, key)
		}
	}
	for property, text := range h.Values {
		fields[property] = text
	}
	return fields
}

// DecodeHappening reads what Encode makes, and passes over fields that it does
// not know.
func DecodeHappening(fields map[string]string) (h Happening, err error) {
	for key, text := range fields {
		switch key {
		case keyKind:
			h.Kind = HappeningKind(text)
		case keyTime:
			h.Time, err = ParseTime(text)
		case keyClient:
			h.Client = text
		case keyBy:
			h.By = text
		case keyReason:
			h.Reason = text
		case keyKey:
			h.Key = text
		case keyKeyKind:
			h.KeyKind = text
		case keyAddress:
			h.Address = text
		case keyCommand:
			h.Command = text
		case keyStatus:
			h.Status, err = strconv.Atoi(text)
		case keySignal:
			h.Signal, err = strconv.Atoi(text)
		case keyError:
			h.Error = text
		case keyNote:
			h.Note = text
		case keyDropped:
			h.Dropped, err = strconv.Atoi(text)
		case keyTimes:
			h.Times, err = strconv.Atoi(text)
		default:
			h.setValue(key, text)
		}
		if err != nil {
			return Happening{}, fmt.Errorf("field %s of what happened: %w", key, err)
		}
	}
	return h, nil
}

func (h *Happening) setValue(key, text string) {
	if key == "" || !unicode.IsUpper(rune(key[0])) {
		return
	}
	if h.Values == nil {
		h.Values = make(map[string]string)
	}
	h.Values[key] = text
}

// History is what happened to a client last, the oldest first.
func (conn *Connection) History(ctx context.Context, c Client) ([]Happening, error) {
	var encoded []map[string]string
	if err := conn.call(ctx, c.Path, ClientInterface1+".History", nil, &encoded); err != nil {
		return nil, err
	}
	history := make([]Happening, len(encoded))
	for i, fields := range encoded {
		var err error
		if history[i], err = DecodeHappening(fields); err != nil {
			return nil, err
		}
	}
	return history, nil
}

// readHappening reads the signal Happened.
func readHappening(signal *dbus.Signal) (Happening, error) {
	var fields map[string]string
	if err := dbus.Store(signal.Body, &fields); err != nil {
		return Happening{}, err
	}
	return DecodeHappening(fields)
}
