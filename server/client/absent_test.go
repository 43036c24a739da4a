// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestWhyAnAbsentOneIsSaidToGetNothing(t *testing.T) {
	ctx := context.Background()
	a, other := host("a", keyA), host("other", keyC)
	a.ApprovalDuration = time.Minute
	dies := func(w *world) {
		w.checks.behave(fail)
		w.must(w.StopChecker(ctx, admin, "a"))
		w.must(w.StartChecker(ctx, "a"))
	}
	for sentence, c := range map[string]struct {
		do      func(w *world)
		because Reason
		by      Actor
		since   time.Duration // after the start
	}{
		"one that was disabled and then removed was removed": {func(w *world) {
			w.must(w.Disable(ctx, somebody, "a"))
			w.pass(time.Minute)
			w.must(w.Remove(ctx, admin, "a"))
		}, RemovedByAdministrator, admin, 4 * time.Minute},
		"one that expired while it was gone has expired": {func(w *world) {
			dies(w)
			w.pass(2 * time.Minute)
			w.reload([]Settings{other})
			w.pass(time.Hour)
		}, TimedOut, ByItself, 7 * time.Minute},
		"one whose time is not over yet might get something": {func(w *world) {
			dies(w)
			w.pass(2 * time.Minute)
			w.reload([]Settings{other})
		}, "", Actor{}, 0},
		"one that was fine when it went has not expired": {func(w *world) {
			w.reload([]Settings{other})
			w.pass(time.Hour)
		}, "", Actor{}, 0},
		"one that expired before that, and not when it would have": {func(w *world) {
			dies(w)
			w.pass(10 * time.Minute)
			w.must(w.CheckedOK(ctx, admin, "other"))
			w.reload([]Settings{other})
			w.pass(time.Hour)
		}, TimedOut, ByItself, 7 * time.Minute},
		"one whose denial is over might get something": {func(w *world) {
			w.must(w.Approve(ctx, admin, "a", false))
			w.reload([]Settings{other})
			w.pass(time.Minute)
		}, "", Actor{}, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{other, a}, func(w *world) {
				start := w.wall()
				w.pass(2 * time.Minute)
				w.must(w.CheckedOK(ctx, admin, "a"))
				w.checks.behave(hang)
				w.pass(time.Minute)
				c.do(w)
				want := Absentee{Name: "a", Because: c.because, By: c.by}
				if c.because != "" {
					want.Since = start.Add(c.since)
				}
				absent := w.Absent()
				if len(absent) != 1 {
					t.Fatalf("absent are %+v", absent)
				}
				if got := absent[0]; got.Because != want.Because || got.By != want.By || !got.Since.Equal(want.Since) || !got.DeniedUntil.IsZero() {
					t.Errorf("it is %+v, want %+v", got, want)
				}
			})
		})
	}
}

func TestWhoIsBackIsNotAbsent(t *testing.T) {
	ctx := context.Background()
	a, other := host("a", keyA), host("other", keyC)
	for sentence, do := range map[string]func(w *world){
		"by its section":        func(w *world) { w.reload([]Settings{other}); w.reload([]Settings{other, a}) },
		"enabled by a person":   func(w *world) { w.must(w.Remove(ctx, admin, "a")); w.must(w.Enable(ctx, admin, "a")) },
		"forgotten by somebody": func(w *world) { w.reload([]Settings{other}); w.must(w.Forget(ctx, admin, "a")) },
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{other, a}, func(w *world) {
				w.pass(2 * time.Minute)
				if do(w); len(w.Absent()) != 0 {
					t.Errorf("absent are %+v", w.Absent())
				}
			})
		})
	}
}

func TestWhatIsNotForgottenAsASectionStands(t *testing.T) {
	ctx := context.Background()
	a, keyless, other := host("a", keyA), host("keyless", ""), host("other", keyC)
	inWorld(t, []Settings{other, a, keyless}, func(w *world) {
		refused := func(name, section string) {
			t.Helper()
			var still *StillThereError
			if err := w.Forget(ctx, admin, name); !errors.As(err, &still) || *still != (StillThereError{name, section}) {
				t.Errorf("forgetting %s is answered %v", name, err)
			}
		}
		refused("keyless", "keyless")
		w.must(w.Disable(ctx, admin, "a"))
		a.KeyID = keyB
		w.reload([]Settings{other, a})
		w.reload([]Settings{other, host("x", keyA)})
		refused("a", "x") // with whose key it was disabled
		w.must(w.Forget(ctx, admin, "keyless"))
	})
}

func TestWhichClientsWouldBeMissing(t *testing.T) {
	record := func(name string) Record { return newRecord(host(name, keyA), time.Now()) }
	gone := record("gone")
	gone.Gone = time.Now()
	removed := record("removed")
	removed.Lowerings = []Lowering{{ID: "1", Reason: RemovedByAdministrator, Key: removed.key()}}
	records := []Record{record("d"), record("b"), gone, record("c"), removed}
	if missing := Missing([]Settings{host("b", keyA)}, records); !slices.Equal(missing, []string{"c", "d"}) {
		t.Errorf("they are %v", missing)
	}
}

func TestNamesAreEnumerated(t *testing.T) {
	for want, names := range map[string][]string{
		"a":                          {"a"},
		"a, b, c, d, e":              {"a", "b", "c", "d", "e"},
		"a, b, c, d, e and 2 others": {"a", "b", "c", "d", "e", "f", "g"},
	} {
		if got := Enumerate(names); got != want {
			t.Errorf("%q is %q", names, got)
		}
	}
}
