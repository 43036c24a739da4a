// SPDX-License-Identifier: Apache-2.0

package dbusapi

// Reason is a code for why a client is disabled, removed or gone. A later server may
// have others.
type Reason string

// The reasons.
const (
	ByAdministrator        Reason = "administrator" // at run time
	RemovedByAdministrator Reason = "removed"       // at run time
	ByConfiguration        Reason = "configuration" // enabled = no, or no section any more
	BeforeTakeOver         Reason = "taken-over"    // disabled when another server's state was taken over
	TimedOut               Reason = "expired"
	// Those of a client that expired while the server was down.
	NeverCheckedOK  Reason = "expired-unchecked"  // no check of it ever succeeded
	CheckFailedLast Reason = "expired-failing"    // its last check had failed
	GraceSpent      Reason = "expired-restarting" // no check had succeeded since the start before
)

// Reasons are all of them.
var Reasons = []Reason{
	ByAdministrator, RemovedByAdministrator, ByConfiguration, BeforeTakeOver,
	TimedOut, NeverCheckedOK, CheckFailedLast, GraceSpent,
}

// Refusal is a code for why a client that has proved its key does not get its secret.
// A later server may have others.
type Refusal string

// The refusals.
const (
	IsLockedDown     Refusal = "lockdown" // everybody is refused
	IsDisabled       Refusal = "disabled"
	OtherIsDisabled  Refusal = "same-key" // another client that has its key is disabled or removed
	WasDenied        Refusal = "denied"
	ApprovalTimedOut Refusal = "approval-timed-out"
	OnBorrowedTime   Refusal = "borrowed-time"  // and nobody has approved it
	NotFromThere     Refusal = "not-from-there" // as allow_from says
	TooOften         Refusal = "too-often"      // as handout_limit says
	NotGranted       Refusal = "not-granted"    // and handouts says that it needs a grant
	NotRecorded      Refusal = "not-recorded"   // the state cannot be saved, and record_required says so
	IsRemoved        Refusal = "removed"        // while it waited
	PeerGone         Refusal = "peer-gone"      // while it waited
	ShuttingDown     Refusal = "server-exiting"
	IsNotFound       Refusal = "not-found" // its key finds another client or none; only explained
)

// Refusals are all of them.
var Refusals = []Refusal{IsLockedDown, IsDisabled, OtherIsDisabled, WasDenied, ApprovalTimedOut, OnBorrowedTime, NotFromThere, TooOften, NotGranted, NotRecorded, IsRemoved, PeerGone, ShuttingDown, IsNotFound}

// RejectedTexts are what the signal Rejected of se.recompile.Mandos.Client says of each
// refusal.
var RejectedTexts = map[Refusal]string{
	IsLockedDown:     "Lockdown",
	IsDisabled:       "Disabled",
	OtherIsDisabled:  "Same key disabled",
	WasDenied:        "Denied",
	ApprovalTimedOut: "Approval timed out",
	OnBorrowedTime:   "On borrowed time",
	NotFromThere:     "Not from there",
	TooOften:         "Too often",
	NotGranted:       "Not granted",
	NotRecorded:      "Not recorded",
	IsRemoved:        "Removed",
	PeerGone:         "Peer gone",
	ShuttingDown:     "Server exiting",
	IsNotFound:       "Not found",
}

// refusalOf is the refusal of which a server says that text. One that is not known
// stays as it is.
func refusalOf(text string) Refusal {
	for refusal, said := range RejectedTexts {
		if said == text {
			return refusal
		}
	}
	return Refusal(text)
}

// ActorKind is a code for what an [Actor] is.
type ActorKind string

// The kinds of actors.
const (
	Itself        ActorKind = "server"        // acting by its rules
	Configuration ActorKind = "configuration" // what its files ask for
	Caller        ActorKind = "caller"        // a process on the bus
	FormerServer  ActorKind = "former-server" // of whose state, which was taken over, only the effect is known
)

// ActorKinds are all of them.
var ActorKinds = []ActorKind{Itself, Configuration, Caller, FormerServer}

// Actor is who changed something. The zero Actor is nobody.
type Actor struct {
	Kind ActorKind
	// BusName is the unique bus name of a caller. UID and PID are the process behind
	// it; with PID 0 it is unknown.
	BusName  string
	UID, PID uint32
	// For is whom a caller says that it acts for; mostly empty. It is its word alone.
	For string
}

// field is where in an Actor a property goes, whose name has a prefix.
func (a *Actor) field(prefix, property string) any {
	switch property {
	case prefix:
		return &a.Kind
	case prefix + "BusName":
		return &a.BusName
	case prefix + "UID":
		return &a.UID
	case prefix + "PID":
		return &a.PID
	case prefix + "For":
		return &a.For
	}
	return nil
}

// KeyKind is a code for the kind of key a client proves itself with.
type KeyKind string

// The two kinds of keys.
const (
	RawPublicKey KeyKind = "raw-public-key" // named by its key ID
	OpenPGPKey   KeyKind = "openpgp-key"    // named by its fingerprint
)

// KeyKinds are both.
var KeyKinds = []KeyKind{RawPublicKey, OpenPGPKey}
