// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"fmt"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
)

// Outcome says what follows from the decision about a client that stood so when it was
// made.
func Outcome(c *dbusapi.Client, approve bool) string {
	if approve && c.ApprovalsNeeded > 1 {
		return fmt.Sprintf("approved; it gets its secret when %d people have approved while it waits", c.ApprovalsNeeded)
	}
	word, waiter, comer := "denied", "is refused", "is refused"
	if approve {
		word, waiter, comer = "approved", "gets its secret", "gets it"
	}
	holds := notation.FormatDuration(c.ApprovalDuration)
	within := "within " + holds
	switch n := waiting(c); {
	case !c.Enabled && approve:
		return word + ", but it is disabled and gets nothing until somebody enables it; the approval holds for " + holds
	case !c.Enabled:
		return word + ", but it is disabled and gets nothing anyway; the denial holds for " + holds
	case n == 1:
		return fmt.Sprintf("%s; one connection waits and %s, and who comes %s %s too", word, waiter, within, comer)
	case n > 1:
		return fmt.Sprintf("%s; %d connections wait, and each %s; who comes %s %s too", word, n, waiter, within, comer)
	case approve && c.ApprovalDelay == 0 && c.DeniedUntil.IsZero() && !c.OnBorrowedTime:
		return word + ", which changes nothing: nobody waits, and it needs no approval"
	}
	return fmt.Sprintf("%s; nobody waits; who comes %s %s", word, within, comer)
}

// waiting is how many connections wait, as far as the server tells. Other Mandos
// servers only tell whether any does.
func waiting(c *dbusapi.Client) int {
	if c.ApprovalPending {
		return max(c.ApprovalsPending, 1)
	}
	return 0
}
