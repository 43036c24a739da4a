// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// lose is a hand-out that does not arrive.
func (w *world) lose(keyID string) Refusal {
	h, err := w.Release(context.Background(), Identity{RawPublicKey, keyID}, Origin{Address: somewhere})
	if refused, is := errors.AsType[*RefusedError](err); is {
		return refused.Refusal
	}
	w.must(err)
	h.NotReceived(errors.New("reset"))
	return ""
}

func TestHandoutLimit(t *testing.T) {
	ctx := context.Background()
	limited := host("a", keyA)
	limited.HandoutLimit, limited.Checker, limited.Interval, limited.Timeout = "2/PT1H", ":", 24*time.Hour, 1000*time.Hour
	answered := func(w *world, want Refusal) {
		w.t.Helper()
		if _, why := w.fetch(keyA); why != want {
			w.t.Errorf("it is answered %q, want %q", why, want)
		}
	}
	for sentence, do := range map[string]func(w *world){
		"so many, and no more": func(w *world) {
			answered(w, "")
			w.pass(10 * time.Minute)
			answered(w, "")
			answered(w, TooOften)
			if e := w.lastEvent(Rejected); e.Note != "handout_limit is 2/PT1H" {
				w.t.Errorf("told %+v", e)
			}
			rulings, err := w.Explain("a", Origin{})
			w.must(err)
			if r := Decisive(rulings); r.Rule != RuleLimit || !r.Until.Equal(w.wall().Add(50*time.Minute)) {
				w.t.Errorf("explained is %+v", r)
			}
			w.pass(50*time.Minute - time.Second)
			answered(w, TooOften)
			w.pass(time.Second)
			answered(w, "")
			answered(w, TooOften)
		},
		"no reload, restart, change of the limit or clock refills it": func(w *world) {
			answered(w, "")
			answered(w, "")
			w.reload([]Settings{limited})
			answered(w, TooOften)
			w.stepped.Store(int64(1000 * time.Hour))
			w.restart(10*time.Hour, []Settings{limited})
			answered(w, TooOften)
			w.must(w.Update(ctx, admin, "a", Update{PropHandoutLimit: ""}))
			w.must(w.Update(ctx, admin, "a", Update{PropHandoutLimit: "2/PT1H"}))
			answered(w, TooOften)
			renamed := limited
			renamed.Name = "renamed"
			w.reload([]Settings{renamed})
			answered(w, TooOften)
		},
		"what is lost on its way is forgiven three times": func(w *world) {
			for range maxLost {
				if why := w.lose(keyA); why != "" {
					w.t.Errorf("it is answered %q", why)
				}
			}
			answered(w, "")
			if why := w.lose(keyA); why != "" { // the fourth counts
				w.t.Errorf("it is answered %q", why)
			}
			answered(w, TooOften)
		},
		"several at once are no way around it": func(w *world) {
			var handouts []*Handout
			for range 4 {
				if h, err := w.Release(ctx, Identity{RawPublicKey, keyA}, Origin{Address: somewhere}); err == nil {
					handouts = append(handouts, h)
				}
			}
			if len(handouts) != 2 {
				w.t.Errorf("%d are handed out", len(handouts))
			}
			for _, h := range handouts {
				h.Received("")
			}
		},
		"on a full disk nothing is handed out, for it could not be counted": func(w *world) {
			w.disk.setFull(true)
			answered(w, NotRecorded)
			w.disk.setFull(false)
		},
		"other words are refused": func(w *world) {
			for text, want := range map[string]string{
				"3":      "write for example 3/PT1H",
				"x/PT1H": "write for example 3/PT1H",
				"0/PT1H": "it must be from 1 to 100",
				"3/PT0S": "it must be from 1s to 1d",
				"3/P2D":  "it must be from 1s to 1d",
				"3/soon": "the time of the handout_limit",
			} {
				if err := w.Update(ctx, admin, "a", Update{PropHandoutLimit: text}); !errors.Is(err, ErrBadSetting) || !strings.Contains(err.Error(), want) {
					w.t.Errorf("%q: %v", text, err)
				}
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) { inWorld(t, []Settings{limited}, do) })
	}
}

func TestGrants(t *testing.T) {
	ctx := context.Background()
	granted := host("a", keyA)
	granted.Handouts, granted.Checker, granted.Interval, granted.Timeout = handoutsGranted, ":", 24*time.Hour, 1000*time.Hour
	answered := func(w *world, want Refusal) {
		w.t.Helper()
		if _, why := w.fetch(keyA); why != want {
			w.t.Errorf("it is answered %q, want %q", why, want)
		}
	}
	for sentence, do := range map[string]func(w *world){
		"without one there is nothing": func(w *world) {
			answered(w, NotGranted)
			rulings, err := w.Explain("a", Origin{})
			w.must(err)
			if r := Decisive(rulings); r.Rule != RuleGrant || r.Remedy != ToAllow {
				w.t.Errorf("explained is %+v", r)
			}
		},
		"each is good for as many as it says": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 2, 0))
			if e := w.lastEvent(Allowed); e.By != admin || e.Note != "2 hand-outs" || e.Client.HandoutsAllowed != 2 || !e.Client.AllowedUntil.IsZero() {
				w.t.Errorf("told %+v", e)
			}
			answered(w, "")
			if e := w.lastEvent(SecretSent); e.Client.HandoutsAllowed != 1 {
				w.t.Errorf("told %+v", e)
			}
			answered(w, "")
			answered(w, NotGranted)
		},
		"no reload and no restart refills it": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 1, 0))
			w.reload([]Settings{granted})
			w.restart(time.Minute, []Settings{granted})
			answered(w, "")
			w.reload([]Settings{granted})
			answered(w, NotGranted)
			w.restart(time.Minute, []Settings{granted})
			answered(w, NotGranted)
		},
		"after a crash what may have been sent is used": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 1, 0))
			_, err := w.Release(ctx, Identity{RawPublicKey, keyA}, Origin{Address: somewhere})
			w.must(err)
			crashed := w.Registry
			w.disk = &disk{records: w.disk.copyOf()}
			w.begin([]Settings{granted})
			answered(w, NotGranted)
			w.must(crashed.Close(ctx))
		},
		"it ends with its time, whatever the clock says": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 1, 20*time.Minute))
			if e := w.lastEvent(Allowed); e.Note != "1 hand-out within 20m" || !e.Client.AllowedUntil.Equal(w.wall().Add(20*time.Minute)) {
				w.t.Errorf("told %+v", e)
			}
			w.stepped.Store(-int64(1000 * time.Hour))
			w.pass(20 * time.Minute)
			answered(w, NotGranted)
		},
		"the time that the server was down counts": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 1, 20*time.Minute))
			w.restart(30*time.Minute, []Settings{granted})
			answered(w, NotGranted)
		},
		"a lost connection does not strand a host, three times": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 1, 0))
			for range maxLost {
				if why := w.lose(keyA); why != "" {
					w.t.Errorf("it is answered %q", why)
				}
				if e := w.lastEvent(SecretNotReceived); e.Note != "its grant is given back" {
					w.t.Errorf("told %+v", e)
				}
			}
			w.restart(time.Minute, []Settings{granted})
			if why := w.lose(keyA); why != "" {
				w.t.Errorf("it is answered %q", why)
			}
			answered(w, NotGranted)
		},
		"two at once cannot use the same": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 1, 0))
			h, err := w.Release(ctx, Identity{RawPublicKey, keyA}, Origin{Address: somewhere})
			w.must(err)
			answered(w, NotGranted)
			h.Received("")
		},
		"the one that ends first is used first": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 1, 0))
			w.must(w.Allow(ctx, admin, "a", 1, time.Hour))
			answered(w, "")
			w.pass(2 * time.Hour)
			answered(w, "")
			answered(w, NotGranted)
		},
		"revoked is revoked": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 3, 0))
			w.must(w.Revoke(ctx, somebody, "a"))
			if e := w.lastEvent(Revoked); e.By != somebody || e.Client.HandoutsAllowed != 0 {
				w.t.Errorf("told %+v", e)
			}
			answered(w, NotGranted)
			w.signals()
			w.must(w.Revoke(ctx, admin, "a"))
			w.wantSignals()
		},
		"who is disabled has none, and gets none": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 3, 0))
			w.must(w.Disable(ctx, admin, "a"))
			if err := w.Allow(ctx, admin, "a", 1, 0); err == nil || !strings.Contains(err.Error(), "is disabled") {
				w.t.Errorf("granted to a disabled client: %v", err)
			}
			w.must(w.Enable(ctx, admin, "a"))
			answered(w, NotGranted)
		},
		"who is disabled while it is granted gets none": func(w *world) {
			w.disk.during(func() {
				go w.Disable(ctx, admin, "a")
				for w.enabled("a") {
					time.Sleep(time.Millisecond)
				}
			})
			if err := w.Allow(ctx, admin, "a", 1, 0); err == nil {
				w.t.Error("it is granted")
			}
			w.must(w.Enable(ctx, admin, "a"))
			answered(w, NotGranted)
		},
		"none is granted that cannot be saved": func(w *world) {
			w.disk.setFull(true)
			if err := w.Allow(ctx, admin, "a", 1, 0); !errors.Is(err, errFull) {
				w.t.Errorf("it is answered %v", err)
			}
			w.disk.setFull(false)
			answered(w, NotGranted)
		},
		"none is used that cannot be saved": func(w *world) {
			w.must(w.Allow(ctx, admin, "a", 1, 0))
			w.disk.setFull(true)
			answered(w, NotRecorded)
			w.disk.setFull(false)
			w.pass(2 * SaveDelay)
			answered(w, "")
		},
		"there are only so many": func(w *world) {
			for range maxGrants {
				w.must(w.Allow(ctx, admin, "a", 1, 0))
			}
			if err := w.Allow(ctx, admin, "a", 1, 0); err == nil || !strings.Contains(err.Error(), "that is enough") {
				w.t.Errorf("one more: %v", err)
			}
			for _, times := range []int{0, -1, maxTimes + 1} {
				if err := w.Allow(ctx, admin, "a", times, 0); !errors.Is(err, ErrBadSetting) {
					w.t.Errorf("%d times: %v", times, err)
				}
			}
			if err := w.Allow(ctx, admin, "nosuch", 1, 0); err == nil {
				w.t.Error("granted to nobody")
			}
		},
		"other words are refused": func(w *world) {
			if err := w.Update(ctx, admin, "a", Update{PropHandouts: "sometimes"}); !errors.Is(err, ErrBadSetting) || !strings.Contains(err.Error(), "the handouts must be free or granted") {
				w.t.Errorf("it is answered %v", err)
			}
			w.must(w.Update(ctx, admin, "a", Update{PropHandouts: handoutsFree}))
			answered(w, "")
		},
	} {
		t.Run(sentence, func(t *testing.T) { inWorld(t, []Settings{granted}, do) })
	}
}

func FuzzHandoutLimit(f *testing.F) {
	for _, seed := range []string{"3/PT1H", "3/1h", "/", "3/", "/PT1H", "99999999999999999999/PT1H"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseLimit(text)
		if err == nil && (got.times < 1 || got.times > maxTimes || got.within < time.Second || got.within > keepHanded) {
			t.Errorf("%q is %+v", text, got)
		}
	})
}
