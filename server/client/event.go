// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"net/netip"
	"time"
)

// EventKind says what happened.
type EventKind string

// What can happen, and which fields of the Event go with it.
const (
	Added             EventKind = "added"
	Removed           EventKind = "removed"         // By, Reason
	Forgotten         EventKind = "forgotten"       // By; the client was gone before
	Enabled           EventKind = "enabled"         // By
	Disabled          EventKind = "disabled"        // By, Reason
	Changed           EventKind = "changed"         // By, Properties
	Vouched           EventKind = "vouched"         // By; taken as checked OK without a checker
	CheckerStarted    EventKind = "checker started" // Command
	CheckerCompleted  EventKind = "checker completed"
	CheckerStopped    EventKind = "checker stopped"     // By
	CheckerNotStarted EventKind = "checker not started" // Command, Err
	ApprovalNeeded    EventKind = "approval needed"     // Identity, Address
	Approved          EventKind = "approved"            // By
	Denied            EventKind = "denied"              // By
	ApprovalOver      EventKind = "approval over"
	SecretSent        EventKind = "secret sent"         // Identity, Address, Note
	SecretNotReceived EventKind = "secret not received" // Identity, Address, Err
	Rejected          EventKind = "rejected"            // Identity, Address, Reason
	NotFound          EventKind = "not found"           // Identity, Address, Note; no Client
	StateNotSaved     EventKind = "state not saved"     // Err; no Client
	StateSavedAgain   EventKind = "state saved again"   // no Client
	EventsDropped     EventKind = "events dropped"      // Dropped; no Client
)

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
	Identity Identity
	Address  netip.AddrPort
	Command  string
	Check    CheckResult
	Dropped  int
	Err      error
	// Note is a sentence, mostly empty, about what is odd about the event.
	Note string
}

// Property names one of a client's values that can change while the server
// runs. The names are those on the bus.
type Property string

// The properties, as mandos(8) and its D-Bus interface call them.
const (
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
	PropSecret              Property = "Secret"
	PropTimeout             Property = "Timeout"
)

// Reason says why a client is disabled or removed, or why it was refused.
type Reason string

// The reasons.
const (
	ByAdministrator Reason = "by an administrator"
	ByConfiguration Reason = "by the configuration"
	TimedOut        Reason = "no successful check within its timeout"
	NeverCheckedOK  Reason = "it expired while the server was down and no check of it ever succeeded"
	CheckFailedLast Reason = "it expired while the server was down and its last check had failed"
	GraceSpent      Reason = "it expired while the server was down, and no check of it had succeeded since the start before"
	BeforeTakeOver  Reason = "it was disabled when the state of another server was taken over"

	RemovedByAdministrator Reason = "removed by an administrator"

	IsDisabled       Reason = "Disabled"
	WasDenied        Reason = "Denied"
	ApprovalTimedOut Reason = "Approval timed out"
	IsRemoved        Reason = "Removed"
	PeerGone         Reason = "Peer gone"
	ShuttingDown     Reason = "Server exiting"
)

// Actor is who asked for a change. The zero Actor is the server itself, acting
// by its rules.
type Actor struct {
	// Configuration is set for what a configuration file asked for.
	Configuration bool
	// Caller is the unique bus name of the one who asked. UID and PID are the
	// process behind it; with PID 0 it is unknown, such as that of a caller that
	// left the bus without waiting for the answer.
	Caller   string
	UID, PID uint32
}

// FromConfiguration is the Actor behind what the configuration files ask for.
var FromConfiguration = Actor{Configuration: true}

func (a Actor) String() string {
	switch {
	case a.Configuration:
		return "configuration"
	case a.Caller != "" && a.PID == 0:
		return fmt.Sprintf("unknown process, caller %s", a.Caller)
	case a.Caller != "":
		return fmt.Sprintf("uid %d, pid %d", a.UID, a.PID)
	}
	return "server"
}

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
