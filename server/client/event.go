// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/netip"
	"time"
)

// EventKind is a code for what happened.
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
	AbsencePlanned    EventKind = "absence-planned"     // By, Note
	CameBack          EventKind = "came-back"           // from a planned absence
	AbsenceOver       EventKind = "absence-over"        // By; it has not come back, or somebody has ended it
	CheckerStarted    EventKind = "checker-started"     // Command
	CheckerCompleted  EventKind = "checker-completed"   // Command, Check
	CheckerStopped    EventKind = "checker-stopped"     // By
	CheckerNotStarted EventKind = "checker-not-started" // Command, Err
	ApprovalNeeded    EventKind = "approval-needed"     // Identity, Address
	Approved          EventKind = "approved"            // By, Note: how many of those needed, while they are not enough
	Denied            EventKind = "denied"              // By
	Allowed           EventKind = "allowed"             // By, Note: what was granted
	Revoked           EventKind = "revoked"             // By
	ApprovedAhead     EventKind = "approved-ahead"      // By, Note: what was approved in advance
	ApprovalOver      EventKind = "approval-over"       // Refusal, unless it was approved
	SecretSent        EventKind = "secret-sent"         // Identity, Address, Note
	SecretNotReceived EventKind = "secret-not-received" // Identity, Address, Err, Note
	MayHaveBeenSent   EventKind = "may-have-been-sent"  // Identity, Address; the server ended before it was known
	TwoMachines       EventKind = "two-machines"        // Identity, Address, Note: how that is known
	NewAddress        EventKind = "new-address"         // Identity, Address; it fetched from there for the first time
	Rejected          EventKind = "rejected"            // Identity, Address, Refusal, Note
	NotFound          EventKind = "not-found"           // Identity, Address, Note; no Client
	LockdownOn        EventKind = "lockdown-on"         // By, Note; no Client
	LockdownOff       EventKind = "lockdown-off"        // By; no Client
	MassFailure       EventKind = "mass-failure"        // Failing, Enabled; most clients began to fail their checks within an interval; no Client
	MassFailureOver   EventKind = "mass-failure-over"   // Failing, Enabled, Expired; no Client
	UplinkFails       EventKind = "uplink-fails"        // Check; the server's own way to the network; no Client
	UplinkWorks       EventKind = "uplink-works"        // again; no Client
	BorrowsTime       EventKind = "borrows-time"        // it would have expired but for the uplink
	StateNotSaved     EventKind = "state-not-saved"     // Err; no Client
	StateSavedAgain   EventKind = "state-saved-again"   // no Client
	EventsDropped     EventKind = "events-dropped"      // Dropped; no Client
)

// EventKinds are all of them.
var EventKinds = []EventKind{
	Added, Removed, Forgotten, Enabled, Disabled, Changed, Vouched, AbsencePlanned, CameBack, AbsenceOver,
	CheckerStarted, CheckerCompleted, CheckerStopped, CheckerNotStarted,
	ApprovalNeeded, Approved, Denied, Allowed, Revoked, ApprovedAhead, ApprovalOver, SecretSent, SecretNotReceived, MayHaveBeenSent, TwoMachines, NewAddress, Rejected, NotFound,
	LockdownOn, LockdownOff, MassFailure, MassFailureOver, UplinkFails, UplinkWorks, BorrowsTime, StateNotSaved, StateSavedAgain, EventsDropped,
}

// Event is something that happened. Subscribers see all of them in one order,
// those that lower a client's validity only after they were saved.
type Event struct {
	Kind EventKind
	Time time.Time
	// Client is the client as the event left it.
	Client View
	// Properties are those that the event changed, in the order to tell them.
	Properties []Property

	By       Actor
	Reason   Reason
	Refusal  Refusal
	Changes  []Change
	Identity Identity
	Address  netip.AddrPort
	Command  string
	Check    CheckResult
	Dropped  int
	// Failing is how many of the clients that are enabled fail their checks, and Expired how
	// many have expired meanwhile.
	Failing, Enabled, Expired int
	Err                       error
	// Note is a sentence, mostly empty, about what is odd about the event.
	Note string
	// Times is how often the same happened in a row, if more than once. It is known
	// in a history only.
	Times int
}

// Change is a setting that has changed, by its key, and what it is now, written as in
// clients.conf. A secret is not told.
type Change struct{ Setting, Value string }

// changes are the settings among properties, with what they are in s.
func changes(s *Settings, properties []Property) (all []Change) {
	for _, property := range properties {
		if d, ok := SettingOf(property); ok {
			all = append(all, Change{d.Key, d.Text(s)})
		}
	}
	return all
}

// Property names one of a client's values that can change while the server
// runs. The names are those on the bus.
type Property string

// The properties, as mandos(8) and its D-Bus interface call them.
const (
	PropAbsenceUntil        Property = "AbsenceUntil"
	PropAllowFrom           Property = "AllowFrom"
	PropApprovalsAhead      Property = "ApprovalsAhead"
	PropApprovalsNeeded     Property = "ApprovalsNeeded"
	PropApprovedAheadUntil  Property = "ApprovedAheadUntil"
	PropApprovalDelay       Property = "ApprovalDelay"
	PropApprovalDuration    Property = "ApprovalDuration"
	PropApprovalPending     Property = "ApprovalPending"
	PropApprovedUntil       Property = "ApprovedUntil"
	PropApprovedByDefault   Property = "ApprovedByDefault"
	PropChecker             Property = "Checker"
	PropCheckerRunning      Property = "CheckerRunning"
	PropDeniedUntil         Property = "DeniedUntil"
	PropEnabled             Property = "Enabled"
	PropExpires             Property = "Expires"
	PropExtendedTimeout     Property = "ExtendedTimeout"
	PropFingerprint         Property = "Fingerprint"
	PropAllowedUntil        Property = "AllowedUntil"
	PropHandoutLimit        Property = "HandoutLimit"
	PropHandouts            Property = "Handouts"
	PropHandoutsAllowed     Property = "HandoutsAllowed"
	PropHost                Property = "Host"
	PropInterval            Property = "Interval"
	PropKeyID               Property = "KeyID"
	PropLastApprovalRequest Property = "LastApprovalRequest"
	PropLastCheckedOK       Property = "LastCheckedOK"
	PropLastCheckerOutput   Property = "LastCheckerOutput"
	PropLastCheckerStatus   Property = "LastCheckerStatus"
	PropLastHandout         Property = "LastHandout"
	PropLastHandoutKey      Property = "LastHandoutKey"
	PropLastEnabled         Property = "LastEnabled"
	PropRecordRequired      Property = "RecordRequired"
	PropOnBorrowedTime      Property = "OnBorrowedTime"
	PropSecret              Property = "Secret"
	PropTimeout             Property = "Timeout"
)

// CheckResult tells how a checker ended: with an exit status, or killed by a
// signal, which leaves Status at CheckerCrashed.
type CheckResult struct {
	Status int
	Signal int
	// Output is the last line that a failed checker printed, safe to show.
	Output string
}

// OK reports whether the checker found its client alive.
func (c CheckResult) OK() bool { return c.Status == 0 && c.Signal == 0 }
