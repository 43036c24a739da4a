// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mandos/server/client"
	"mandos/server/openpgpblob"
)

// Keys of fields that more than one kind of record has.
const (
	keyClient  = "client"
	keyKeyType = "key_type"
	keyAddress = "address"
	keyReason  = "reason"
	keyActor   = "actor"
	keyCommand = "command"
	keyError   = "error"
)

// Events makes the subscriber that logs what happens to the clients: one record
// for each event. What those cause who connect is limited. Of each checker that
// cannot run, the first failure is a warning.
func Events(log *slog.Logger, limits *Limits) func(client.Event) {
	strangers := limits.Strangers()
	var broken brokenCheckers
	var mass massFailure
	return func(e client.Event) {
		to := log
		if e.Kind == client.NotFound {
			to = strangers
		}
		level, sentence := descriptions[e.Kind](e)
		level = mass.levelOf(e, level)
		if broken.isNew(e) {
			level, sentence = slog.LevelWarn, "Checker for "+e.Client.Name+" cannot run: a program that it needs is missing or must not be run"
		}
		ctx := context.Background()
		if !to.Enabled(ctx, level) || isOfConnection(e.Kind) && !limits.allowClient(e) {
			return
		}
		r := slog.NewRecord(e.Time, level, sentence, 0)
		r.AddAttrs(fields(e)...)
		// No handler of this package fails.
		_ = to.Handler().Handle(ctx, r)
	}
}

// isOfConnection reports whether whoever has a client's key can cause events of that
// kind, by connecting.
func isOfConnection(kind client.EventKind) bool {
	switch kind {
	case client.ApprovalNeeded, client.ApprovalOver, client.SecretSent, client.SecretNotReceived, client.TwoMachines, client.NewAddress, client.Rejected:
		return true
	}
	return false
}

// massFailure is whether the log has said that most clients fail their checks.
type massFailure bool

// levelOf is that of an event about which, if one of many, the warning of all has said
// what matters.
func (m *massFailure) levelOf(e client.Event, usual slog.Level) slog.Level {
	switch {
	case e.Kind == client.MassFailure, e.Kind == client.MassFailureOver:
		*m = e.Kind == client.MassFailure
	case bool(*m) && e.Kind == client.Disabled && e.Reason == client.TimedOut:
		return min(usual, slog.LevelInfo)
	case bool(*m) && e.Kind == client.CheckerCompleted && !e.Check.OK():
		return slog.LevelDebug
	}
	return usual
}

// brokenCheckers are the checkers, as configured, that were warned of.
type brokenCheckers map[string]bool

// maxBroken bounds how many are remembered.
const maxBroken = 1000

// isNew reports whether the event is the first to show that a program of a
// checker cannot be run. It takes the shell's word for it, as its exit status.
func (b *brokenCheckers) isNew(e client.Event) bool {
	const mustNotBeRun, notFound = 126, 127
	if e.Kind != client.CheckerCompleted || e.Check.Status != mustNotBeRun && e.Check.Status != notFound || (*b)[e.Client.Checker] {
		return false
	}
	if *b == nil || len(*b) >= maxBroken {
		*b = make(brokenCheckers)
	}
	(*b)[e.Client.Checker] = true
	return true
}

// description is the level of an event and its sentence, which begins as people who
// filter the log of a Mandos server are used to.
type description func(client.Event) (slog.Level, string)

// descriptions are those of each kind of event.
var descriptions = map[client.EventKind]description{
	client.Added:             always(slog.LevelInfo, "Client %s was added"),
	client.Removed:           always(slog.LevelInfo, "Client %s was removed"),
	client.Forgotten:         always(slog.LevelInfo, "Client %s was forgotten"),
	client.Enabled:           always(slog.LevelInfo, "Client %s was enabled"),
	client.Disabled:          describeDisabled,
	client.Changed:           describeChanged,
	client.Vouched:           always(slog.LevelInfo, "Client %s was vouched for"),
	client.AbsencePlanned:    always(slog.LevelInfo, "Client %s is expected to be away for a while"),
	client.CameBack:          always(slog.LevelInfo, "Client %s is back from its planned absence"),
	client.AbsenceOver:       always(slog.LevelInfo, "The planned absence of client %s is over"),
	client.CheckerStarted:    always(slog.LevelDebug, "Starting checker for %s"),
	client.CheckerCompleted:  describeCompleted,
	client.CheckerStopped:    always(slog.LevelInfo, "Checker for %s was stopped"),
	client.CheckerNotStarted: always(slog.LevelError, "Checker for %s could not be started"),
	client.ApprovalNeeded:    always(slog.LevelInfo, "Client %s needs approval"),
	client.Approved:          always(slog.LevelInfo, "Client %s was approved"),
	client.Denied:            always(slog.LevelInfo, "Client %s was denied"),
	client.Allowed:           always(slog.LevelInfo, "Client %s was granted its secret"),
	client.Revoked:           always(slog.LevelInfo, "What was granted to client %s was revoked"),
	client.ApprovedAhead:     always(slog.LevelInfo, "Client %s was approved in advance"),
	client.ApprovalOver:      always(slog.LevelDebug, "Nobody waits for approval of client %s any more"),
	client.SecretSent:        always(slog.LevelInfo, "Sending secret to %s succeeded"),
	client.SecretNotReceived: always(slog.LevelWarn, "Sending secret to %s failed"),
	client.MayHaveBeenSent:   always(slog.LevelWarn, "The secret may have been sent to %s when the server ended"),
	client.TwoMachines:       always(slog.LevelWarn, "Two machines have the key of client %s"),
	client.NewAddress:        always(slog.LevelWarn, "Client %s received its secret at an address that it never did at before"),
	client.Rejected:          describeRejected,
	client.NotFound: func(e client.Event) (slog.Level, string) {
		return slog.LevelInfo, fmt.Sprintf("Client not found for %s: %s, address: %s", keyName(e.Identity.Kind), e.Identity.Hex, e.Address)
	},
	client.LockdownOn: func(client.Event) (slog.Level, string) {
		return slog.LevelWarn, "Lockdown: nobody gets a secret from now on"
	},
	client.LockdownOff: func(client.Event) (slog.Level, string) {
		return slog.LevelWarn, "The lockdown is over"
	},
	client.MassFailure: func(client.Event) (slog.Level, string) {
		return slog.LevelWarn, "More than half of the clients have begun to fail their checks within an interval; look whether the server's own network works"
	},
	client.MassFailureOver: func(client.Event) (slog.Level, string) {
		return slog.LevelWarn, "No more than half of the clients fail their checks any more"
	},
	client.UplinkFails: func(client.Event) (slog.Level, string) {
		return slog.LevelWarn, "The server's own network does not work, as the uplink check says: expiry stands still for a while"
	},
	client.UplinkWorks: func(client.Event) (slog.Level, string) {
		return slog.LevelWarn, "The server's own network works again, as the uplink check says"
	},
	client.BorrowsTime: always(slog.LevelInfo, "Client %s would have expired, but is valid on borrowed time"),
	client.StateNotSaved: func(e client.Event) (slog.Level, string) {
		if errors.As(e.Err, new(client.UnsavableError)) {
			return slog.LevelError, "The state of a client cannot be saved, and will be forgotten at the next start"
		}
		return slog.LevelError, "The state of the clients cannot be saved; see to the state directory, it will be tried again"
	},
	client.StateSavedAgain: func(client.Event) (slog.Level, string) {
		return slog.LevelWarn, "The state of the clients is saved again"
	},
	client.EventsDropped: func(client.Event) (slog.Level, string) {
		return slog.LevelWarn, "Refusals came too fast to log them all"
	},
}

// always is for events that are told in one way, with the client's name.
func always(level slog.Level, sentence string) description {
	return func(e client.Event) (slog.Level, string) { return level, fmt.Sprintf(sentence, e.Client.Name) }
}

// describeChanged warns of a secret that can hardly be meant. Whoever sets one on the
// bus may set any, as ever.
func describeChanged(e client.Event) (slog.Level, string) {
	sentence := "Client " + e.Client.Name + " was changed"
	if slices.Contains(e.Properties, client.PropSecret) {
		if _, err := openpgpblob.Judge(e.Client.Secret.Bytes()); err != nil {
			return slog.LevelWarn, fmt.Sprintf("%s, and its secret can hardly be meant: %v", sentence, err)
		}
	}
	return slog.LevelInfo, sentence
}

// expiries say why the server itself disabled a client. Whatever else there is
// somebody wanted.
var expiries = map[client.Reason]string{
	client.TimedOut:        "no successful check within its timeout",
	client.NeverCheckedOK:  "it expired while the server was down and no check of it ever succeeded",
	client.CheckFailedLast: "it expired while the server was down and its last check had failed",
	client.GraceSpent:      "it expired while the server was down, and no check of it had succeeded since the start before",
}

func describeDisabled(e client.Event) (slog.Level, string) {
	if why, expired := expiries[e.Reason]; expired {
		return slog.LevelWarn, fmt.Sprintf("Disabling client %s: %s", e.Client.Name, why)
	}
	return slog.LevelInfo, "Client " + e.Client.Name + " was disabled"
}

func describeCompleted(e client.Event) (slog.Level, string) {
	name := e.Client.Name
	switch {
	case e.Check.OK():
		return slog.LevelDebug, "Checker for " + name + " succeeded"
	case e.Check.Signal != 0:
		return slog.LevelWarn, "Checker for " + name + " crashed"
	}
	return slog.LevelInfo, "Checker for " + name + " failed"
}

// refusals are the descriptions of each.
var refusals = map[client.Refusal]description{
	client.IsLockedDown:     always(slog.LevelInfo, "Client %s is refused since there is a lockdown"),
	client.IsDisabled:       always(slog.LevelInfo, "Client %s is disabled"),
	client.WasDenied:        always(slog.LevelWarn, "Client %s was not approved"),
	client.ApprovalTimedOut: always(slog.LevelWarn, "Client %s timed out while waiting for approval"),
	client.OnBorrowedTime:   always(slog.LevelWarn, "Client %s is valid on borrowed time, and nobody has approved it"),
	client.NotFromThere:     always(slog.LevelWarn, "Client %s must not fetch its secret from that address"),
	client.TooOften:         always(slog.LevelWarn, "Client %s asks for its secret too often"),
	client.OtherIsDisabled:  always(slog.LevelWarn, "Client %s asks for its secret, and another client with its key is disabled"),
	client.NotGranted:       always(slog.LevelWarn, "Client %s asks for its secret without a grant"),
	client.NotRecorded:      always(slog.LevelError, "Client %s is refused since the hand-out cannot be put on record"),
	client.IsRemoved:        always(slog.LevelInfo, "Client %s was removed while waiting for approval"),
	client.PeerGone:         always(slog.LevelInfo, "Client %s went away while waiting for approval"),
	client.ShuttingDown:     always(slog.LevelInfo, "Client %s was refused since the server exits"),
	client.IsNotFound:       always(slog.LevelInfo, "Client %s is not found by its key"),
}

func describeRejected(e client.Event) (slog.Level, string) { return refusals[e.Refusal](e) }

// fields are what the event has; what it lacks is left out.
func fields(e client.Event) []slog.Attr {
	var attrs []slog.Attr
	if e.Client.Name != "" {
		attrs = append(attrs, slog.String(keyClient, e.Client.Name))
	}
	attrs = append(attrs, keyFields(e)...)
	if e.Address != (netip.AddrPort{}) {
		attrs = append(attrs, slog.Any(keyAddress, e.Address))
	}
	if e.Reason != "" {
		attrs = append(attrs, slog.String(keyReason, string(e.Reason)))
	}
	if e.Refusal != "" {
		attrs = append(attrs, slog.String(keyReason, string(e.Refusal)))
	}
	if e.By != (client.Actor{}) {
		attrs = append(attrs, slog.Any(keyActor, e.By))
	}
	switch e.Kind {
	case client.Disabled:
		attrs = append(attrs, lastCheck(e.Client)...)
	case client.Changed:
		attrs = append(attrs, newValues(e)...)
	case client.AbsencePlanned:
		attrs = append(attrs, slog.Time("until", e.Client.AbsenceUntil))
	case client.CheckerCompleted:
		attrs = append(attrs, result(e.Check)...)
	case client.ApprovalNeeded:
		attrs = append(attrs, setting(e.Client, client.PropApprovalDelay), setting(e.Client, client.PropApprovedByDefault))
	case client.UplinkFails:
		attrs = append(attrs, result(e.Check)...)
	case client.BorrowsTime:
		attrs = append(attrs, slog.Time("expires", e.Client.Expires))
	case client.MassFailure:
		attrs = append(attrs, slog.Int("failing", e.Failing), slog.Int("enabled", e.Enabled))
	case client.MassFailureOver:
		attrs = append(attrs, slog.Int("failing", e.Failing), slog.Int("enabled", e.Enabled), slog.Int("expired", e.Expired))
	case client.EventsDropped:
		attrs = append(attrs, slog.Int("left_out", e.Dropped))
	}
	if e.Command != "" {
		attrs = append(attrs, slog.String(keyCommand, e.Command))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any(keyError, e.Err))
	}
	if e.Note != "" {
		attrs = append(attrs, slog.String("note", e.Note))
	}
	return attrs
}

// keyFields name the key that was proved, or else the one that the client has.
func keyFields(e client.Event) []slog.Attr {
	if e.Identity.Hex != "" {
		return []slog.Attr{slog.String(e.Identity.Kind.Field(), e.Identity.Hex), slog.String(keyKeyType, string(e.Identity.Kind))}
	}
	switch {
	case e.Client.KeyID != "":
		return []slog.Attr{slog.String(client.RawPublicKey.Field(), e.Client.KeyID)}
	case e.Client.Fingerprint != "":
		return []slog.Attr{slog.String(client.OpenPGPKey.Field(), e.Client.Fingerprint)}
	}
	return nil
}

func keyName(kind client.KeyKind) string {
	if kind == client.OpenPGPKey {
		return "fingerprint"
	}
	return "key ID"
}

func result(check client.CheckResult) []slog.Attr {
	if check.Signal != 0 {
		return []slog.Attr{slog.Int("signal", check.Signal)}
	}
	attrs := []slog.Attr{slog.Int("status", check.Status)}
	if check.Output != "" {
		attrs = append(attrs, slog.String("output", check.Output))
	}
	return attrs
}

// lastCheck tells what was last known of a client that is valid no more.
func lastCheck(v client.View) []slog.Attr {
	checked := "never"
	if !v.LastCheckedOK.IsZero() {
		checked = v.LastCheckedOK.Format(time.RFC3339)
	}
	last := fmt.Sprintf("exit status %d", v.LastCheckerStatus)
	switch v.LastCheckerStatus {
	case client.NeverChecked:
		last = "none"
	case client.CheckerCrashed:
		last = "crashed"
	}
	return []slog.Attr{slog.String("last_checked_ok", checked), slog.String("last_check", last)}
}

// setting is one of a client's, as clients.conf has it.
func setting(v client.View, property client.Property) slog.Attr {
	row, _ := client.SettingOf(property)
	return slog.String(row.Key, row.Text(&v.Settings))
}

// newValues are what changed and to what.
func newValues(e client.Event) []slog.Attr {
	keys := make([]string, len(e.Changes))
	attrs := []slog.Attr{{}}
	for i, c := range e.Changes {
		keys[i] = c.Setting
		switch c.Setting {
		case client.RawPublicKey.Field(), client.OpenPGPKey.Field(): // which is there already, and may be another one
			attrs = append(attrs, slog.String("new_"+c.Setting, c.Value))
		case "secret":
		default:
			attrs = append(attrs, slog.String(c.Setting, c.Value))
		}
	}
	attrs[0] = slog.String("changed", strings.Join(keys, ","))
	if slices.Contains(e.Properties, client.PropExpires) {
		attrs = append(attrs, slog.Time("expires", e.Client.Expires))
	}
	return attrs
}
