// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"testing"
	"time"
)

// TestWhatASectionInherits has sections with keys that others have or had.
func TestWhatASectionInherits(t *testing.T) {
	ctx := context.Background()
	a, x, other := host("a", keyA), host("x", keyA), host("other", keyC)
	a.ApprovalDuration = time.Hour
	with := func(s Settings, keyID string) Settings {
		s.KeyID = keyID
		return s
	}
	for sentence, c := range map[string]struct {
		do      func(w *world)
		enabled bool // of x
		denied  time.Duration
	}{
		"no disablement of another section that stands": {do: func(w *world) {
			w.reload([]Settings{other, a, x})
			w.must(w.Disable(ctx, admin, "a"))
			w.reload([]Settings{other, a, x})
		}, enabled: true},
		"nothing against another key of the one that was denied with its own": {do: func(w *world) {
			w.must(w.Approve(ctx, admin, "a", false))
			w.reload([]Settings{other, with(a, keyB)})
			w.must(w.Disable(ctx, admin, "a"))
			w.reload([]Settings{other, with(a, keyB), x})
		}, enabled: true, denied: time.Hour},
		"what another section with its key was lowered for with a former one": {do: func(w *world) {
			w.reload([]Settings{other, with(a, keyB)})
			w.must(w.Disable(ctx, admin, "a"))
			w.reload([]Settings{other, a})
			w.reload([]Settings{other, a, x})
		}},
		"no denial of another section that stands": {do: func(w *world) {
			w.reload([]Settings{other, a, x})
			w.must(w.Approve(ctx, admin, "a", false))
			w.reload([]Settings{other, a, x})
		}, enabled: true},
		"no denial of another key of the one that was disabled with its own": {do: func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.reload([]Settings{other, with(a, keyB)})
			w.must(w.Approve(ctx, admin, "a", false))
			w.reload([]Settings{other, with(a, keyB), x})
		}},
		"no denial that is shorter than its own": {do: func(w *world) {
			longer := with(x, keyB)
			longer.ApprovalDuration = 2 * time.Hour
			w.reload([]Settings{other, a, longer})
			w.must(w.Approve(ctx, admin, "x", false))
			w.must(w.Approve(ctx, admin, "a", false))
			w.reload([]Settings{other, a, with(longer, keyA)})
		}, enabled: true, denied: 2 * time.Hour},
		"no enablement of another section that stands": {do: func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.reload([]Settings{other, a, x})
			w.must(w.Enable(ctx, admin, "a"))
			w.reload([]Settings{other, a, x})
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{other, a}, func(w *world) {
				w.pass(2 * time.Minute)
				denied := w.wall().Add(c.denied)
				if c.denied == 0 {
					denied = time.Time{}
				}
				c.do(w)
				if v := w.client("x"); v.Enabled != c.enabled || !v.DeniedUntil.Equal(denied) {
					t.Errorf("enabled: %v, denied until %v, want %v", v.Enabled, v.DeniedUntil, denied)
				}
			})
		})
	}
}

func TestAClientThatWasNeverEnabledShowsNoTimeOfThat(t *testing.T) {
	a, off := host("a", keyA), host("off", keyB)
	off.Enabled = false
	inWorld(t, []Settings{a, off}, func(w *world) {
		start := w.wall()
		w.must(w.Disable(context.Background(), admin, "a"))
		w.pass(time.Second)
		w.restart(time.Second, []Settings{a, off})
		for name, want := range map[string]time.Time{"a": start, "off": {}} {
			if v := w.client(name); v.Enabled || !v.LastEnabled.Equal(want) {
				t.Errorf("%s, enabled: %v, was so last at %v, want %v", name, v.Enabled, v.LastEnabled, want)
			}
		}
	})
}

func TestAnExpiryWhileASectionWasGoneIsTheOneThatItHadThen(t *testing.T) {
	a, other := host("a", keyA), host("other", keyC)
	longer := a
	longer.Timeout = 24 * time.Hour
	for way, come := range ways {
		t.Run(way, func(t *testing.T) {
			inWorld(t, []Settings{a, other}, func(w *world) {
				w.pass(2 * time.Minute)
				w.checks.behave(fail)
				w.pass(3 * time.Minute)
				expires := w.client("a").Expires
				w.reload([]Settings{other})
				w.pass(time.Hour)
				w.checks.behave(succeed)
				w.signals()
				come(w, []Settings{longer, other})
				v := w.client("a")
				if v.Enabled || v.DisabledBecause != KindExpired || !v.DisabledSince.Equal(expires) {
					t.Errorf("enabled: %v, because %q since %v, want %v", v.Enabled, v.DisabledBecause, v.DisabledSince, expires)
				}
			})
		})
	}
}
