// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"testing"
	"time"
)

func TestUplink(t *testing.T) {
	ctx := context.Background()
	const grace = 30 * time.Minute
	a := host("a", keyA)
	a.Interval = time.Minute // and a timeout of five
	clients := []Settings{a}
	unplug := func(w *world) {
		w.checks.behave(fail)
		w.UplinkChecked(false, CheckResult{Status: 1, Output: "router is unreachable"})
	}
	plug := func(w *world) { w.UplinkChecked(true, CheckResult{}) }
	back := func(w *world) { w.checks.behave(succeed); w.pass(time.Minute) }
	wants := func(w *world, enabled, borrowed bool) {
		w.t.Helper()
		if v := w.client("a"); v.Enabled != enabled || v.OnBorrowedTime != borrowed {
			w.t.Errorf("enabled %v, on borrowed time %v, expires in %v; wanted %v, %v", v.Enabled, v.OnBorrowedTime, time.Until(v.Expires), enabled, borrowed)
		}
	}
	for sentence, do := range map[string]func(w *world){
		"while the uplink fails expiry stands still, and goes on afterwards": func(w *world) {
			unplug(w)
			w.pass(20 * time.Minute)
			wants(w, true, true)
			plug(w)
			w.pass(5*time.Minute - time.Second)
			wants(w, true, true)
			w.pass(time.Second)
			wants(w, false, false)
			if e := w.lastEvent(Disabled); e.Reason != TimedOut || e.By != ByItself {
				w.t.Errorf("told %+v", e)
			}
		},
		"for no longer than is lent": func(w *world) {
			unplug(w)
			w.pass(grace + 5*time.Minute - time.Second)
			wants(w, true, true)
			w.pass(time.Second)
			wants(w, false, false)
		},
		"for no longer than is lent in all, whatever flaps": func(w *world) {
			valid := time.Duration(0)
			for ; w.enabled("a") && valid < 10*time.Hour; valid += time.Minute {
				unplug(w)
				w.pass(59 * time.Second)
				plug(w)
				w.pass(time.Second)
			}
			if want := grace + 5*time.Minute; valid < want-time.Minute || valid > want+time.Minute {
				w.t.Errorf("it was valid for %v", valid)
			}
		},
		"a good check of its own is what is lent anew for": func(w *world) {
			for range 5 {
				unplug(w)
				w.pass(grace)
				wants(w, true, true)
				plug(w)
				back(w)
				wants(w, true, false)
			}
		},
		"a good check while the uplink fails counts from then": func(w *world) {
			unplug(w)
			w.pass(20 * time.Minute)
			w.must(w.CheckedOK(ctx, admin, "a"))
			wants(w, true, false)
			w.pass(grace + 5*time.Minute - time.Second)
			wants(w, true, true)
			w.pass(time.Second)
			wants(w, false, false)
		},
		"the uplink is no matter to whose checks succeed": func(w *world) {
			w.UplinkChecked(false, CheckResult{Status: 1})
			w.pass(10 * time.Hour)
			wants(w, true, false)
			plug(w)
			w.checks.behave(fail)
			w.pass(5 * time.Minute)
			wants(w, false, false)
		},
		"what happens is told": func(w *world) {
			w.checks.behave(fail)
			w.pass(time.Minute)
			w.signals()
			unplug(w)
			w.UplinkChecked(false, CheckResult{Status: 1})
			if e := w.lastEvent(UplinkFails); e.Check.Output != "router is unreachable" || e.Client.Name != "" {
				w.t.Errorf("told %+v", e)
			}
			w.wantSignals("uplink-fails")
			if w.UplinkFailsSince().IsZero() {
				w.t.Error("it does not say since when")
			}
			w.pass(time.Until(w.client("a").Expires))
			if e := w.lastEvent(BorrowsTime); !e.Client.OnBorrowedTime || time.Until(e.Client.Expires) != grace {
				w.t.Errorf("told %+v", e.Client)
			}
			plug(w)
			w.lastEvent(UplinkWorks)
			if e := w.lastEvent(BorrowsTime); time.Until(e.Client.Expires) >= grace {
				w.t.Errorf("told %+v", e.Client)
			}
			if !w.UplinkFailsSince().IsZero() {
				w.t.Error("it says since when")
			}
			w.signals()
			back(w)
			if got := w.signals(); len(got) < 3 || got[len(got)-2] != "OnBorrowedTime" {
				w.t.Errorf("told %q", got)
			}
		},
		"over a restart in the middle it goes on": func(w *world) {
			unplug(w)
			w.pass(20 * time.Minute)
			w.restart(2*time.Minute, clients)
			wants(w, true, true)
			w.pass(grace - 22*time.Minute + 5*time.Minute - time.Second)
			wants(w, true, true)
			w.pass(time.Second)
			wants(w, false, false)
		},
		"what is left at a restart is left afterwards": func(w *world) {
			unplug(w)
			w.pass(10 * time.Minute)
			plug(w)
			w.pass(3 * time.Minute)
			w.restart(time.Minute, clients)
			wants(w, true, true)
			w.pass(time.Minute - time.Second)
			wants(w, true, true)
			w.pass(time.Second)
			wants(w, false, false)
		},
		"a server that was down for longer than it lends has lent it": func(w *world) {
			unplug(w)
			w.pass(10 * time.Minute)
			w.restart(time.Hour, clients)
			wants(w, false, false)
		},
		"a clock that goes back lends no more than there is": func(w *world) {
			unplug(w)
			w.pass(20 * time.Minute)
			w.stepped.Store(int64(-time.Hour))
			w.restart(time.Minute, clients)
			valid := time.Duration(0)
			for ; w.enabled("a"); valid += time.Minute {
				w.pass(time.Minute)
			}
			if most := a.ExtendedTimeout + grace; valid > most {
				w.t.Errorf("it was valid for another %v", valid)
			}
		},
		"without anything to lend nothing is put off, not even what was": func(w *world) {
			unplug(w)
			w.pass(10 * time.Minute)
			w.grace = 0
			w.restart(time.Second, clients)
			wants(w, false, false)
			w.must(w.Enable(ctx, admin, "a"))
			unplug(w)
			w.pass(2 * time.Minute)
			wants(w, false, false)
			if !w.UplinkFailsSince().IsZero() {
				w.t.Error("it says that the uplink fails")
			}
		},
		"what was lent in another configuration is gone as well": func(w *world) {
			unplug(w)
			w.pass(10 * time.Minute)
			plug(w)
			w.grace = 2 * time.Minute
			w.restart(time.Second, clients)
			wants(w, false, false)
		},
		"a hand-out takes nothing away": func(w *world) {
			w.must(w.Update(ctx, admin, "a", Update{PropExtendedTimeout: 4 * time.Minute}))
			unplug(w)
			w.pass(3 * time.Minute)
			plug(w)
			if secret, why := w.fetch(keyA); secret.Len() == 0 {
				w.t.Errorf("it is refused: %s", why)
			}
			w.pass(5*time.Minute - time.Second)
			wants(w, true, true)
			w.pass(time.Second)
			wants(w, false, false)
		},
		"who is lowered in the middle is not raised by it": func(w *world) {
			unplug(w)
			w.pass(10 * time.Minute)
			plug(w)
			unplug(w)
			w.signals()
			w.must(w.Disable(ctx, admin, "a"))
			wants(w, false, false)
			w.wantSignals("Expires", "OnBorrowedTime", "Enabled", "disabled")
			plug(w)
			unplug(w)
			w.pass(10 * time.Minute)
			wants(w, false, false)
			w.restart(time.Second, clients)
			wants(w, false, false)
			w.must(w.Enable(ctx, admin, "a"))
			w.pass(grace + 2*a.Interval - time.Second)
			wants(w, true, true)
			w.pass(time.Second)
			wants(w, false, false)
		},
		"what had come before does not come later": func(w *world) {
			w.checks.behave(fail)
			w.pass(2 * time.Minute)
			unplug(w)
			w.must(w.Update(ctx, admin, "a", Update{PropTimeout: time.Second}))
			wants(w, false, false)
		},
		"a planned absence that ends meanwhile is put off too": func(w *world) {
			w.checks.behave(fail)
			w.must(w.Expect(ctx, admin, "a", 10*time.Minute, ""))
			w.pass(8 * time.Minute)
			unplug(w)
			w.pass(20 * time.Minute)
			wants(w, true, true)
			plug(w)
			w.pass(2*time.Minute - time.Second)
			wants(w, true, true)
			w.pass(time.Second)
			wants(w, false, false)
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			inLendingWorld(t, grace, clients, do)
		})
	}
}

// inLendingWorld begins just after a good check of each client.
func inLendingWorld(t *testing.T, grace time.Duration, clients []Settings, f func(w *world)) {
	inWorld(t, nil, func(w *world) {
		w.shutDown()
		w.grace = grace
		w.begin(clients)
		for _, c := range clients {
			w.must(w.CheckedOK(context.Background(), admin, c.Name))
		}
		f(w)
	})
}

func TestABorrowedTimeHandoutNeedsAPerson(t *testing.T) {
	ctx := context.Background()
	const grace = 30 * time.Minute
	byDefault, slow := host("a", keyA), host("b", keyB)
	slow.ApprovalDelay = 5 * time.Minute
	borrowed := func(w *world) {
		w.checks.behave(fail)
		w.UplinkChecked(false, CheckResult{Status: 1})
		w.pass(6 * time.Minute)
	}
	for sentence, do := range map[string]func(w *world){
		"nobody is asked as long as it is valid of its own": func(w *world) {
			w.checks.behave(fail)
			w.UplinkChecked(false, CheckResult{Status: 1})
			w.pass(4 * time.Minute)
			w.want(w.fetchInBackground(ctx, keyA), "got it")
		},
		"who is on borrowed time waits, and gets it once somebody approves": func(w *world) {
			borrowed(w)
			o := w.fetchInBackground(ctx, keyA)
			w.want(o, "waiting")
			w.pass(askingTime - time.Second)
			w.must(w.Approve(ctx, admin, "a", true))
			w.pass(0)
			w.want(o, "got it")
			if e := w.lastEvent(SecretSent); e.Note == "" {
				w.t.Error("it is not said that it was on borrowed time")
			}
			if v := w.client("a"); v.OnBorrowedTime || time.Until(v.Expires) != v.ExtendedTimeout {
				w.t.Errorf("it is %+v", v.State)
			}
		},
		"the end of the delay refuses, whatever the default": func(w *world) {
			borrowed(w)
			o, late := w.fetchInBackground(ctx, keyA), w.fetchInBackground(ctx, keyB)
			w.pass(askingTime)
			w.want(o, "borrowed-time")
			w.want(late, "waiting")
			w.pass(4 * time.Minute)
			w.want(late, "borrowed-time")
		},
		"a denial refuses at once": func(w *world) {
			borrowed(w)
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Approve(ctx, admin, "a", false))
			w.pass(0)
			w.want(o, "denied")
		},
		"it is borrowed time also when the uplink works again, until the host is seen": func(w *world) {
			borrowed(w)
			w.UplinkChecked(true, CheckResult{})
			o := w.fetchInBackground(ctx, keyA)
			w.want(o, "waiting")
			w.must(w.CheckedOK(ctx, admin, "a"))
			w.pass(0)
			w.want(o, "got it")
		},
		"who expires while waiting is refused": func(w *world) {
			borrowed(w)
			w.pass(grace - time.Minute - 10*time.Second)
			o := w.fetchInBackground(ctx, keyA)
			w.want(o, "waiting")
			w.pass(10 * time.Second)
			w.want(o, "disabled")
		},
		"what was received lends nothing anew": func(w *world) {
			borrowed(w)
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Approve(ctx, admin, "a", true))
			w.pass(0)
			w.want(o, "got it")
			w.pass(15*time.Minute + 24*time.Minute - time.Second)
			if !w.client("a").OnBorrowedTime {
				w.t.Errorf("it is %+v", w.client("a").State)
			}
			w.pass(time.Second)
			if w.enabled("a") {
				w.t.Errorf("it is %+v", w.client("a").State)
			}
		},
		"it is explained": func(w *world) {
			borrowed(w)
			rulings, err := w.Explain("a", Origin{})
			w.must(err)
			if r := Decisive(rulings); r.Rule != RuleBorrowed || r.Verdict != Waits || r.Remedy != ToApprove {
				w.t.Errorf("decisive is %+v", r)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			inLendingWorld(t, grace, []Settings{byDefault, slow}, do)
		})
	}
}
