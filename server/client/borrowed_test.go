// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestAHealthyClientIsNotLoweredForAKeyThatItHadByMistake gives a section the key of a
// lowered client, and takes it back.
func TestAHealthyClientIsNotLoweredForAKeyThatItHadByMistake(t *testing.T) {
	ctx := context.Background()
	filler := strings.Repeat("0", 40)
	with := func(name, keyID string) Settings {
		s := host(name, keyID)
		s.Fingerprint = filler
		return s
	}
	a, b, c := with("a", keyA), with("b", keyB), with("c", keyC)
	for sentence, mistake := range map[string][]Settings{
		"two keys were exchanged":               {with("a", keyB), with("b", keyA), c},
		"one key was in both":                   {a, with("b", keyA), c},
		"one key was in the other alone":        {with("b", keyA), c},
		"its key ID was lost beside a filler":   {a, with("b", ""), c},
		"the lowered one had the key meanwhile": {with("a", keyB), with("b", strings.Repeat("D", 64)), c},
	} {
		for what, lower := range map[string]func(w *world){
			"disabled": func(w *world) { w.must(w.Disable(ctx, admin, "a")) },
			"removed":  func(w *world) { w.must(w.Remove(ctx, admin, "a")) },
		} {
			for way, come := range ways {
				t.Run(sentence+", "+what+" "+way, func(t *testing.T) {
					inWorld(t, []Settings{a, b, c}, func(w *world) {
						w.pass(2 * time.Minute)
						lower(w)
						for range 2 {
							come(w, mistake)
							if secret, _ := w.fetch(keyA); secret.Len() > 0 {
								t.Error("the lowered one got a secret meanwhile")
							}
							come(w, []Settings{a, b, c})
							if secret, _ := w.fetch(keyA); secret.Len() > 0 {
								t.Error("the lowered one got its secret afterwards")
							}
							if secret, why := w.fetch(keyB); secret.Len() == 0 {
								t.Errorf("the healthy one is refused afterwards: %s", why)
							}
							for range 3 {
								come(w, []Settings{a, b, c})
							}
							if secret, why := w.fetch(keyB); secret.Len() == 0 {
								t.Errorf("the healthy one is refused after that has been read again: %s", why)
							}
							w.pass(5 * time.Minute) // so that it shows that it is alive
						}
						come(w, []Settings{with("d", keyA), with("e", keyB), c})
						if secret, _ := w.fetch(keyA); secret.Len() > 0 {
							t.Error("the lowered one got its secret under another name")
						}
						if secret, why := w.fetch(keyB); secret.Len() == 0 {
							t.Errorf("the healthy one is refused under another name: %s", why)
						}
					})
				})
			}
		}
	}
}

// TestAClientThatWasLoweredItselfHasNoKeyWithWhichItIsNot has another one lowered for
// its former key, too.
func TestAClientThatWasLoweredItselfHasNoKeyWithWhichItIsNot(t *testing.T) {
	ctx := context.Background()
	other := host("other", keyC)
	inWorld(t, []Settings{other, host("b", keyA)}, func(w *world) {
		w.must(w.Disable(ctx, admin, "b"))
		w.reload([]Settings{other, host("b", keyB)})
		w.reload([]Settings{other, host("b", keyB), host("a", keyA)})
		w.must(w.Disable(ctx, admin, "a"))
		w.reload([]Settings{other, host("b", keyA)})
		w.reload([]Settings{other, host("b", keyB)})
		if secret, _ := w.fetch(keyB); secret.Len() > 0 {
			t.Error("it got its secret")
		}
	})
}

// TestAnothersKeyRenewsNoGrace exchanges the key of a host that is dead, again and again.
func TestAnothersKeyRenewsNoGrace(t *testing.T) {
	ctx := context.Background()
	a, b, c := host("a", keyA), host("b", keyB), host("c", keyC)
	inWorld(t, []Settings{a, b, c}, func(w *world) {
		w.pass(5 * time.Minute)
		w.must(w.Disable(ctx, admin, "a"))
		w.checks.behave(fail)
		for range 3 {
			w.must(w.CheckedOK(ctx, admin, "c"))
			w.reload([]Settings{host("b", keyA), c})
			w.reload([]Settings{b, c})
			w.pass(3 * time.Minute)
		}
		if secret, _ := w.fetch(keyB); secret.Len() > 0 {
			t.Error("it is valid after nine minutes without a sign of life")
		}
		if v := w.client("b"); v.DisabledBecause != GraceSpent || !v.Expires.IsZero() {
			t.Errorf("it is disabled because %q, and expires at %v", v.DisabledBecause, v.Expires)
		}
	})
}

// TestWhoIsDisabledSpendsNoGrace gives a client its own key again while its section
// disables it.
func TestWhoIsDisabledSpendsNoGrace(t *testing.T) {
	ctx := context.Background()
	b, c := host("b", keyB), host("c", keyC)
	off := b
	off.Enabled, off.EnabledOwn = false, true
	inWorld(t, []Settings{host("a", keyA), b, c}, func(w *world) {
		w.pass(5 * time.Minute)
		w.must(w.Disable(ctx, admin, "a"))
		w.reload([]Settings{host("b", keyA), c})
		w.reload([]Settings{off, c})
		w.must(w.Enable(ctx, admin, "b"))
		w.checks.behave(hang)
		w.restart(time.Hour, []Settings{off, c})
		if v := w.client("b"); !v.Enabled || time.Until(v.Expires) != v.Timeout {
			t.Errorf("after a restart it is enabled: %v, because %q, and expires at %v", v.Enabled, v.DisabledBecause, v.Expires)
		}
	})
}
