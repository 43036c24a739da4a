// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLockdown(t *testing.T) {
	ctx := context.Background()
	waits := host("waits", keyB)
	waits.ApprovalDelay, waits.ApprovalDuration = time.Hour, time.Minute
	clients := []Settings{host("a", keyA), waits}
	on := func(w *world) bool { _, _, on := w.LockedDown(); return on }
	refused := func(w *world) {
		w.t.Helper()
		if _, why := w.fetch(keyA); why != IsLockedDown {
			w.t.Errorf("in a lockdown a client is answered %q", why)
		}
	}
	served := func(w *world) {
		w.t.Helper()
		if _, why := w.fetch(keyA); why != "" {
			w.t.Errorf("without a lockdown a client is answered %q", why)
		}
	}
	for sentence, do := range map[string]func(w *world){
		"refuses everybody, and those who wait at once": func(w *world) {
			waiting := w.fetchInBackground(ctx, keyB)
			w.must(w.LockDown(ctx, admin, "a burglary", 0))
			w.pass(0)
			w.want(waiting, "lockdown")
			refused(w)
			if e := w.lastEvent(Rejected); e.Note != "a burglary" || e.Refusal != IsLockedDown {
				w.t.Errorf("told %+v", e)
			}
			w.must(w.Approve(ctx, admin, "waits", true))
			if o := w.fetchInBackground(ctx, keyB); o.String() != "lockdown" {
				w.t.Errorf("one that is approved is answered %s", o)
			}
			if e := w.lastEvent(LockdownOn); e.By != admin || e.Note != "a burglary" || e.Client.Name != "" {
				w.t.Errorf("told %+v", e)
			}
		},
		"a stranger is a stranger as ever": func(w *world) {
			w.must(w.LockDown(ctx, admin, "", 0))
			if _, why := w.fetch(strings.Repeat("C", 64)); why != "unknown" {
				w.t.Errorf("it is answered %q", why)
			}
		},
		"checks go on, so that nothing is lost by it": func(w *world) {
			w.must(w.LockDown(ctx, admin, "", 0))
			w.pass(24 * time.Hour)
			if !w.enabled("a") {
				w.t.Error("it has expired")
			}
			w.must(w.EndLockdown(ctx, admin))
			served(w)
			if e := w.lastEvent(LockdownOff); e.By != admin {
				w.t.Errorf("told %+v", e)
			}
		},
		"ends when its time has come, and not before": func(w *world) {
			w.must(w.LockDown(ctx, admin, "", 2*time.Hour))
			if _, until, _ := w.LockedDown(); !until.Equal(w.wall().Add(2 * time.Hour)) {
				w.t.Errorf("it ends at %v", until)
			}
			w.pass(2*time.Hour - time.Second)
			refused(w)
			w.pass(time.Second)
			served(w)
			if e := w.lastEvent(LockdownOff); e.By != ByItself {
				w.t.Errorf("told %+v", e)
			}
			w.pass(SaveDelay)
			if w.disk.server.Lockdown != nil {
				w.t.Error("it is still saved")
			}
		},
		"no clock ends it, and it counts only while the server runs": func(w *world) {
			w.must(w.LockDown(ctx, admin, "", time.Hour))
			w.stepped.Store(int64(1000 * time.Hour))
			w.pass(30 * time.Minute)
			refused(w)
			w.restart(10*time.Hour, clients)
			refused(w)
			w.pass(30*time.Minute - time.Second)
			refused(w)
			w.pass(time.Second)
			served(w)
		},
		"a crash takes at most a minute off what has passed": func(w *world) {
			w.must(w.LockDown(ctx, admin, "", time.Hour))
			w.pass(30 * time.Minute)
			saved := w.disk.server.Lockdown
			if left := saved.Left; left > 31*time.Minute || left < 29*time.Minute {
				w.t.Errorf("saved is that %v are left", left)
			}
		},
		"without end it survives a restart, as the same": func(w *world) {
			w.must(w.LockDown(ctx, admin, "a burglary", 0))
			before, _, _ := w.LockedDown()
			w.restart(time.Hour, clients)
			refused(w)
			if after, until, _ := w.LockedDown(); after != before || !until.IsZero() {
				w.t.Errorf("it was %+v and is %+v, until %v", before, after, until)
			}
		},
		"another takes its place": func(w *world) {
			w.must(w.LockDown(ctx, admin, "", time.Minute))
			first, _, _ := w.LockedDown()
			w.must(w.LockDown(ctx, somebody, "", 0))
			second, _, _ := w.LockedDown()
			if first.ID == second.ID || len(second.ID) != 32 || second.By != somebody {
				w.t.Errorf("first %+v, then %+v", first, second)
			}
			w.pass(time.Hour)
			refused(w)
		},
		"one that begins while another is ended stays": func(w *world) {
			w.must(w.LockDown(ctx, admin, "", 0))
			w.disk.during(func() {
				go func() { w.must(w.LockDown(ctx, somebody, "another", 0)) }()
				for { // until it is in force
					if in, _, _ := w.LockedDown(); in.Why == "another" {
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
			if err := w.EndLockdown(ctx, admin); err == nil || !strings.Contains(err.Error(), "somebody else began another lockdown") {
				w.t.Errorf("it is answered %v", err)
			}
			refused(w)
			w.pass(time.Second)
			if saved := w.disk.server.Lockdown; saved == nil || saved.Why != "another" {
				w.t.Errorf("saved is %+v", saved)
			}
		},
		"it takes effect on a full disk, and who asked is told": func(w *world) {
			w.disk.setFull(true)
			if err := w.LockDown(ctx, admin, "", 0); !errors.Is(err, errFull) {
				w.t.Errorf("it is answered %v", err)
			}
			refused(w)
			if e := w.lastEvent(StateNotSaved); !errors.Is(e.Err, errFull) {
				w.t.Errorf("told %+v", e)
			}
			w.disk.setFull(false)
			w.pass(2 * SaveDelay)
			if w.disk.server.Lockdown == nil {
				w.t.Error("it is not saved when it can be")
			}
			w.lastEvent(StateSavedAgain)
		},
		"it is not ended on a full disk, for that would not last": func(w *world) {
			w.must(w.LockDown(ctx, admin, "", 0))
			w.disk.setFull(true)
			if err := w.EndLockdown(ctx, admin); !errors.Is(err, errFull) {
				w.t.Errorf("it is answered %v", err)
			}
			refused(w)
			w.disk.setFull(false)
		},
		"to end none is no error": func(w *world) {
			w.signals()
			w.must(w.EndLockdown(ctx, admin))
			w.wantSignals()
		},
		"words that cannot be told are refused": func(w *world) {
			for _, why := range []string{strings.Repeat("x", maxWhy+1), "a\nb", "\xff"} {
				if err := w.LockDown(ctx, admin, why, 0); !errors.Is(err, ErrBadSetting) || on(w) {
					w.t.Errorf("%.10q: %v", why, err)
				}
			}
			if err := w.LockDown(ctx, admin, "", -1); !errors.Is(err, ErrBadSetting) || on(w) {
				w.t.Errorf("for less than no time: %v", err)
			}
		},
		"it is explained": func(w *world) {
			w.must(w.LockDown(ctx, admin, "a burglary", time.Hour))
			rulings, err := w.Explain("a", Origin{})
			w.must(err)
			want := Ruling{Rule: RuleLockdown, Verdict: Refuses, Refusal: IsLockedDown, Remedy: ToEndLockdown, Until: w.wall().Add(time.Hour), Note: "a burglary"}
			if got := Decisive(rulings); got != want || !slices.Contains(rulings, want) {
				w.t.Errorf("decisive is %+v, want %+v", got, want)
			}
		},
		"a registry that is closed takes none": func(w *world) {
			w.shutDown()
			if err := w.LockDown(ctx, admin, "", 0); !errors.Is(err, ErrClosed) {
				w.t.Errorf("it is answered %v", err)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) { inWorld(t, clients, do) })
	}
}
