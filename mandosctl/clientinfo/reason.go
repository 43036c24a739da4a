// SPDX-License-Identifier: Apache-2.0

package clientinfo

import "mandos/dbusapi"

// reason is what is said of a reason why a client is disabled or gone.
type reason struct {
	said string // after a colon
	was  string // after "was"
	// deliberate says that somebody wanted it.
	deliberate bool
	// byActor says that all is said by naming who did it.
	byActor bool
}

var reasons = map[dbusapi.Reason]reason{
	dbusapi.ByAdministrator:        {said: "by an administrator", was: "disabled", deliberate: true, byActor: true},
	dbusapi.RemovedByAdministrator: {said: "removed by an administrator", was: "removed", deliberate: true},
	dbusapi.ByConfiguration:        {said: "by the configuration", was: "disabled by the configuration", deliberate: true, byActor: true},
	dbusapi.BeforeTakeOver: {
		said: "it was disabled when the state of another server was taken over",
		was:  "disabled before its state was taken over from another server", deliberate: true,
	},
	dbusapi.TimedOut: {said: "no successful check within its timeout", was: "expired for want of a successful check"},
	dbusapi.NeverCheckedOK: {
		said: "it expired while the server was down and no check of it ever succeeded",
		was:  "expired while the server was down, never checked with success",
	},
	dbusapi.CheckFailedLast: {
		said: "it expired while the server was down and its last check had failed",
		was:  "expired while the server was down, its last check having failed",
	},
	dbusapi.GraceSpent: {
		said: "it expired while the server was down, and no check of it had succeeded since the start before",
		was:  "expired while the server was down again, without a check in between",
	},
}

// reasonOf is what is said of a reason, of a later server's by its code.
func reasonOf(code dbusapi.Reason) reason {
	if known, ok := reasons[code]; ok {
		return known
	}
	return reason{said: string(code), was: string(code)}
}

// IsDeliberate reports whether somebody disabled a client, as far as is known.
func IsDeliberate(code dbusapi.Reason) bool { return code == "" || reasons[code].deliberate }

// refusals are what is said of each.
var refusals = map[dbusapi.Refusal]string{
	dbusapi.IsLockedDown:     "there is a lockdown",
	dbusapi.IsDisabled:       "it is disabled",
	dbusapi.OtherIsDisabled:  "another client with its key is disabled",
	dbusapi.WasDenied:        "it was denied",
	dbusapi.ApprovalTimedOut: "nobody approved it in time",
	dbusapi.OnBorrowedTime:   "it was on borrowed time, and nobody approved it",
	dbusapi.NotFromThere:     "it must not fetch it from there",
	dbusapi.TooOften:         "it asks too often",
	dbusapi.NotGranted:       "nobody has granted it",
	dbusapi.NotRecorded:      "the server cannot put the hand-out on record",
	dbusapi.IsRemoved:        "it was removed while it waited",
	dbusapi.PeerGone:         "it went away while it waited",
	dbusapi.ShuttingDown:     "the server was exiting",
	dbusapi.IsNotFound:       "its key does not find it",
}

func refusal(code dbusapi.Refusal) string {
	if known, ok := refusals[code]; ok {
		return known
	}
	return string(code)
}

// keyKinds are what each is called.
var keyKinds = map[dbusapi.KeyKind]string{dbusapi.RawPublicKey: "raw public key", dbusapi.OpenPGPKey: "OpenPGP key"}

func keyKind(code dbusapi.KeyKind) string {
	if known, ok := keyKinds[code]; ok {
		return known
	}
	return string(code)
}
