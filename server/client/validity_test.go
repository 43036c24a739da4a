// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestValidity(t *testing.T) {
	ctx := context.Background()
	for sentence, c := range map[string]struct {
		settings func(*Settings)
		do       func(w *world)
	}{
		"a client whose checks succeed stays enabled": {do: func(w *world) {
			w.pass(24 * time.Hour)
			if !w.enabled("a") {
				w.t.Error("disabled")
			}
		}},
		"a client whose checks fail is disabled after its timeout, not after one check": {do: func(w *world) {
			w.checks.behave(fail)
			w.pass(5*time.Minute - time.Second)
			if !w.enabled("a") || w.checks.count() < 2 {
				w.t.Errorf("enabled %v after %d checks", w.enabled("a"), w.checks.count())
			}
			w.pass(time.Second)
			if w.enabled("a") {
				w.t.Error("still enabled")
			}
			event := w.lastEvent(Disabled)
			if event.Reason != TimedOut || event.By != ByItself || event.Client.LastCheckerStatus != 1 {
				w.t.Errorf("told %+v", event)
			}
		}},
		"the last good check counts from its end": {do: func(w *world) {
			w.must(w.CheckedOK(ctx, admin, "a"))
			w.checks.behave(fail)
			expires := w.client("a").Expires
			if want := time.Now().Add(5 * time.Minute); !expires.Equal(want) {
				w.t.Errorf("expires %v, want %v", expires, want)
			}
			w.pass(5*time.Minute - 1)
			if !w.enabled("a") {
				w.t.Error("disabled early")
			}
			w.pass(1)
			if w.enabled("a") {
				w.t.Error("not disabled")
			}
		}},
		"a disabled client stays disabled though it could be checked": {do: func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			before := w.checks.count()
			w.pass(time.Hour)
			if w.enabled("a") || w.checks.count() != before {
				w.t.Errorf("enabled %v, checks %d", w.enabled("a"), w.checks.count()-before)
			}
			w.must(w.StartChecker(ctx, "a"))
			w.pass(time.Second)
			if v := w.client("a"); v.Enabled || !v.LastCheckedOK.Equal(time.Now().Add(-time.Second)) {
				w.t.Errorf("after a check by hand: %+v", v.State)
			}
		}},
		"checks come every interval, one at a time": {do: func(w *world) {
			w.checks.behave(func(ctx context.Context) (CheckResult, error) {
				select {
				case <-time.After(3 * time.Minute): // longer than the interval
				case <-ctx.Done():
				}
				return CheckResult{}, nil
			})
			w.pass(time.Hour)
			if n := w.checks.count(); w.checks.most != 1 || n < 14 || n > 16 {
				w.t.Errorf("%d checks, %d at once", n, w.checks.most)
			}
		}},
		"a hanging checker is killed when the client expires": {do: func(w *world) {
			w.checks.behave(hang)
			w.pass(5*time.Minute + time.Second)
			v := w.client("a")
			if v.Enabled || v.CheckerRunning || w.checks.at != 0 || v.LastCheckerStatus != NeverChecked {
				w.t.Errorf("enabled %v, running %v, %d alive, status %d", v.Enabled, v.CheckerRunning, w.checks.at, v.LastCheckerStatus)
			}
		}},
		"a checker that cannot be started is tried again and counts as failed": {do: func(w *world) {
			w.must(w.CheckedOK(ctx, admin, "a"))
			timeout := 10 * time.Minute
			w.must(w.Update(ctx, admin, "a", Update{PropTimeout: timeout}))
			w.checks.behave(unstartable)
			w.pass(4 * time.Minute)
			if v := w.client("a"); w.checks.count() < 2 || v.LastCheckerStatus != CheckerCrashed || v.CheckerRunning {
				w.t.Errorf("%d attempts, %+v", w.checks.count(), v.State)
			}
			w.checks.behave(succeed)
			w.pass(2 * time.Minute)
			if v := w.client("a"); !v.Enabled || v.LastCheckerStatus != 0 {
				w.t.Errorf("not recovered: %+v", v.State)
			}
			w.checks.behave(unstartable)
			w.pass(11 * time.Minute)
			if w.enabled("a") {
				w.t.Error("a client that nobody could check any more is still enabled")
			}
		}},
		"what a failed checker said last is kept until one succeeds": {do: func(w *world) {
			w.checks.behave(func(context.Context) (CheckResult, error) {
				return CheckResult{Status: 127, Output: "/bin/sh: 1: fping: not found"}, nil
			})
			w.must(w.StartChecker(ctx, "a"))
			w.pass(SaveDelay)
			record, _ := w.disk.get("a")
			if v := w.client("a"); v.LastCheckerOutput != "/bin/sh: 1: fping: not found" || record.State.LastCheckerOutput != v.LastCheckerOutput {
				w.t.Errorf("kept %q, saved %q", v.LastCheckerOutput, record.State.LastCheckerOutput)
			}
			w.signals()
			w.must(w.StartChecker(ctx, "a"))
			w.wantSignals("CheckerRunning", "checker-started", "CheckerRunning", "checker-completed")
			w.checks.behave(succeed)
			w.must(w.StartChecker(ctx, "a"))
			w.wantSignals("CheckerRunning", "checker-started",
				"CheckerRunning", "LastCheckerStatus", "LastCheckerOutput", "LastCheckedOK", "Expires", "checker-completed")
			if v := w.client("a"); v.LastCheckerOutput != "" {
				w.t.Errorf("after a success: %q", v.LastCheckerOutput)
			}
		}},
		"why a checker could not be started is kept until somebody vouches for the client": {do: func(w *world) {
			w.checks.behave(unstartable)
			w.must(w.StartChecker(ctx, "a"))
			w.pass(0)
			if v := w.client("a"); v.LastCheckerOutput != "resource temporarily unavailable" {
				w.t.Errorf("kept %q", v.LastCheckerOutput)
			}
			w.signals()
			w.must(w.CheckedOK(ctx, admin, "a"))
			w.wantSignals("LastCheckedOK", "LastCheckerStatus", "LastCheckerOutput", "Expires", "vouched")
			if v := w.client("a"); v.LastCheckerOutput != "" {
				w.t.Errorf("after that: %q", v.LastCheckerOutput)
			}
		}},
		"a checker killed by a signal crashed": {do: func(w *world) {
			w.checks.behave(func(context.Context) (CheckResult, error) {
				return CheckResult{Status: CheckerCrashed, Signal: 9}, nil
			})
			w.pass(2 * time.Minute)
			if v := w.client("a"); v.LastCheckerStatus != CheckerCrashed {
				w.t.Errorf("status %d", v.LastCheckerStatus)
			}
		}},
		"a timeout of a year runs a year": {
			settings: func(s *Settings) {
				s.Timeout, s.Interval = 364*24*time.Hour, 60*24*time.Hour
			},
			do: func(w *world) {
				w.pass(60 * 24 * time.Hour)
				if w.checks.count() == 0 {
					w.t.Error("never checked")
				}
				w.must(w.CheckedOK(ctx, admin, "a"))
				w.checks.behave(fail)
				w.pass(364*24*time.Hour - 1)
				if !w.enabled("a") {
					w.t.Error("disabled early")
				}
				w.pass(1)
				if w.enabled("a") {
					w.t.Error("never expires")
				}
			}},
		"an enabled client has two intervals to prove itself": {do: func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.checks.behave(fail)
			w.must(w.Enable(ctx, admin, "a"))
			before := w.checks.count()
			w.pass(2*time.Minute - 1)
			if w.checks.count() != before {
				w.t.Error("checked before one interval was over")
			}
			w.pass(2 * time.Minute)
			if !w.enabled("a") || w.checks.count() != before+1 {
				w.t.Errorf("enabled %v after %d checks", w.enabled("a"), w.checks.count()-before)
			}
			w.pass(1)
			if w.enabled("a") {
				w.t.Error("still enabled")
			}
		}},
		"a longer timeout moves the expiry by the difference": {do: func(w *world) {
			w.must(w.CheckedOK(ctx, admin, "a"))
			w.checks.behave(fail)
			w.pass(time.Minute)
			timeout := 10 * time.Minute
			w.must(w.Update(ctx, admin, "a", Update{PropTimeout: timeout}))
			if left := time.Until(w.client("a").Expires); left != 9*time.Minute {
				w.t.Errorf("%v left", left)
			}
		}},
		"a timeout that is over already disables at once": {do: func(w *world) {
			w.must(w.CheckedOK(ctx, admin, "a"))
			w.checks.behave(fail)
			w.pass(time.Minute)
			timeout := time.Duration(0)
			w.must(w.Update(ctx, admin, "a", Update{PropTimeout: timeout}))
			w.pass(0)
			if w.enabled("a") {
				w.t.Error("still enabled")
			}
		}},
		"a new interval starts a check at once and then follows": {do: func(w *world) {
			w.pass(2 * time.Minute)
			before := w.checks.count()
			interval := 10 * time.Second
			w.must(w.Update(ctx, admin, "a", Update{PropInterval: interval}))
			w.pass(0)
			if n := w.checks.count() - before; n != 1 {
				w.t.Errorf("%d checks at once", n)
			}
			w.pass(time.Minute)
			if n := w.checks.count() - before; n != 7 {
				w.t.Errorf("%d checks in a minute", n)
			}
		}},
		"a hand-out gives the extended timeout": {do: func(w *world) {
			w.checks.behave(fail)
			if _, why := w.fetch(keyA); why != "" {
				w.t.Fatal(why)
			}
			if left := time.Until(w.client("a").Expires); left != 15*time.Minute {
				w.t.Errorf("%v left", left)
			}
			w.pass(15*time.Minute - 1)
			if !w.enabled("a") {
				w.t.Error("disabled early")
			}
			w.pass(1)
			if w.enabled("a") {
				w.t.Error("not disabled")
			}
		}},
		"a hand-out never shortens the expiry": {
			settings: func(s *Settings) { s.ExtendedTimeout = time.Second },
			do: func(w *world) {
				w.must(w.CheckedOK(ctx, admin, "a"))
				if _, why := w.fetch(keyA); why != "" {
					w.t.Fatal(why)
				}
				if left := time.Until(w.client("a").Expires); left != 5*time.Minute {
					w.t.Errorf("%v left", left)
				}
			}},
		"a peer that was gone before it had its secret extends nothing": {do: func(w *world) {
			w.must(w.CheckedOK(ctx, admin, "a"))
			h, err := w.Release(ctx, Identity{RawPublicKey, keyA}, Origin{Address: somewhere})
			w.must(err)
			h.NotReceived(errors.New("connection reset by peer"))
			v := w.client("a")
			if left := time.Until(v.Expires); left != 5*time.Minute || !v.LastHandout.IsZero() {
				w.t.Errorf("%v left, last hand-out %v", left, v.LastHandout)
			}
			w.lastEvent(SecretNotReceived)
		}},
		"setting the clock forward disables nobody": {do: func(w *world) {
			w.must(w.CheckedOK(ctx, admin, "a"))
			w.checks.behave(fail)
			w.stepped.Store(int64(10 * 365 * 24 * time.Hour))
			w.pass(5*time.Minute - 1)
			if !w.enabled("a") {
				w.t.Error("disabled early")
			}
			if left := w.client("a").Expires.Sub(w.wall()); left != 1 {
				w.t.Errorf("shown expiry is %v away", left)
			}
		}},
		"setting the clock back keeps nobody valid": {do: func(w *world) {
			w.must(w.CheckedOK(ctx, admin, "a"))
			w.checks.behave(fail)
			w.stepped.Store(int64(-10 * 365 * 24 * time.Hour))
			w.pass(5 * time.Minute)
			if w.enabled("a") {
				w.t.Error("still enabled")
			}
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			a := host("a", keyA)
			if c.settings != nil {
				c.settings(&a)
			}
			inWorld(t, []Settings{a}, c.do)
		})
	}
}

func TestWhatIsToldInWhichOrder(t *testing.T) {
	ctx := context.Background()
	a := host("a", keyA)
	a.ApprovalDelay = time.Minute
	a.ApprovalDuration = time.Hour
	inWorld(t, []Settings{a}, func(w *world) {
		w.pass(2 * time.Minute)
		w.signals()
		w.pass(2 * time.Minute)
		w.wantSignals("CheckerRunning", "checker-started", "CheckerRunning", "LastCheckedOK", "Expires", "checker-completed")
		w.checks.behave(fail)
		w.pass(2 * time.Minute)
		w.wantSignals("CheckerRunning", "checker-started", "CheckerRunning", "LastCheckerStatus", "checker-completed")
		w.checks.behave(hang)
		w.must(w.StartChecker(ctx, "a"))
		w.wantSignals("CheckerRunning", "checker-started")
		w.must(w.Disable(ctx, admin, "a"))
		w.wantSignals("Expires", "CheckerRunning", "Enabled", "disabled")
		w.must(w.Disable(ctx, admin, "a"))
		w.wantSignals()
		w.must(w.Enable(ctx, admin, "a"))
		w.wantSignals("Enabled", "LastEnabled", "Expires", "enabled")
		w.must(w.Enable(ctx, admin, "a"))
		w.wantSignals()
		o := w.fetchInBackground(ctx, keyA)
		w.wantSignals("ApprovalPending", "LastApprovalRequest", "approval-needed")
		w.must(w.Approve(ctx, admin, "a", true))
		w.wantSignals("ApprovedUntil", "approved", "Expires", "LastHandout", "LastHandoutKey", "secret-sent", "ApprovalPending", "approval-over")
		if o.String() != "got it" {
			t.Error(o)
		}
		w.must(w.Remove(ctx, admin, "a"))
		w.wantSignals("removed")
	})
}

func TestAnEnabledClientHasTwoIntervalsAndSaysSoOnDisk(t *testing.T) {
	ctx, a := context.Background(), host("a", keyA)
	off := a
	off.Enabled, off.EnabledOwn, a.EnabledOwn = false, true, true
	for sentence, enable := range map[string]func(w *world) error{
		"by a person":          func(w *world) error { return w.Enable(ctx, admin, "a") },
		"by the configuration": func(w *world) error { w.reload([]Settings{a}); return nil },
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{off}, func(w *world) {
				w.checks.behave(fail)
				w.pass(time.Minute)
				w.must(enable(w))
				want := w.wall().Add(4 * time.Minute)
				if record, _ := w.disk.get("a"); !record.State.Expires.Equal(want) {
					t.Errorf("saved is %v, want %v", record.State.Expires, want)
				}
				if v := w.client("a"); !v.Expires.Equal(want) {
					t.Errorf("it expires at %v, want %v", v.Expires, want)
				}
				w.pass(4*time.Minute - 1)
				if !w.enabled("a") {
					t.Error("it is disabled before")
				}
				w.pass(1)
				if w.enabled("a") {
					t.Error("it is enabled after that")
				}
			})
		})
	}
}
