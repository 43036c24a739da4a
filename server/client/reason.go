// SPDX-License-Identifier: Apache-2.0

package client

// Reason is a code for why a client is disabled or removed. It is saved, and one that
// a version does not know lowers a client all the same.
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
