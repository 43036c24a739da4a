// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/humantime"
)

// LockdownInWords tells of a lockdown that is on.
func LockdownInWords(l dbusapi.Lockdown, now time.Time) string {
	text := "there is a lockdown, in which nobody gets a secret"
	if !l.Since.IsZero() {
		text += ", since " + humantime.Relative(l.Since, now) + by(l.By)
	}
	if l.Until.After(now) {
		text += ", for another " + humantime.Rough(l.Until.Sub(now))
	}
	if l.Why != "" {
		text += ": " + l.Why
	}
	return text
}
