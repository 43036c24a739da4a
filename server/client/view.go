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
	// CheckerRunning tells whether a checker runs at this moment.
	CheckerRunning bool
	// ApprovalsPending counts the connections that wait for an approval or are
	// being served after one.
	ApprovalsPending int
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
	// DisabledSince and DisabledBecause say since when and why the client is
	// disabled; zero for an enabled one.
	DisabledSince   time.Time
	DisabledBecause Reason
	// DeniedUntil is when a denial in force ends; zero without one.
	DeniedUntil time.Time
}

// Values of State.LastCheckerStatus besides exit statuses.
const (
	NeverChecked   = -2
	CheckerCrashed = -1 // killed by a signal, or could not be started
)
