// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestWhatIsToldOfHandouts: each connection is told of as what it was, with the
// properties that it changed.
func TestWhatIsToldOfHandouts(t *testing.T) {
	ctx := context.Background()
	id := Identity{RawPublicKey, keyA}
	waits := func(s *Settings) { s.ApprovalDelay, s.ApprovedByDefault = time.Minute, false }
	for sentence, c := range map[string]struct {
		settings func(*Settings)
		do       func(w *world)
	}{
		"a secret that was received": {do: func(w *world) {
			w.pass(time.Second)
			w.signals()
			now := w.wall()
			w.fetch(keyA)
			event := w.lastEvent(SecretSent)
			if event.Client.Name != "a" || event.Identity != id || event.Address != somewhere || !event.Time.Equal(now) {
				w.t.Errorf("told %+v", event)
			}
			if v := w.client("a"); !v.LastHandout.Equal(now) || v.LastHandoutKey != RawPublicKey || !v.Expires.Equal(now.Add(v.ExtendedTimeout)) {
				w.t.Errorf("last hand-out %v by %q, expires %v, now %v", v.LastHandout, v.LastHandoutKey, v.Expires, now)
			}
			w.wantSignals("Expires", "LastHandout", "LastHandoutKey", "secret-sent")
		}},
		"a secret that was received when there was more time left": {
			settings: func(s *Settings) { s.Timeout, s.ExtendedTimeout = 30*time.Hour, time.Minute },
			do: func(w *world) {
				before := w.client("a").Expires
				w.signals()
				w.fetch(keyA)
				w.wantSignals("LastHandout", "LastHandoutKey", "secret-sent")
				w.fetch(keyA)
				w.wantSignals("secret-sent") // at the same moment, by the same key
				w.pass(time.Second)
				w.fetch(keyA)
				w.wantSignals("LastHandout", "secret-sent")
				if after := w.client("a").Expires; !after.Equal(before) {
					w.t.Errorf("expires %v, before %v", after, before)
				}
			}},
		"a secret that was not received": {do: func(w *world) {
			before := w.client("a").Expires
			w.signals()
			h, err := w.Release(ctx, id, Origin{Address: somewhere})
			w.must(err)
			gone := errors.New("connection reset by peer")
			h.NotReceived(gone)
			if event := w.lastEvent(SecretNotReceived); event.Err != gone || event.Client.Name != "a" || event.Identity != id || event.Address != somewhere {
				w.t.Errorf("told %+v", event)
			}
			w.wantSignals("secret-not-received")
			if v := w.client("a"); !v.LastHandout.IsZero() || !v.Expires.Equal(before) {
				w.t.Errorf("last hand-out %v, expires %v", v.LastHandout, v.Expires)
			}
		}},
		"a secret of one that was disabled before it was received": {do: func(w *world) {
			h, err := w.Release(ctx, id, Origin{Address: somewhere})
			w.must(err)
			w.must(w.Disable(ctx, admin, "a"))
			w.signals()
			h.Received("")
			w.wantSignals("LastHandout", "LastHandoutKey", "secret-sent")
			if v := w.client("a"); v.Enabled || !v.Expires.IsZero() {
				w.t.Errorf("enabled %v, expires %v", v.Enabled, v.Expires)
			}
			w.pass(24 * time.Hour)
			if w.enabled("a") {
				w.t.Error("it is enabled again")
			}
		}},
		"a secret of one that was removed before it was received": {settings: waits, do: func(w *world) {
			w.must(w.Approve(ctx, admin, "a", true))
			h, err := w.Release(ctx, id, Origin{Address: somewhere})
			w.must(err)
			w.must(w.Remove(ctx, admin, "a"))
			w.signals()
			h.Received("")
			w.wantSignals("secret-sent")
			w.pass(24 * time.Hour)
			w.wantSignals()
		}},
		"a refusal": {
			settings: func(s *Settings) { s.Enabled = false },
			do: func(w *world) {
				w.signals()
				_, err := w.Release(ctx, id, Origin{Address: somewhere})
				if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Client != "a" || refused.Refusal != IsDisabled {
					w.t.Errorf("refused with %v", err)
				}
				if event := w.lastEvent(Rejected); event.Refusal != IsDisabled || event.Client.Name != "a" || event.Identity != id || event.Address != somewhere {
					w.t.Errorf("told %+v", event)
				}
				w.wantSignals("rejected")
			}},
		"a stranger": {do: func(w *world) {
			w.signals()
			stranger := Identity{RawPublicKey, keyB}
			_, err := w.Release(ctx, stranger, Origin{Address: somewhere})
			if refused, ok := errors.AsType[*RefusedError](err); !ok || *refused != (RefusedError{}) {
				w.t.Errorf("refused with %v", err)
			}
			if event := w.lastEvent(NotFound); event.Identity != stranger || event.Address != somewhere || event.Client.Name != "" {
				w.t.Errorf("told %+v", event)
			}
			w.wantSignals("not-found")
		}},
		"two that wait, and are denied": {settings: waits, do: func(w *world) {
			w.signals()
			now := w.wall()
			first := w.fetchInBackground(ctx, keyA)
			w.wantSignals("ApprovalPending", "LastApprovalRequest", "approval-needed")
			if v := w.client("a"); v.ApprovalsPending != 1 || !v.LastApprovalRequest.Equal(now) {
				w.t.Errorf("%d wait, the last since %v", v.ApprovalsPending, v.LastApprovalRequest)
			}
			w.pass(time.Second)
			second := w.fetchInBackground(ctx, keyA)
			if event := w.lastEvent(ApprovalNeeded); event.Identity != id || event.Address != somewhere || event.Client.ApprovalsPending != 2 {
				w.t.Errorf("told %+v", event)
			}
			w.wantSignals("LastApprovalRequest", "approval-needed")
			if _, _, pending := w.Counts(); pending != 1 {
				w.t.Errorf("connections wait on %d clients", pending)
			}
			w.must(w.Approve(ctx, admin, "a", false))
			w.pass(0)
			w.want(first, "denied")
			w.want(second, "denied")
			w.wantSignals("DeniedUntil", "denied", "rejected", "approval-over", "rejected", "ApprovalPending", "approval-over")
			if clients, pending := w.Pending(); clients != 1 || pending != 0 {
				w.t.Errorf("%d clients, on %d of them somebody waits", clients, pending)
			}
			if clients, enabled, pending := w.Counts(); clients != 1 || enabled != 1 || pending != 0 {
				w.t.Errorf("%d clients, %d enabled, on %d of them somebody waits", clients, enabled, pending)
			}
		}},
		"one that waits, goes, and has not received it": {settings: waits, do: func(w *world) {
			w.must(w.Approve(ctx, admin, "a", true))
			w.pass(2 * time.Second) // the approval is over
			w.signals()
			background, cancel := context.WithCancel(ctx)
			o := w.fetchInBackground(background, keyA)
			cancel()
			w.pass(0)
			w.want(o, "peer-gone")
			w.wantSignals("ApprovalPending", "LastApprovalRequest", "approval-needed", "rejected", "ApprovalPending", "approval-over")
		}},
		"one that waits and is sent nothing after all": {settings: waits, do: func(w *world) {
			var h *Handout
			go func() { h, _ = w.Release(ctx, id, Origin{Address: somewhere}) }()
			w.pass(time.Second)
			w.must(w.Approve(ctx, admin, "a", true))
			w.pass(0)
			w.signals()
			h.NotReceived(errors.New("gone"))
			w.wantSignals("secret-not-received", "ApprovalPending", "approval-over")
			if v := w.client("a"); v.ApprovalsPending != 0 {
				w.t.Errorf("%d still wait", v.ApprovalsPending)
			}
		}},
		"one that waits when its client is removed": {settings: waits, do: func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.signals()
			w.must(w.Remove(ctx, admin, "a"))
			w.pass(0)
			w.want(o, "removed")
			w.wantSignals("removed", "rejected")
			if clients, pending := w.Pending(); clients != 0 || pending != 0 {
				w.t.Errorf("%d clients, on %d of them somebody waits", clients, pending)
			}
		}},
		"one that waits when its client is given another key": {settings: waits, do: func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			other := w.client("a").Settings
			other.KeyID = keyB
			w.reload([]Settings{other})
			w.pass(0)
			w.want(o, "removed")
			if _, reason := w.fetch(keyA); reason != "unknown" {
				w.t.Errorf("the old key: %q", reason)
			}
		}},
		"one that waits when the server ends": {settings: waits, do: func(w *world) {
			background, cancel := context.WithCancelCause(ctx)
			o := w.fetchInBackground(background, keyA)
			cancel(ErrClosed)
			w.pass(0)
			w.want(o, "server-exiting")
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			settings := host("a", keyA)
			settings.Checker, settings.Interval, settings.Timeout, settings.ExtendedTimeout = ":", 24*time.Hour, 5*time.Minute, 100*time.Hour
			if c.settings != nil {
				c.settings(&settings)
			}
			inWorld(t, []Settings{settings}, func(w *world) {
				w.pass(0)
				c.do(w)
			})
		})
	}
}

// TestWhatFindsAClient: of two with the same key the first in the configuration counts,
// and when that is gone the other.
func TestWhatFindsAClient(t *testing.T) {
	ctx := context.Background()
	first, second, none := host("first", keyA), host("second", keyA), host("none", "")
	inWorld(t, []Settings{first, second, none}, func(w *world) {
		found := func() string {
			h, err := w.Release(ctx, Identity{RawPublicKey, keyA}, Origin{Address: somewhere})
			if err != nil {
				return err.Error()
			}
			h.NotReceived(errors.New("gone"))
			return h.Client
		}
		if got := found(); got != "first" {
			t.Errorf("found %s", got)
		}
		w.reload([]Settings{second, first, none})
		if got := found(); got != "second" {
			t.Errorf("after they changed places: found %s", got)
		}
		w.reload([]Settings{first, none})
		if got := found(); got != "first" {
			t.Errorf("after the other had gone: found %s", got)
		}
		w.reload([]Settings{second, first, none})
		if got := found(); got != "second" {
			t.Errorf("after it had come back: found %s", got)
		}
		w.must(w.Remove(ctx, admin, "second"))
		w.must(w.Remove(ctx, admin, "first"))
		if got := found(); got != "no client has that key" {
			t.Errorf("with none left: found %s", got)
		}
		if w.Known(Identity{RawPublicKey, keyA}) || w.Known(Identity{}) || w.Known(Identity{Kind: RawPublicKey}) {
			t.Error("a key is known that nobody has")
		}
		if len(w.byIdentity) != 0 || len(w.byIdleFingerprint) != 0 {
			t.Errorf("%d identities and %d fingerprints are left behind", len(w.byIdentity), len(w.byIdleFingerprint))
		}
		for _, path := range []string{"/clients/first", "/clients/second"} {
			if v, ok := w.ClientAt(path); ok {
				t.Errorf("%s is still at %s", v.Name, path)
			}
		}
	})
}

func TestFieldOfAKey(t *testing.T) {
	if got := RawPublicKey.Field(); got != "key_id" {
		t.Error(got)
	}
	if got := OpenPGPKey.Field(); got != "fingerprint" {
		t.Error(got)
	}
}

// TestCheckerThatCannotBeStartedIsTold with its command and the reason, each time that
// it is due.
func TestCheckerThatCannotBeStartedIsTold(t *testing.T) {
	ctx := context.Background()
	off := host("off", keyB)
	off.Enabled = false
	inWorld(t, []Settings{host("a", keyA), off}, func(w *world) {
		w.pass(time.Second)
		w.checks.behave(unstartable)
		w.signals()
		w.must(w.StartChecker(ctx, "a"))
		event := w.lastEvent(CheckerNotStarted)
		if event.Client.Name != "a" || event.Command == "" || event.Err == nil || event.Client.LastCheckerStatus != CheckerCrashed || event.Client.CheckerRunning {
			t.Errorf("told %+v", event)
		}
		if clients, enabled, pending := w.Counts(); clients != 2 || enabled != 1 || pending != 0 {
			t.Errorf("%d clients, %d enabled, %d pending", clients, enabled, pending)
		}
	})
}
