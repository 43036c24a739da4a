// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"time"

	"mandos/mandosctl/humantime"
)

// lookAtNetwork is what many clients that fail at once have in common.
const lookAtNetwork = "look whether the server's own network works"

// UplinkInWords tells that the server's own network does not work since then.
func UplinkInWords(since, now time.Time) string {
	return "the server's own network does not work, since " + humantime.Relative(since, now) + ": clients expire later, and then need approval"
}

// MassFailureInWords tells that most clients fail their checks since then.
func MassFailureInWords(since, now time.Time) string {
	return "more than half of the clients fail their checks, since " + humantime.Relative(since, now) + ": " + lookAtNetwork
}
