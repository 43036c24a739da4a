// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"testing"
	"time"
)

func TestRestart(t *testing.T) {
	ctx := context.Background()
	a := host("a", keyA)
	changed := func(change func(*Settings)) []Settings {
		s := host("a", keyA)
		change(&s)
		return []Settings{s}
	}
	same := []Settings{a}
	for sentence, do := range map[string]func(w *world){
		"a client that was fine gets its whole timeout again, however long the server was down": func(w *world) {
			w.pass(2 * time.Minute)
			w.checks.behave(fail)
			w.restart(time.Hour, same)
			w.pass(5*time.Minute - 1)
			if !w.enabled("a") {
				w.t.Error("disabled early")
			}
			w.pass(1)
			if w.enabled("a") {
				w.t.Error("not disabled")
			}
		},
		"restarting again and again keeps nobody valid": func(w *world) {
			w.pass(2 * time.Minute)
			w.checks.behave(fail)
			for range 6 {
				w.restart(time.Second, same)
				w.pass(2 * time.Minute)
			}
			if w.enabled("a") {
				w.t.Error("still enabled")
			}
		},
		"one whose last check had failed is disabled if it expired meanwhile": func(w *world) {
			w.pass(2 * time.Minute)
			w.checks.behave(fail)
			w.pass(2 * time.Minute)
			w.restart(time.Hour, same)
			if v := w.client("a"); v.Enabled || v.DisabledBecause != CheckFailedLast {
				w.t.Errorf("%+v", v)
			}
			if record, _ := w.disk.get("a"); record.Settings.Enabled {
				w.t.Error("that is not saved")
			}
		},
		"one never checked is disabled if it expired meanwhile": func(w *world) {
			w.checks.behave(hang)
			w.restart(time.Hour, same)
			if v := w.client("a"); v.Enabled || v.DisabledBecause != NeverCheckedOK {
				w.t.Errorf("%+v", v)
			}
		},
		"one whose last check had failed is checked once more before it expires": func(w *world) {
			w.pass(2 * time.Minute)
			w.checks.behave(fail)
			w.pass(2 * time.Minute)
			left := time.Until(w.client("a").Expires)
			w.restart(left-10*time.Second, same)
			w.checks.behave(succeed)
			w.pass(9 * time.Second)
			if v := w.client("a"); !v.Enabled || v.LastCheckerStatus != 0 {
				w.t.Errorf("%+v", v.State)
			}
		},
		"a longer timeout in the file gives one whose last check had failed the difference": func(w *world) {
			w.pass(2 * time.Minute)
			w.checks.behave(fail)
			w.pass(2 * time.Minute)
			expires := w.client("a").Expires
			w.restart(time.Second, changed(func(s *Settings) { s.Timeout = 7 * time.Minute }))
			if v := w.client("a"); !v.Expires.Equal(expires.Add(2 * time.Minute)) {
				w.t.Errorf("it expires at %v, and did at %v", v.Expires, expires)
			}
		},
		"a denial that was taken back stays so": func(w *world) {
			w.pass(2 * time.Minute)
			hour := time.Hour
			w.must(w.Update(ctx, admin, "a", Update{PropApprovalDuration: hour}))
			w.must(w.Approve(ctx, admin, "a", false))
			w.must(w.Approve(ctx, admin, "a", true))
			if v := w.client("a"); !v.DeniedUntil.IsZero() {
				w.t.Errorf("it is denied until %v", v.DeniedUntil)
			}
			w.restart(time.Second, same)
			if _, why := w.fetch(keyA); why != "" {
				w.t.Errorf("it is refused: %s", why)
			}
		},
		"an extended timeout that is running goes on": func(w *world) {
			w.pass(2 * time.Minute)
			w.fetch(keyA)
			w.checks.behave(fail)
			w.restart(10*time.Minute, same)
			if left := time.Until(w.client("a").Expires); left < 5*time.Minute || left > 5*time.Minute+time.Second {
				w.t.Errorf("%v left", left)
			}
		},
		"a disabled client stays disabled": func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.restart(time.Second, same)
			if v := w.client("a"); v.Enabled || v.DisabledBecause != ByAdministrator || v.Created.IsZero() {
				w.t.Errorf("%+v", v)
			}
		},
		"settings changed at run time stay": func(w *world) {
			name, timeout, secret := "192.0.2.7", time.Hour, NewSecret([]byte("new"))
			w.must(w.Update(ctx, admin, "a", Update{PropHost: name, PropTimeout: timeout, PropSecret: secret}))
			w.restart(time.Second, same)
			if v := w.client("a"); v.Host != name || v.Timeout != timeout || v.Secret != secret {
				w.t.Errorf("%+v", v.Settings)
			}
		},
		"a setting that the configuration changed meanwhile is the configuration's": func(w *world) {
			name, timeout := "192.0.2.7", time.Hour
			w.must(w.Update(ctx, admin, "a", Update{PropHost: name, PropTimeout: timeout}))
			w.restart(time.Second, changed(func(s *Settings) { s.Timeout = 7 * time.Minute }))
			if v := w.client("a"); v.Host != name || v.Timeout != 7*time.Minute {
				w.t.Errorf("%+v", v.Settings)
			}
		},
		"the configuration can disable and enable a client": func(w *world) {
			off := changed(func(s *Settings) { s.Enabled, s.EnabledOwn = false, true })
			on := changed(func(s *Settings) { s.EnabledOwn = true })
			w.restart(time.Second, off)
			if v := w.client("a"); v.Enabled || v.DisabledBecause != ByConfiguration {
				w.t.Errorf("%+v", v)
			}
			w.restart(time.Second, off)
			w.restart(time.Second, on)
			if v := w.client("a"); !v.Enabled || v.Expires.IsZero() {
				w.t.Errorf("%+v", v)
			}
		},
		"a removed client stays removed whatever else changes in the configuration": func(w *world) {
			w.must(w.Remove(ctx, admin, "a"))
			w.restart(time.Second, same)
			w.restart(time.Second, changed(func(s *Settings) {
				s.Timeout, s.Host, s.Checker, s.Secret = time.Hour, "elsewhere", ":", NewSecret([]byte("another"))
			}))
			if _, ok := w.Client("a"); ok {
				w.t.Error("it is back")
			}
		},
		"a removed client whose section was removed too stays what it was, and so do the others": func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.restart(time.Second, []Settings{a, host("b", keyB)})
			w.must(w.Remove(ctx, admin, "b"))
			w.restart(time.Second, same)
			if w.enabled("a") {
				w.t.Error("forgot that a was disabled")
			}
			w.pass(time.Second)
			if record, ok := w.disk.get("b"); !ok || record.Gone.IsZero() || !record.Removed() {
				w.t.Errorf("saved of b: %+v", record)
			}
			w.restart(time.Second, []Settings{a, host("b", keyB)})
			if _, ok := w.Client("b"); ok {
				w.t.Error("b is back")
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) { inWorld(t, same, do) })
	}
}

func TestReload(t *testing.T) {
	ctx := context.Background()
	a, b := host("a", keyA), host("b", keyB)
	for sentence, do := range map[string]func(w *world){
		"the same configuration changes nothing": func(w *world) {
			w.pass(2 * time.Minute)
			before := w.client("a")
			w.signals()
			w.reload([]Settings{a})
			w.wantSignals()
			if after := w.client("a"); after != before {
				w.t.Errorf("%+v, was %+v", after, before)
			}
		},
		"a new client is there and checked": func(w *world) {
			w.reload([]Settings{b, a})
			w.pass(2 * time.Minute)
			if v := w.client("b"); v.LastCheckedOK.IsZero() {
				w.t.Errorf("%+v", v)
			}
			if _, ok := w.disk.get("b"); !ok {
				w.t.Error("not saved")
			}
			if names := w.Clients(); names[0].Name != "b" {
				w.t.Error("not in the order of the configuration")
			}
		},
		"a client that is gone from the configuration gets nothing, even if it waits": func(w *world) {
			delay := time.Minute
			w.must(w.Update(ctx, admin, "a", Update{PropApprovalDelay: delay}))
			o := w.fetchInBackground(ctx, keyA)
			w.reload([]Settings{b})
			w.pass(0)
			w.want(o, "removed")
			if record, ok := w.disk.get("a"); !ok || record.Gone.IsZero() {
				w.t.Errorf("saved of it: %+v", record)
			}
		},
		"those who wait for a client that stays go on waiting": func(w *world) {
			delay := time.Minute
			w.must(w.Update(ctx, admin, "a", Update{PropApprovalDelay: delay}))
			o := w.fetchInBackground(ctx, keyA)
			w.reload([]Settings{a, b})
			w.pass(time.Minute - 1)
			w.want(o, "waiting")
			w.pass(1)
			w.want(o, "got it")
		},
		"a new key takes the place of the old one": func(w *world) {
			changed := a
			changed.KeyID = keyB
			w.reload([]Settings{changed})
			if _, why := w.fetch(keyA); why != "unknown" {
				w.t.Errorf("old key: %q", why)
			}
			if _, why := w.fetch(keyB); why != "" {
				w.t.Errorf("new key: %q", why)
			}
		},
		"a new secret is handed out": func(w *world) {
			changed := a
			changed.Secret = NewSecret([]byte("another"))
			w.reload([]Settings{changed})
			if secret, _ := w.fetch(keyA); secret != changed.Secret {
				w.t.Error("the old one is")
			}
		},
		"enabled = False disables and True enables": func(w *world) {
			off, a := a, a
			off.Enabled, off.EnabledOwn, a.EnabledOwn = false, true, true
			w.reload([]Settings{off})
			if w.enabled("a") {
				w.t.Error("still enabled")
			}
			w.reload([]Settings{a})
			if !w.enabled("a") {
				w.t.Error("still disabled")
			}
		},
		"a disabled client is not enabled by a reload": func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			changed := a
			changed.Timeout = time.Hour
			w.reload([]Settings{changed})
			if w.enabled("a") {
				w.t.Error("enabled")
			}
		},
		"what it adds and enables is valid after a crash right after it": func(w *world) {
			off, a, late := a, a, b
			off.Enabled, off.EnabledOwn, a.EnabledOwn = false, true, true
			late.Interval, late.Timeout = time.Hour, 2*time.Hour
			w.reload([]Settings{off})
			w.pass(time.Second)
			w.reload([]Settings{a, late})
			crashed := w.Registry
			w.disk = &disk{records: w.disk.copyOf()}
			w.begin([]Settings{a, late})
			if !w.enabled("a") || !w.enabled("b") {
				w.t.Errorf("a: %v, b: %v", w.enabled("a"), w.enabled("b"))
			}
			w.must(crashed.Close(ctx))
		},
		"a running check goes on": func(w *world) {
			w.checks.behave(hang)
			w.must(w.StartChecker(ctx, "a"))
			w.pass(time.Second)
			w.reload([]Settings{a, b})
			if v := w.client("a"); !v.CheckerRunning {
				w.t.Error("stopped")
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) { inWorld(t, []Settings{a}, do) })
	}
}

func TestAClockThatWasSetBackKeepsNobodyValidForLongerThanTheLongestTime(t *testing.T) {
	for longest, set := range map[string]func(*Settings){
		"timeout":          func(s *Settings) { s.Timeout = time.Hour },
		"extended timeout": func(s *Settings) { s.ExtendedTimeout = time.Hour },
		"two intervals":    func(s *Settings) { s.Interval = time.Hour / 2 },
	} {
		t.Run(longest, func(t *testing.T) {
			a := host("a", keyA)
			set(&a)
			inWorld(t, []Settings{a}, func(w *world) {
				w.checks.behave(fail)
				w.must(w.StartChecker(context.Background(), "a"))
				w.pass(time.Second)
				w.shutDown() // what it saves counts on the former time
				w.stepped.Store(int64(-365 * 24 * time.Hour))
				w.begin([]Settings{a})
				if left := w.client("a").Expires.Sub(w.wall()); left != time.Hour {
					t.Errorf("%v left", left)
				}
				w.pass(time.Hour - 1)
				if !w.enabled("a") {
					t.Error("disabled before")
				}
				w.pass(1)
				if w.enabled("a") {
					t.Error("still enabled after it")
				}
			})
		})
	}
}
