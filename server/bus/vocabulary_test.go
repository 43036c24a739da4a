// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"testing"

	"mandos/dbusapi"
	"mandos/server/client"
)

// The contract cannot import the registry, nor the registry the contract, so that
// their common words are kept the same here.
func TestContractHasTheRegistrysWords(t *testing.T) {
	for reason, want := range map[string]client.Reason{
		dbusapi.ByAdministrator: client.ByAdministrator,
		dbusapi.ByConfiguration: client.ByConfiguration,
		dbusapi.BeforeTakeOver:  client.BeforeTakeOver,
	} {
		if reason != string(want) {
			t.Errorf("%q should be %q", reason, want)
		}
	}
	for code, want := range map[string]client.Kind{
		dbusapi.CodeDisabled:      client.KindDisabled,
		dbusapi.CodeRemoved:       client.KindRemoved,
		dbusapi.CodeConfiguration: client.KindConfiguration,
		dbusapi.CodeTakenOver:     client.KindTakenOver,
		dbusapi.CodeExpired:       client.KindExpired,
		dbusapi.CodeNeverChecked:  client.KindNeverChecked,
		dbusapi.CodeCheckFailed:   client.KindCheckFailed,
		dbusapi.CodeGraceSpent:    client.KindGraceSpent,
	} {
		if code != string(want) {
			t.Errorf("%q should be %q", code, want)
		}
	}
	for kind, want := range map[dbusapi.HappeningKind]client.EventKind{
		dbusapi.WasAdded:             client.Added,
		dbusapi.WasRemoved:           client.Removed,
		dbusapi.WasForgotten:         client.Forgotten,
		dbusapi.WasEnabled:           client.Enabled,
		dbusapi.WasDisabled:          client.Disabled,
		dbusapi.WasChanged:           client.Changed,
		dbusapi.WasVouchedFor:        client.Vouched,
		dbusapi.CheckStarted:         client.CheckerStarted,
		dbusapi.CheckCompleted:       client.CheckerCompleted,
		dbusapi.CheckStopped:         client.CheckerStopped,
		dbusapi.CheckNotStarted:      client.CheckerNotStarted,
		dbusapi.ApprovalNeeded:       client.ApprovalNeeded,
		dbusapi.WasApproved:          client.Approved,
		dbusapi.WasDenied:            client.Denied,
		dbusapi.ApprovalOver:         client.ApprovalOver,
		dbusapi.SecretSent:           client.SecretSent,
		dbusapi.SecretNotReceived:    client.SecretNotReceived,
		dbusapi.WasRejected:          client.Rejected,
		dbusapi.KeyNotFound:          client.NotFound,
		dbusapi.StateNotSaved:        client.StateNotSaved,
		dbusapi.StateSavedAgain:      client.StateSavedAgain,
		dbusapi.HappeningsLeftUntold: client.EventsDropped,
	} {
		if string(kind) != string(want) {
			t.Errorf("%q should be %q", kind, want)
		}
	}
}
