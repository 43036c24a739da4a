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

// TestALoweringIsNotUndoneByWhatWasAskedForBefore lowers a client while something
// is being saved that raises it.
func TestALoweringIsNotUndoneByWhatWasAskedForBefore(t *testing.T) {
	ctx := context.Background()
	a, off := host("a", keyA), host("a", keyA)
	a.EnabledOwn, off.EnabledOwn, off.Enabled = true, true, false
	lowerings := map[string]func(w *world) error{
		"disabled": func(w *world) error { return w.Disable(ctx, admin, "a") },
		"removed":  func(w *world) error { return w.Remove(ctx, admin, "a") },
	}
	for what, lower := range lowerings {
		for sentence, c := range map[string]struct {
			first     Settings
			before    func(w *world) error
			raise     func(w *world) error
			overtaken bool
		}{
			"while a disabled one is enabled": {a, lowerings["disabled"], func(w *world) error { return w.Enable(ctx, admin, "a") }, true},
			"while an enabled one is enabled": {a, nil, func(w *world) error { return w.Enable(ctx, admin, "a") }, false},
			"while a reload enables it": {off, nil, func(w *world) error {
				_, err := w.Reload(ctx, FromConfiguration, []Settings{a})
				return err
			}, false},
		} {
			t.Run(what+" "+sentence, func(t *testing.T) {
				inWorld(t, []Settings{c.first}, func(w *world) {
					w.pass(2 * time.Minute)
					if c.before != nil {
						w.must(c.before(w))
					}
					var lowered chan error
					w.disk.during(func() {
						lowered = make(chan error, 1)
						go func() { lowered <- lower(w) }()
						synctest.Wait()
					})
					if c.before == nil && c.first.Enabled { // else nothing would be saved
						w.mu.Lock()
						w.durably("a")
						w.mu.Unlock()
					}
					var overtaken *OvertakenError
					if err := c.raise(w); errors.As(err, &overtaken) != c.overtaken || err != nil && overtaken == nil {
						t.Errorf("raising it was answered with %v", err)
					}
					w.must(<-lowered)
					if c.overtaken && slices.Contains(w.signals(), string(Enabled)) {
						t.Error("it was told to be enabled")
					}
					if secret, _ := w.fetch(keyA); secret.Len() > 0 {
						t.Error("it got its secret")
					}
					w.restart(time.Second, []Settings{a})
					if secret, _ := w.fetch(keyA); secret.Len() > 0 {
						t.Error("it got its secret after a restart")
					}
					w.must(w.Enable(ctx, admin, "a"))
					if secret, why := w.fetch(keyA); secret.Len() == 0 {
						t.Errorf("enabled once more it is refused: %s", why)
					}
				})
			})
		}
	}
}

// TestAnEnablingThatIsOvertakenBeforeItsTurnSaysSo has it wait for its turn while the
// client is disabled once more.
func TestAnEnablingThatIsOvertakenBeforeItsTurnSaysSo(t *testing.T) {
	ctx := context.Background()
	inWorld(t, []Settings{host("a", keyA), host("b", keyB)}, func(w *world) {
		w.must(w.Disable(ctx, admin, "a"))
		w.signals()
		enabled, disabled := make(chan error, 1), make(chan error, 1)
		w.disk.during(func() {
			go func() { enabled <- w.Enable(ctx, admin, "a") }()
			synctest.Wait()
			go func() { disabled <- w.Disable(ctx, admin, "a") }()
			synctest.Wait()
		})
		w.must(w.CheckedOK(ctx, admin, "b"))
		var overtaken *OvertakenError
		if err := <-enabled; !errors.As(err, &overtaken) {
			t.Errorf("enabling it is answered %v", err)
		}
		w.must(<-disabled)
		if w.enabled("a") || slices.Contains(w.signals(), string(Enabled)) {
			t.Error("it was enabled")
		}
	})
}
