// SPDX-License-Identifier: Apache-2.0

// Package jsonoutput is what mandosctl prints with --json, for programs to rely
// on.
//
// Every document has a schemaVersion, which is 1. Within a version, fields are
// added and never removed, and never change their meaning; whoever reads must
// pass over what is unknown. Anything else is a new version.
//
// Times are RFC 3339 in UTC and null for none, durations are seconds, keys are
// upper-case hex.
package jsonoutput

import (
	"encoding/json"
	"io"
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

// SchemaVersion is the version of all documents.
const SchemaVersion = 1

// Clients is the document of "list" and "show".
type Clients struct {
	SchemaVersion int      `json:"schemaVersion"`
	Clients       []Client `json:"clients"`
}

// Client is one client.
type Client struct {
	Name string `json:"name"`
	// State is the first of these that holds: "pending" (a connection waits
	// for approval), "expiring" (disabled soon unless a check succeeds),
	// "failing" (its last check failed), "away" (the same, but its absence is
	// planned), "expired" (disabled for want of a successful check), "untested" (enabled, not checked yet), "enabled",
	// "disabled" (as somebody wanted).
	State   clientinfo.State `json:"state"`
	Reason  string           `json:"reason"` // why it stands so; may be empty
	Enabled bool             `json:"enabled"`

	Host        string `json:"host"`
	KeyID       string `json:"keyID"`
	Fingerprint string `json:"fingerprint"`
	Checker     string `json:"checker"`

	Timeout           float64 `json:"timeout"`
	ExtendedTimeout   float64 `json:"extendedTimeout"`
	Interval          float64 `json:"interval"`
	ApprovalDelay     float64 `json:"approvalDelay"` // 0: needs no approval
	ApprovalDuration  float64 `json:"approvalDuration"`
	ApprovedByDefault bool    `json:"approvedByDefault"`

	Created             *time.Time        `json:"created"`
	LastEnabled         *time.Time        `json:"lastEnabled"`
	Expires             *time.Time        `json:"expires"`
	LastCheckedOK       *time.Time        `json:"lastCheckedOK"`
	LastCheckerStatus   *int              `json:"lastCheckerStatus"` // exit status, -1 crashed, null before the first
	SecretProblem       string            `json:"secretProblem"`     // why the secret can hardly be meant, or empty
	LastCheckerOutput   string            `json:"lastCheckerOutput"` // the last line of a failed one, or empty
	CheckerRunning      bool              `json:"checkerRunning"`
	ApprovalPending     bool              `json:"approvalPending"`
	LastApprovalRequest *time.Time        `json:"lastApprovalRequest"`
	LastHandout         *time.Time        `json:"lastHandout"`
	LastHandoutKey      dbusapi.KeyKind   `json:"lastHandoutKey"`  // "raw-public-key", "openpgp-key", or empty
	OnBorrowedTime      bool              `json:"onBorrowedTime"`  // it would have expired but for the server's own network
	AbsenceUntil        *time.Time        `json:"absenceUntil"`    // null unless one is planned
	AbsenceReason       string            `json:"absenceReason"`   // in somebody's words, or empty
	ApprovalsNeeded     int               `json:"approvalsNeeded"` // people who have to approve, if any has to
	ApprovalsAhead      int               `json:"approvalsAhead"`  // hand-outs that are approved in advance
	ApprovedAheadUntil  *time.Time        `json:"approvedAheadUntil"`
	HandoutsAllowed     int               `json:"handoutsAllowed"` // left of its grants
	AllowedUntil        *time.Time        `json:"allowedUntil"`    // when the last of these ends
	DisabledSince       *time.Time        `json:"disabledSince"`
	DisabledBecause     dbusapi.Reason    `json:"disabledBecause"`
	DisabledBy          *Actor            `json:"disabledBy"`              // null for nobody
	OtherSettings       map[string]string `json:"otherSettings,omitempty"` // that only this kind of server has, as clients.conf has them
}

// OfClients makes the document of those clients as they stand now.
func OfClients(clients []dbusapi.Client, now time.Time) Clients {
	document := Clients{SchemaVersion: SchemaVersion, Clients: make([]Client, len(clients))}
	for i := range clients {
		document.Clients[i] = ofClient(&clients[i], now)
	}
	return document
}

func ofClient(c *dbusapi.Client, now time.Time) Client {
	out := Client{
		Name:    c.Name,
		State:   clientinfo.StateOf(c, now),
		Reason:  clientinfo.Reason(c, now),
		Enabled: c.Enabled,

		Host:        c.Host,
		KeyID:       c.KeyID,
		Fingerprint: c.Fingerprint,
		Checker:     c.Checker,

		Timeout:           c.Timeout.Seconds(),
		ExtendedTimeout:   c.ExtendedTimeout.Seconds(),
		Interval:          c.Interval.Seconds(),
		ApprovalDelay:     c.ApprovalDelay.Seconds(),
		ApprovalDuration:  c.ApprovalDuration.Seconds(),
		ApprovedByDefault: c.ApprovedByDefault,

		Created:             orNull(c.Created),
		LastEnabled:         orNull(c.LastEnabled),
		Expires:             orNull(c.Expires),
		LastCheckedOK:       orNull(c.LastCheckedOK),
		SecretProblem:       c.SecretProblem,
		LastCheckerOutput:   c.LastCheckerOutput,
		CheckerRunning:      c.CheckerRunning,
		ApprovalPending:     c.ApprovalPending,
		LastApprovalRequest: orNull(c.LastApprovalRequest),
		LastHandout:         orNull(c.LastHandout),
		LastHandoutKey:      c.LastHandoutKey,
		OnBorrowedTime:      c.OnBorrowedTime,
		AbsenceUntil:        orNull(c.AbsenceUntil),
		AbsenceReason:       c.AbsenceReason,
		ApprovalsNeeded:     max(c.ApprovalsNeeded, 1),
		ApprovalsAhead:      c.ApprovalsAhead,
		ApprovedAheadUntil:  orNull(c.ApprovedAheadUntil),
		HandoutsAllowed:     c.HandoutsAllowed,
		AllowedUntil:        orNull(c.AllowedUntil),
		DisabledSince:       orNull(c.DisabledSince),
		DisabledBecause:     c.DisabledBecause,
		DisabledBy:          actorOrNull(c.DisabledBy),
		OtherSettings:       c.Other,
	}
	if c.LastCheckerStatus != dbusapi.NeverChecked {
		out.LastCheckerStatus = &c.LastCheckerStatus
	}
	return out
}

// orNull makes the zero time a null.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Write prints a document, on many lines for people and on one for programs.
func Write(w io.Writer, document any, people bool) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if people {
		encoder.SetIndent("", "  ")
	}
	return encoder.Encode(document)
}
