// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestTwoMachinesWithOneKey(t *testing.T) {
	ctx := context.Background()
	id := Identity{RawPublicKey, keyA}
	release := func(w *world, from string) *Handout {
		w.t.Helper()
		h, err := w.Release(ctx, id, at(from, "eth0"))
		w.must(err)
		return h
	}
	told := func(w *world) bool { return slices.Contains(w.signals(), string(TwoMachines)) }
	for sentence, c := range map[string]struct {
		host string
		do   func(w *world)
	}{
		"at two addresses at once": {"", func(w *world) {
			first, second := release(w, "192.0.2.7"), release(w, "192.0.2.8")
			if e := w.lastEvent(TwoMachines); e.Address.Addr().String() != "192.0.2.8" || e.Note != "another connection with that key is at 192.0.2.7:4711" || e.Client.Name != "a" {
				w.t.Errorf("told %+v", e)
			}
			first.Received("")
			second.Received("")
		}},
		"it is not told again and again, and told again later": {"", func(w *world) {
			first := release(w, "192.0.2.7")
			release(w, "192.0.2.8").Received("")
			told(w)
			release(w, "192.0.2.8").Received("")
			if told(w) {
				w.t.Error("it is told twice")
			}
			w.pass(twoMachinesQuiet)
			release(w, "192.0.2.8").Received("")
			if !told(w) {
				w.t.Error("it is not told after a while")
			}
			first.Received("")
		}},
		"one after the other": {"", func(w *world) {
			release(w, "192.0.2.7").Received("")
			release(w, "192.0.2.8").NotReceived(errors.New("reset"))
			release(w, "192.0.2.7").Received("")
			if told(w) {
				w.t.Error("it is told")
			}
		}},
		"twice at one address": {"", func(w *world) {
			first, second := release(w, "192.0.2.7"), release(w, "::ffff:192.0.2.7")
			first.Received("")
			second.Received("")
			if told(w) {
				w.t.Error("it is told")
			}
		}},
		"one that was refused has gone": {"", func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.fetch(keyA)
			w.must(w.Enable(ctx, admin, "a"))
			release(w, "192.0.2.7").Received("")
			if told(w) {
				w.t.Error("it is told")
			}
		}},
		"the host is alive elsewhere while its secret is handed out": {"192.0.2.9", func(w *world) {
			w.checks.behave(func(context.Context) (CheckResult, error) { time.Sleep(10 * time.Second); return CheckResult{}, nil })
			w.must(w.StartChecker(ctx, "a"))
			w.pass(5 * time.Second)
			release(w, "192.0.2.7").Received("")
			w.pass(5 * time.Second)
			if e := w.lastEvent(TwoMachines); e.Address.Addr().String() != "192.0.2.7" || e.Note != "a check found the host alive at 192.0.2.9 meanwhile" {
				w.t.Errorf("told %+v", e)
			}
		}},
		"it is alive where it is": {"192.0.2.7", func(w *world) {
			h := release(w, "192.0.2.7")
			w.must(w.StartChecker(ctx, "a"))
			w.pass(time.Second)
			h.Received("")
			if told(w) {
				w.t.Error("it is told")
			}
		}},
		"it is not known where it is checked": {"a.example.org", func(w *world) {
			h := release(w, "192.0.2.7")
			w.must(w.StartChecker(ctx, "a"))
			w.pass(time.Second)
			h.Received("")
			if told(w) {
				w.t.Error("it is told")
			}
		}},
		"a link-local address says nothing": {"192.0.2.9", func(w *world) {
			h := release(w, "fe80::7%eth0")
			w.must(w.StartChecker(ctx, "a"))
			w.pass(time.Second)
			h.Received("")
			if told(w) {
				w.t.Error("it is told")
			}
		}},
		"a check that began after the hand-out is over": {"192.0.2.9", func(w *world) {
			release(w, "192.0.2.7").Received("")
			w.pass(time.Second)
			w.must(w.StartChecker(ctx, "a"))
			w.pass(time.Second)
			if told(w) {
				w.t.Error("it is told")
			}
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			a := host("a", keyA)
			a.Host, a.Interval, a.Timeout = c.host, 24*time.Hour, 1000*time.Hour
			inWorld(t, []Settings{a}, func(w *world) { w.pass(0); c.do(w) })
		})
	}
}
