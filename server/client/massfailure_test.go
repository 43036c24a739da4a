// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// fleet are n clients, named 0, 1 and so on.
func fleet(n int) (clients []Settings) {
	for i := range n {
		clients = append(clients, host(fmt.Sprint(i), strings.Repeat(fmt.Sprintf("%X", i), 64)))
	}
	return clients
}

func TestMassFailure(t *testing.T) {
	ctx := context.Background()
	// fails has the checks of that many clients fail.
	fails := func(w *world, failing int) {
		for i := range 10 {
			checker := "up"
			if i < failing {
				checker = "down"
			}
			name := fmt.Sprint(i)
			if v, ok := w.Client(name); ok && v.Checker != checker {
				w.must(w.Update(ctx, admin, name, Update{PropChecker: checker}))
			}
		}
	}
	told := func(w *world) (kinds []EventKind) {
		w.toldMu.Lock()
		defer w.toldMu.Unlock()
		for _, e := range w.told {
			if e.Kind == MassFailure || e.Kind == MassFailureOver {
				kinds = append(kinds, e.Kind)
			}
		}
		return kinds
	}
	wants := func(w *world, kinds ...EventKind) {
		w.t.Helper()
		if got := told(w); !slices.Equal(got, kinds) {
			w.t.Errorf("told %q, want %q", got, kinds)
		}
		if on := len(kinds) > 0 && kinds[len(kinds)-1] == MassFailure; w.MassFailureSince().IsZero() == on {
			w.t.Errorf("it is so since %v", w.MassFailureSince())
		}
	}
	for sentence, c := range map[string]struct {
		clients int
		do      func(w *world)
	}{
		"when more than half fail within an interval it is told once": {5, func(w *world) {
			fails(w, 3)
			w.pass(2*time.Minute + lookDelay)
			wants(w, MassFailure)
			if e := w.lastEvent(MassFailure); e.Failing != 3 || e.Enabled != 5 || e.Client.Name != "" {
				w.t.Errorf("told %+v", e)
			}
			w.pass(2 * time.Minute)
			wants(w, MassFailure)
		}},
		"half of them are no mass": {4, func(w *world) {
			fails(w, 2)
			w.pass(time.Hour)
			wants(w)
		}},
		"three are no mass": {3, func(w *world) {
			fails(w, 3)
			w.pass(time.Hour)
			wants(w)
		}},
		"one after the other is no mass": {5, func(w *world) {
			for i := range 5 {
				w.must(w.Update(ctx, admin, fmt.Sprint(i), Update{PropTimeout: time.Hour}))
			}
			for i := range 5 {
				fails(w, i+1)
				w.pass(2*time.Minute + 2*lookDelay)
			}
			wants(w)
		}},
		"it is over when no more than half fail": {5, func(w *world) {
			fails(w, 5)
			w.pass(3 * time.Minute)
			wants(w, MassFailure)
			fails(w, 2)
			w.pass(2*time.Minute + lookDelay)
			wants(w, MassFailure, MassFailureOver)
			if e := w.lastEvent(MassFailureOver); e.Failing != 2 || e.Enabled != 5 || e.Expired != 0 {
				w.t.Errorf("told %+v", e)
			}
		}},
		"it is over when all have expired": {5, func(w *world) {
			fails(w, 5)
			w.pass(time.Hour)
			wants(w, MassFailure, MassFailureOver)
			if e := w.lastEvent(MassFailureOver); e.Failing != 0 || e.Enabled != 0 || e.Expired != 5 {
				w.t.Errorf("told %+v", e)
			}
		}},
		"who is enabled and fails again begins anew": {5, func(w *world) {
			fails(w, 5)
			w.pass(time.Hour)
			for i := range 5 {
				w.must(w.Enable(ctx, admin, fmt.Sprint(i)))
			}
			w.pass(2*time.Minute + lookDelay)
			wants(w, MassFailure, MassFailureOver, MassFailure)
		}},
		"who is expected to be away says nothing": {5, func(w *world) {
			for i := range 2 {
				w.must(w.Expect(ctx, admin, fmt.Sprint(i), time.Hour, ""))
			}
			fails(w, 5)
			w.pass(4 * time.Minute)
			wants(w)
		}},
		"a disabled one says nothing": {5, func(w *world) {
			for i := range 2 {
				w.must(w.Disable(ctx, admin, fmt.Sprint(i)))
			}
			fails(w, 5)
			w.pass(4 * time.Minute)
			wants(w)
		}},
		"to disable those that fail ends it": {5, func(w *world) {
			fails(w, 3)
			w.pass(3 * time.Minute)
			wants(w, MassFailure)
			w.must(w.Disable(ctx, admin, "0"))
			w.pass(lookDelay)
			wants(w, MassFailure, MassFailureOver)
		}},
		"a restart in the middle of it tells it anew": {5, func(w *world) {
			fails(w, 5)
			w.pass(2*time.Minute + 2*lookDelay)
			w.restart(time.Second, fleet(5))
			w.pass(2*time.Minute + lookDelay)
			wants(w, MassFailure, MassFailure)
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, fleet(c.clients), func(w *world) {
				w.checks.behaveEach(func(command string) CheckResult {
					if command == "down" {
						return CheckResult{Status: 1}
					}
					return CheckResult{}
				})
				fails(w, 0)
				w.pass(5 * time.Minute)
				c.do(w)
			})
		})
	}
}
