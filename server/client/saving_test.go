// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestSaving(t *testing.T) {
	ctx := context.Background()
	for sentence, do := range map[string]func(w *world){
		"a disabling is saved when it is answered": func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			if record, _ := w.disk.get("a"); record.Settings.Enabled || record.State.DisabledBecause != ByAdministrator {
				w.t.Errorf("%+v", record)
			}
		},
		"an expiry is saved before it is told": func(w *world) {
			w.checks.behave(fail)
			saved := make(chan bool, 1)
			w.toldMu.Lock()
			w.onTold = func(event Event) {
				if event.Kind == Disabled {
					record, _ := w.disk.get("a")
					saved <- !record.Settings.Enabled
				}
			}
			w.toldMu.Unlock()
			w.pass(5 * time.Minute)
			if !<-saved {
				w.t.Error("it was not")
			}
		},
		"a setting is saved when it is answered": func(w *world) {
			name := "192.0.2.7"
			w.must(w.Update(ctx, admin, "a", Update{PropHost: name}))
			if record, _ := w.disk.get("a"); record.Settings.Host != name {
				w.t.Errorf("%+v", record)
			}
		},
		"a check is saved within the save delay": func(w *world) {
			w.pass(2 * time.Minute)
			w.must(w.StartChecker(ctx, "a"))
			w.pass(SaveDelay)
			record, _ := w.disk.get("a")
			if v := w.client("a"); !record.State.LastCheckedOK.Equal(v.LastCheckedOK) || !record.State.Expires.Equal(v.Expires) {
				w.t.Errorf("saved %+v, is %+v", record.State, v.State)
			}
		},
		"a check is saved within the save delay, though something happens all the time": func(w *world) {
			w.pass(2 * time.Minute)
			w.must(w.StartChecker(ctx, "a"))
			w.pass(0)
			checked := w.client("a").LastCheckedOK
			for range 4 {
				w.pass(SaveDelay / 4)
				w.must(w.StartChecker(ctx, "a"))
			}
			if record, _ := w.disk.get("a"); record.LastCheckedOK.Before(checked) {
				w.t.Errorf("saved is one at %v, want one at %v", record.LastCheckedOK, checked)
			}
		},
		"what is left is saved when the server ends": func(w *world) {
			w.pass(2 * time.Minute)
			w.must(w.StartChecker(ctx, "a"))
			w.pass(0)
			checked := w.client("a").LastCheckedOK
			w.shutDown()
			if record, _ := w.disk.get("a"); !record.LastCheckedOK.Equal(checked) {
				w.t.Errorf("saved is one at %v, want one at %v", record.LastCheckedOK, checked)
			}
		},
		"a longer timeout is saved with the expiry that it makes": func(w *world) {
			timeout := time.Hour
			w.must(w.Update(ctx, admin, "a", Update{PropTimeout: timeout}))
			if record, v := w.saved("a"), w.client("a"); !record.Expires.Equal(v.Expires) || time.Until(v.Expires) < 55*time.Minute {
				w.t.Errorf("it expires at %v, saved is %v", v.Expires, record.Expires)
			}
		},
		"the same configuration once more saves nothing": func(w *world) {
			w.pass(time.Second)
			before := w.disk.saves
			w.reload([]Settings{host("a", keyA)})
			w.pass(2 * SaveDelay)
			if n := w.disk.saves - before; n != 0 {
				w.t.Errorf("%d saves", n)
			}
		},
		"who does not wait for a slow disk is told that it is not saved yet": func(w *world) {
			w.disk.during(func() { time.Sleep(time.Minute) })
			hasty, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			name := "192.0.2.7"
			err := w.Update(hasty, admin, "a", Update{PropHost: name})
			if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "the change is not saved yet: context deadline exceeded" {
				w.t.Errorf("answered %v", err)
			}
			w.pass(time.Minute)
			if record := w.saved("a"); record.Host != name {
				w.t.Errorf("later, saved is %q", record.Host)
			}
		},
		"an end that is not waited for says so, and is one all the same": func(w *world) {
			w.checks.behave(dying)
			w.must(w.StartChecker(ctx, "a"))
			hasty, cancel := context.WithCancel(ctx)
			cancel()
			if err := w.Close(hasty); !errors.Is(err, context.Canceled) || err.Error() != "not everything is saved: context canceled" {
				w.t.Errorf("answered %v", err)
			}
			w.pass(time.Minute)
			if err := w.Close(ctx); !errors.Is(err, ErrClosed) {
				w.t.Errorf("closing it again is answered %v", err)
			}
		},
		"of two settings that are changed at once both are saved": func(w *world) {
			name, checker := "192.0.2.7", "true"
			var answers [2]chan error
			w.disk.during(func() {
				for i, u := range []Update{{PropHost: name}, {PropChecker: checker}} {
					answers[i] = make(chan error, 1)
					go func() { answers[i] <- w.Update(ctx, admin, "a", u) }()
					synctest.Wait()
				}
			})
			w.must(w.CheckedOK(ctx, admin, "a"))
			w.must(<-answers[0])
			w.must(<-answers[1])
			if r := w.saved("a"); r.Host != name || r.Settings.Checker != checker {
				w.t.Errorf("saved is %+v", r.Settings)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if n := len(w.queue.pending); n != 0 {
				w.t.Errorf("%d changes are kept as still to be made", n)
			}
		},
		"checks that follow each other are saved together": func(w *world) {
			w.pass(time.Second)
			before := w.disk.saves
			for range 5 {
				w.must(w.StartChecker(ctx, "a"))
				w.pass(0)
			}
			w.pass(SaveDelay)
			if n := w.disk.saves - before; n != 1 {
				w.t.Errorf("%d saves", n)
			}
		},
		"where there is nothing to save, nothing is found out about saving": func(w *world) {
			w.disk.setFull(true)
			s := saver{journal: w.disk}
			for _, records := range [][]Record{{{Settings: host("a", keyA)}}, nil} {
				if err, _ := s.save(&batch{records: records}); errors.Is(err, errFull) != (len(records) > 0) {
					w.t.Errorf("saving %d is answered %v", len(records), err)
				}
				if event, news := s.news(w.wall()); news != (len(records) > 0) || news && (event.Kind != StateNotSaved || !errors.Is(event.Err, errFull)) {
					w.t.Errorf("after saving %d the news are %+v", len(records), event)
				}
			}
		},
		"one that was never started ends": func(w *world) {
			if err := New(w.checks, w.disk).Close(ctx); err != nil {
				w.t.Error(err)
			}
		},
		"nothing is saved while nothing happens": func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.pass(time.Second)
			before := w.disk.saves
			w.pass(time.Hour)
			if w.disk.saves != before {
				w.t.Errorf("%d saves", w.disk.saves-before)
			}
		},
		"with a full disk a client can be disabled, and who asked is told that it will not last": func(w *world) {
			w.disk.setFull(true)
			if err := w.Disable(ctx, admin, "a"); !errors.Is(err, errFull) {
				w.t.Errorf("answered %v", err)
			}
			if w.enabled("a") {
				w.t.Error("still enabled")
			}
			w.lastEvent(StateNotSaved)
		},
		"a full disk is no error of what needs no saving": func(w *world) {
			disabled, alive := make(chan error, 1), make(chan error, 1)
			w.disk.during(func() { // so that both have one turn
				go func() { disabled <- w.Disable(ctx, admin, "a") }()
				synctest.Wait()
				go func() { alive <- w.Alive(ctx) }()
				synctest.Wait()
				w.disk.setFull(true)
			})
			if err := w.CheckedOK(ctx, admin, "a"); !errors.Is(err, errFull) {
				w.t.Errorf("a check is answered %v", err)
			}
			if err := <-disabled; !errors.Is(err, errFull) {
				w.t.Errorf("disabling is answered %v", err)
			}
			w.must(<-alive)
		},
		"with a full disk nobody is enabled": func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.disk.setFull(true)
			if err := w.Enable(ctx, admin, "a"); !errors.Is(err, errFull) {
				w.t.Errorf("answered %v", err)
			}
			if w.enabled("a") {
				w.t.Error("enabled")
			}
		},
		"with a full disk no setting is changed": func(w *world) {
			w.disk.setFull(true)
			timeout := time.Hour
			if err := w.Update(ctx, admin, "a", Update{PropTimeout: timeout}); !errors.Is(err, errFull) {
				w.t.Errorf("answered %v", err)
			}
			if v := w.client("a"); v.Timeout == timeout {
				w.t.Error("changed")
			}
		},
		"a change that failed to be saved is not on disk later either": func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.disk.takeThenFail()
			if err := w.Enable(ctx, admin, "a"); !errors.Is(err, errFull) {
				w.t.Errorf("answered %v", err)
			}
			w.disk.setFull(false)
			w.pass(2 * SaveDelay)
			if record, _ := w.disk.get("a"); record.Settings.Enabled {
				w.t.Error("it is on disk")
			}
		},
		"what a full disk did not take is saved once there is room": func(w *world) {
			w.disk.setFull(true)
			w.checks.behave(fail)
			w.pass(5 * time.Minute)
			if w.enabled("a") {
				w.t.Error("the client did not expire")
			}
			w.disk.setFull(false)
			w.pass(2 * SaveDelay)
			if record, _ := w.disk.get("a"); record.Settings.Enabled {
				w.t.Error("not saved")
			}
			for _, kind := range []EventKind{StateNotSaved, StateSavedAgain} {
				if event := w.lastEvent(kind); event.Time.IsZero() || event.Time.After(w.wall()) {
					w.t.Errorf("%s is told as of %v", kind, event.Time)
				}
			}
		},
		"an unknown client is an error that names it": func(w *world) {
			timeout := time.Hour
			for what, err := range map[string]error{
				"Enable":    w.Enable(ctx, admin, "nosuch"),
				"Disable":   w.Disable(ctx, admin, "nosuch"),
				"Remove":    w.Remove(ctx, admin, "nosuch"),
				"Approve":   w.Approve(ctx, admin, "nosuch", true),
				"CheckedOK": w.CheckedOK(ctx, admin, "nosuch"),
				"Update":    w.Update(ctx, admin, "nosuch", Update{PropTimeout: timeout}),
			} {
				var unknown *NoClientError
				if !errors.As(err, &unknown) || unknown.Name != "nosuch" {
					w.t.Errorf("%s: %v", what, err)
				}
			}
		},
		"a setting that makes no sense is refused": func(w *world) {
			negative, zero, checker := -time.Second, time.Duration(0), "ping %(nosuch)s"
			for what, u := range map[string]Update{
				"timeout":  {PropTimeout: negative},
				"interval": {PropInterval: zero},
				"checker":  {PropChecker: checker},
			} {
				if err := w.Update(ctx, admin, "a", u); !errors.Is(err, ErrBadSetting) {
					w.t.Errorf("%s: %v", what, err)
				}
			}
		},
		"nothing is done once the registry is closed": func(w *world) {
			w.shutDown()
			for what, err := range map[string]error{
				"Enable":  w.Enable(ctx, admin, "a"),
				"Disable": w.Disable(ctx, admin, "a"),
			} {
				if !errors.Is(err, ErrClosed) {
					w.t.Errorf("%s: %v", what, err)
				}
			}
			if !w.enabled("a") {
				w.t.Error("it was disabled all the same")
			}
			if _, why := w.fetch(keyA); why != ShuttingDown {
				w.t.Errorf("hand-out: %q", why)
			}
		},
		"refusals that nobody can follow are counted": func(w *world) {
			w.mu.Lock()
			for range maxQueued + 5 {
				w.noteRefusal(Event{Kind: NotFound})
			}
			if n := len(w.queue.items); n != maxQueued {
				w.t.Errorf("%d wait to be told", n)
			}
			w.mu.Unlock()
			if event := w.lastEvent(EventsDropped); event.Dropped != 5 || !event.Time.Equal(w.wall()) {
				w.t.Errorf("%d dropped at %v", event.Dropped, event.Time)
			}
			w.signals()
			w.must(w.CheckedOK(ctx, admin, "a"))
			if slices.Contains(w.signals(), string(EventsDropped)) {
				w.t.Error("that is told again")
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) { inWorld(t, []Settings{host("a", keyA)}, do) })
	}
}

func TestARecordThatCannotBeSavedIsThatClientsErrorAlone(t *testing.T) {
	ctx, name := context.Background(), "192.0.2.7"
	inWorld(t, []Settings{host("a", keyA), host("b", keyB)}, func(w *world) {
		w.disk.refuse("b")
		w.must(w.Disable(ctx, admin, "a"))
		if record, _ := w.disk.get("a"); record.Judged().Enabled {
			t.Error("a is not saved")
		}
		if err := w.Disable(ctx, admin, "b"); err == nil || w.enabled("b") ||
			err.Error() != "done, but it could not be saved and will be forgotten at the next start: the state of client b cannot be saved: it is too large" {
			t.Errorf("disabling b is answered %v", err)
		}
		if event := w.lastEvent(StateNotSaved); event.Err.Error() != "the state of client b cannot be saved: it is too large" {
			t.Errorf("told %v", event.Err)
		}
		w.must(w.Enable(ctx, admin, "a"))
		if err := w.Enable(ctx, admin, "b"); err == nil || w.enabled("b") {
			t.Errorf("enabling b is answered %v", err)
		}
		w.must(w.Update(ctx, admin, "a", Update{PropHost: name}))

		w.signals()
		before := w.disk.saves
		w.pass(time.Minute)
		if w.disk.saves > before+2 { // for what had been planned, and what is in force
			t.Errorf("%d saves of nothing", w.disk.saves-before)
		}
		w.wantSignals()

		longer := host("a", keyA)
		longer.Timeout = time.Hour
		off := host("b", keyB)
		off.Timeout = time.Hour
		if _, err := w.Reload(ctx, FromConfiguration, []Settings{longer, off}); err == nil || w.client("a").Timeout == time.Hour {
			t.Errorf("a reload of both is answered %v", err)
		}
		w.pass(2 * SaveDelay)
		if record, _ := w.disk.get("a"); record.Timeout == time.Hour {
			t.Error("a is not saved as it is in force")
		}
		w.disk.setFull(true)
		w.must(w.StartChecker(ctx, "a"))
		w.pass(SaveDelay)
		if event := w.lastEvent(StateNotSaved); !errors.Is(event.Err, errFull) {
			t.Errorf("of a full disk, after that: %v", event.Err)
		}
		w.disk.setFull(false)
		w.disk.refuse("")
		w.pass(2 * SaveDelay)
		w.lastEvent(StateSavedAgain)
		if record, _ := w.disk.get("b"); record.Judged().Enabled {
			t.Error("b is not saved when it can be")
		}
	})
}
