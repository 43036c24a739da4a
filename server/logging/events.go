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
	return func(e client.Event) {
		to := log
		if e.Kind == client.NotFound {
			to = strangers
		}
		level, sentence := describe(e)
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
	case client.ApprovalNeeded, client.ApprovalOver, client.SecretSent, client.SecretNotReceived, client.Rejected:
		return true
	}
	return false
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

// describe is the level of an event and its sentence, which begins as people
// who filter the log of a Mandos server are used to.
func describe(e client.Event) (slog.Level, string) {
	name := e.Client.Name
	switch e.Kind {
	case client.Added:
		return slog.LevelInfo, "Client " + name + " was added"
	case client.Removed:
		return slog.LevelInfo, "Client " + name + " was removed"
	case client.Forgotten:
		return slog.LevelInfo, "Client " + name + " was forgotten"
	case client.Enabled:
		return slog.LevelInfo, "Client " + name + " was enabled"
	case client.Disabled:
		return describeDisabled(e)
	case client.Changed:
		return describeChanged(e)
	case client.Vouched:
		return slog.LevelInfo, "Client " + name + " was vouched for"
	case client.CheckerStarted, client.CheckerCompleted, client.CheckerStopped, client.CheckerNotStarted:
		return describeCheck(e)
	case client.ApprovalNeeded:
		return slog.LevelInfo, "Client " + name + " needs approval"
	case client.Approved:
		return slog.LevelInfo, "Client " + name + " was approved"
	case client.Denied:
		return slog.LevelInfo, "Client " + name + " was denied"
	case client.ApprovalOver:
		return slog.LevelDebug, "Nobody waits for approval of client " + name + " any more"
	case client.SecretSent:
		return slog.LevelInfo, "Sending secret to " + name + " succeeded"
	case client.SecretNotReceived:
		return slog.LevelWarn, "Sending secret to " + name + " failed"
	case client.Rejected:
		return describeRejected(e)
	case client.NotFound:
		return slog.LevelInfo, fmt.Sprintf("Client not found for %s: %s, address: %s", keyName(e.Identity.Kind), e.Identity.Hex, e.Address)
	case client.StateNotSaved:
		if errors.As(e.Err, new(client.UnsavableError)) {
			return slog.LevelError, "The state of a client cannot be saved, and will be forgotten at the next start"
		}
		return slog.LevelError, "The state of the clients cannot be saved; see to the state directory, it will be tried again"
	case client.StateSavedAgain:
		return slog.LevelWarn, "The state of the clients is saved again"
	case client.EventsDropped:
		return slog.LevelWarn, "Refusals came too fast to log them all"
	}
	return slog.LevelWarn, fmt.Sprintf("Event %q of client %s", e.Kind, name)
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

func describeDisabled(e client.Event) (slog.Level, string) {
	switch e.Reason {
	case client.ByAdministrator, client.ByConfiguration, client.BeforeTakeOver:
		return slog.LevelInfo, "Client " + e.Client.Name + " was disabled"
	}
	return slog.LevelWarn, fmt.Sprintf("Disabling client %s: %s", e.Client.Name, e.Reason)
}

func describeCheck(e client.Event) (slog.Level, string) {
	name := e.Client.Name
	switch {
	case e.Kind == client.CheckerStarted:
		return slog.LevelDebug, "Starting checker for " + name
	case e.Kind == client.CheckerStopped:
		return slog.LevelInfo, "Checker for " + name + " was stopped"
	case e.Kind == client.CheckerNotStarted:
		return slog.LevelError, "Checker for " + name + " could not be started"
	case e.Check.OK():
		return slog.LevelDebug, "Checker for " + name + " succeeded"
	case e.Check.Signal != 0:
		return slog.LevelWarn, "Checker for " + name + " crashed"
	}
	return slog.LevelInfo, "Checker for " + name + " failed"
}

func describeRejected(e client.Event) (slog.Level, string) {
	name := e.Client.Name
	switch e.Reason {
	case client.IsDisabled:
		return slog.LevelInfo, "Client " + name + " is disabled"
	case client.WasDenied:
		return slog.LevelWarn, "Client " + name + " was not approved"
	case client.ApprovalTimedOut:
		return slog.LevelWarn, "Client " + name + " timed out while waiting for approval"
	case client.PeerGone:
		return slog.LevelInfo, "Client " + name + " went away while waiting for approval"
	case client.IsRemoved:
		return slog.LevelInfo, "Client " + name + " was removed while waiting for approval"
	case client.ShuttingDown:
		return slog.LevelInfo, "Client " + name + " was refused since the server exits"
	}
	return slog.LevelWarn, "Client " + name + " was refused"
}

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
	switch e.Kind {
	case client.Added, client.Removed, client.Forgotten, client.Enabled, client.Disabled, client.Changed,
		client.Vouched, client.CheckerStopped, client.Approved, client.Denied:
		attrs = append(attrs, slog.String(keyActor, e.By.String()))
	}
	switch e.Kind {
	case client.Disabled:
		attrs = append(attrs, lastCheck(e.Client)...)
	case client.Changed:
		attrs = append(attrs, newValues(e)...)
	case client.CheckerCompleted:
		attrs = append(attrs, result(e.Check)...)
	case client.ApprovalNeeded:
		attrs = append(attrs,
			slog.Duration("approval_delay", e.Client.ApprovalDelay),
			slog.Bool("approved_by_default", e.Client.ApprovedByDefault))
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

// settings are what an administrator may change at run time, and how each is
// shown.
var settings = map[client.Property]func(client.View) slog.Attr{
	client.PropApprovalDelay:     func(v client.View) slog.Attr { return slog.Duration("approval_delay", v.ApprovalDelay) },
	client.PropApprovalDuration:  func(v client.View) slog.Attr { return slog.Duration("approval_duration", v.ApprovalDuration) },
	client.PropApprovedByDefault: func(v client.View) slog.Attr { return slog.Bool("approved_by_default", v.ApprovedByDefault) },
	client.PropChecker:           func(v client.View) slog.Attr { return slog.String("checker", v.Checker) },
	client.PropExpires:           func(v client.View) slog.Attr { return slog.Time("expires", v.Expires) },
	client.PropExtendedTimeout:   func(v client.View) slog.Attr { return slog.Duration("extended_timeout", v.ExtendedTimeout) },
	client.PropFingerprint:       func(v client.View) slog.Attr { return slog.String("new_fingerprint", v.Fingerprint) },
	client.PropHost:              func(v client.View) slog.Attr { return slog.String("host", v.Host) },
	client.PropInterval:          func(v client.View) slog.Attr { return slog.Duration("interval", v.Interval) },
	client.PropKeyID:             func(v client.View) slog.Attr { return slog.String("new_key_id", v.KeyID) },
	client.PropSecret:            func(v client.View) slog.Attr { return slog.Any("secret", v.Secret) },
	client.PropTimeout:           func(v client.View) slog.Attr { return slog.Duration("timeout", v.Timeout) },
}

// newValues are what changed and to what.
func newValues(e client.Event) []slog.Attr {
	var attrs []slog.Attr
	names := make([]string, len(e.Properties))
	for i, property := range e.Properties {
		names[i] = string(property)
		if show, ok := settings[property]; ok {
			attrs = append(attrs, show(e.Client))
		}
	}
	return append([]slog.Attr{slog.String("changed", strings.Join(names, ","))}, attrs...)
}
