// SPDX-License-Identifier: Apache-2.0

package client

import "time"

// View is a client as it stood at one moment.
type View struct {
	// Settings are the ones in force, changed at run time or not. Enabled is
	// the client's validity: only an enabled client is handed its secret.
	Settings
	State

	// ObjectPath is the client's D-Bus object path, unique among the clients.
	ObjectPath string
	// CheckerRunning reports whether a checker runs at this moment.
	CheckerRunning bool
	// ApprovalsPending counts the connections that wait for an approval or are
	// being served after one.
	ApprovalsPending int
	// AbsenceUntil is when a planned absence is over at the latest; zero without one.
	AbsenceUntil time.Time
	// HandoutsAllowed is how many hand-outs are left of the client's grants, and
	// AllowedUntil when the last of these ends; zero if one has no end.
	HandoutsAllowed int
	AllowedUntil    time.Time
	// ApprovalsAhead is how many hand-outs are approved in advance, by as many people as
	// it takes, and ApprovedAheadUntil when that ends; zero for no end.
	ApprovalsAhead     int
	ApprovedAheadUntil time.Time
	// OnBorrowedTime reports whether the client would have expired, but for the server's own
	// network, which fails or did.
	OnBorrowedTime bool
	// ApprovedUntil is when an approval in force ends; zero without one.
	ApprovedUntil time.Time
}

// State is what the server learned of a client. The zero time means never.
type State struct {
	// Created is when the server first met this client in its configuration.
	Created time.Time
	// LastEnabled is when the client was last enabled.
	LastEnabled time.Time
	// Expires is when the client will be disabled unless a check succeeds
	// before; zero for a disabled client.
	Expires time.Time
	// Absence is what is planned; without one it is zero.
	Absence PlannedAbsence
	// Borrowed is what it has had of the time that the server lends.
	Borrowed Borrowed
	// LastCheckedOK is when a checker last succeeded or somebody vouched for the client.
	LastCheckedOK time.Time
	// LastCheckerStatus is the last checker's exit status, or NeverChecked, or
	// CheckerCrashed.
	LastCheckerStatus int
	// LastCheckerOutput is the last line that the last checker printed, or why it
	// could not be started; empty unless it failed.
	LastCheckerOutput string
	// LastApprovalRequest is when a connection last began to wait for approval.
	LastApprovalRequest time.Time
	// LastHandout is when the client last received its secret, proving
	// LastHandoutKey.
	LastHandout    time.Time
	LastHandoutKey KeyKind
	// GraceSpent tells that a restart has given the client a timeout on account
	// of its last successful check, which only another one makes up for.
	GraceSpent bool
	// DisabledSince, DisabledBecause and DisabledBy say since when the client is
	// disabled, why, and by whom; zero for an enabled one.
	DisabledSince   time.Time
	DisabledBecause Reason
	DisabledBy      Actor
	// DeniedUntil is when a denial in force ends that was made for DeniedFor, of
	// the client with DeniedKey; zero without one.
	DeniedUntil time.Time
	DeniedFor   time.Duration
	DeniedKey   Key
}

// Values of State.LastCheckerStatus besides exit statuses.
const (
	NeverChecked   = -2
	CheckerCrashed = -1 // killed by a signal, or could not be started
)
