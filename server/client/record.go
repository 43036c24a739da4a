// SPDX-License-Identifier: Apache-2.0

package client

import "time"

// Record is what must survive of one client. Configured tells what the
// configuration said when Settings were last merged with it; a setting that
// the configuration changes since then overrides one changed at run time. The
// secret of Configured is the key under which a secret set at run time is kept.
type Record struct {
	Settings   Settings
	Configured Settings
	State      State
	// Removed marks a client that was removed at run time although the
	// configuration still has it.
	Removed bool
	// Dropped marks a client that is gone from the configuration: its record
	// is to be deleted.
	Dropped bool
}

// moveExpiry moves the expiry by what the timeout became longer or shorter.
func (r *Record) moveExpiry(before time.Duration) {
	if !r.State.Expires.IsZero() {
		r.State.Expires = r.State.Expires.Add(r.Settings.Timeout - before)
	}
}
