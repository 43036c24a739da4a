// SPDX-License-Identifier: Apache-2.0

package client

import "time"

// Settings is what the configuration says of one client: a section of
// mandos-clients.conf(5) with every default filled in.
type Settings struct {
	Name string
	// KeyID is the SHA-256 of the client's TLS public key, upper-case hex; empty
	// for a client that has only an OpenPGP key.
	KeyID string
	// Fingerprint is the OpenPGP fingerprint, upper-case hex, or empty.
	Fingerprint string
	// Secret is what the client gets. JSON leaves it out.
	Secret Secret `json:"-"`

	// Host is free text for the checker, normally a host name or address.
	Host string
	// Checker is the shell command, with %(attribute)s still in it for
	// expansion at each start.
	Checker string

	Timeout         time.Duration
	ExtendedTimeout time.Duration
	Interval        time.Duration

	// AllowFrom is from where it may fetch its secret, as clients.conf has it; empty
	// for anywhere.
	AllowFrom string

	// ApprovalDelay is how long a hand-out waits for an approval; 0 means that
	// none is needed.
	ApprovalDelay     time.Duration
	ApprovalDuration  time.Duration
	ApprovedByDefault bool
	// ApprovalsNeeded is how many people have to approve; 0 is 1.
	ApprovalsNeeded int

	// HandoutLimit is how often it may get its secret, as clients.conf has it; empty for
	// as often as it asks.
	HandoutLimit string
	// Handouts says whether it takes a grant each time: "free" or "granted".
	Handouts string
	// RecordRequired says that a hand-out which cannot be put on record is refused.
	RecordRequired bool

	// Enabled is what the configuration says of a client's validity. In settings
	// in force it is the validity itself, as [Record] works it out.
	Enabled bool
	// EnabledOwn tells that Enabled stands in the client's own section, where it
	// is a person's word about this client, and not in [DEFAULT].
	EnabledOwn bool
}
