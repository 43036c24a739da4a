// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
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
		"nothing against another key of the one that was denied with its own, and is gone": {do: func(w *world) {
			w.must(w.Approve(ctx, admin, "a", false))
			w.reload([]Settings{other, with(a, keyB)})
			w.must(w.Disable(ctx, admin, "a"))
			w.reload([]Settings{other, x})
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
				if v.Enabled || v.DisabledBecause != TimedOut || !v.DisabledSince.Equal(expires) {
					t.Errorf("enabled: %v, because %q since %v, want %v", v.Enabled, v.DisabledBecause, v.DisabledSince, expires)
				}
			})
		})
	}
}

func TestWhoseLifeANewSectionGoesOnWith(t *testing.T) {
	ctx := context.Background()
	a, other := host("a", keyA), host("other", keyC)
	named := func(name string) Settings {
		s := a
		s.Name = name
		return s
	}
	for sentence, c := range map[string]struct {
		former []Settings // one after the other; each is a new life
		with   int        // which of them; in their order
	}{
		"the only one":                          {[]Settings{named("b")}, 0},
		"the one that went last, first by name": {[]Settings{named("y"), named("b")}, 1},
		"the one that went last, last by name":  {[]Settings{named("b"), named("y")}, 1},
		"the one that went last, in the middle": {[]Settings{named("y"), named("b"), named("k")}, 2},
	} {
		for _, stands := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, its section stands: %v", sentence, stands), func(t *testing.T) {
				inWorld(t, []Settings{other}, func(w *world) {
					records := w.disk.all()
					for i, s := range c.former {
						w.pass(time.Minute)
						record := newRecord(s, w.wall())
						if !stands || i != len(c.former)-1 {
							record.Gone = w.wall()
						}
						records = append(records, record)
					}
					configured := []Settings{other, named("new")}
					if stands {
						configured = append(configured, c.former[len(c.former)-1])
					}
					want := records[1+c.with].Created
					for range 2 { // in either order
						next := newSuccession(configured, records, w.wall(), nil)
						if got := next.heirs[1]; !got.goesOn || !got.Created.Equal(want) {
							t.Errorf("it goes on: %v, created at %v, want %v", got.goesOn, got.Created, want)
						}
						slices.Reverse(records)
					}
				})
			})
		}
	}
	inWorld(t, []Settings{other}, func(w *world) {
		w.pass(time.Minute)
		w.must(w.Disable(ctx, admin, "other"))
		w.reload([]Settings{other, a})
		if v := w.client("a"); !v.Created.Equal(w.wall()) {
			t.Errorf("one with a key that nobody had goes on with the life since %v", v.Created)
		}
		w.must(w.Disable(ctx, admin, "a"))
		another := a
		another.KeyID = keyB
		w.reload([]Settings{other, another})
		w.pass(time.Minute)
		w.reload([]Settings{other, another, named("x")})
		if v := w.client("x"); v.Enabled || !v.Created.Equal(w.wall()) {
			t.Errorf("one with the key that another had once is enabled: %v, and goes on with the life since %v", v.Enabled, v.Created)
		}
	})
}

// TestTheFirstTimes has the first check of every client in the middle of the time in
// which it may come.
func TestTheFirstTimes(t *testing.T) {
	rare, other := host("rare", keyA), host("other", keyC)
	rare.Interval, rare.Timeout, rare.ExtendedTimeout = 10*time.Minute, time.Minute, 2*time.Minute
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, disk: &disk{records: make(map[string]Record)}, checks: &checks{run: fail}}
		w.begin([]Settings{other})
		defer func() { w.shutDown() }()
		w.reload([]Settings{other, rare})
		start := w.wall()
		w.pass(2 * SaveDelay)
		if v := w.client("rare"); !v.Expires.Equal(start.Add(15*time.Minute)) || !w.saved("rare").Expires.Equal(v.Expires) {
			t.Errorf("a new client expires after %v, saved is %v", v.Expires.Sub(start), w.saved("rare").Expires.Sub(start))
		}
		if v := w.client("other"); !v.Expires.Equal(start.Add(5 * time.Minute)) {
			t.Errorf("one that is checked often expires after %v", v.Expires.Sub(start))
		}

		w.checks.behave(succeed)
		w.must(w.StartChecker(context.Background(), "other"))
		w.pass(time.Second)
		if _, why := w.fetch(keyC); why != "" {
			t.Fatal(why)
		}
		w.checks.behave(fail)
		expires := w.client("other").Expires
		w.restart(time.Minute, []Settings{other})
		if v := w.client("other"); !v.Expires.Equal(expires) || v.GraceSpent {
			t.Errorf("an extended timeout was made another, by %v, grace: %v", v.Expires.Sub(expires), v.GraceSpent)
		}
		before := w.checks.count()
		w.pass(time.Minute - 1)
		if n := w.checks.count() - before; n != 0 {
			t.Errorf("after a restart it is checked %d times before half an interval", n)
		}
		w.pass(1)
		if n := w.checks.count() - before; n != 1 {
			t.Errorf("after a restart it is checked %d times after half an interval", n)
		}
	})
	if d := New(nil, nil).randomUpTo(0); d != 0 {
		t.Errorf("of no time the random part is %v", d)
	}
}

func TestAClientThatExpiredWhileTheServerWasDownIsLeftAlone(t *testing.T) {
	same := []Settings{host("a", keyA)}
	for why, before := range map[Reason]func(w *world){
		NeverCheckedOK:  func(w *world) { w.checks.behave(hang) },
		CheckFailedLast: func(w *world) { w.pass(2 * time.Minute); w.checks.behave(fail); w.pass(2 * time.Minute) },
		GraceSpent:      func(w *world) { w.pass(2 * time.Minute); w.checks.behave(hang); w.restart(0, same) },
	} {
		t.Run(string(why), func(t *testing.T) {
			inWorld(t, same, func(w *world) {
				before(w)
				w.restart(time.Hour, same)
				checks, since := w.checks.count(), w.wall()
				w.pass(time.Hour)
				v := w.client("a")
				if v.Enabled || v.DisabledBecause != why || !v.DisabledSince.Equal(since) || !v.Expires.IsZero() {
					t.Errorf("it is %+v", v.State)
				}
				if e := w.saved("a").Life.Expiry; e == nil || e.Reason != why || !e.At.Equal(since) {
					t.Errorf("saved is %+v", e)
				}
				if n := w.checks.count() - checks; n != 0 {
					t.Errorf("it was checked %d times", n)
				}
			})
		})
	}
}

func TestADenialThatComesWithAKeyIsInForce(t *testing.T) {
	ctx := context.Background()
	a, x, other := host("a", keyA), host("x", keyB), host("other", keyC)
	a.ApprovalDuration, x.ApprovalDelay = time.Hour, time.Minute
	heir := x
	heir.KeyID = keyA
	inWorld(t, []Settings{other, a, x}, func(w *world) {
		w.must(w.Approve(ctx, admin, "a", false))
		w.reload([]Settings{other, heir})
		w.pass(time.Hour - 1)
		if _, why := w.fetch(keyA); why != WasDenied {
			t.Errorf("before its end: %q", why)
		}
		w.pass(1)
		if v := w.client("x"); !v.DeniedUntil.IsZero() {
			t.Errorf("after its end it is denied until %v", v.DeniedUntil)
		}
		w.want(w.fetchInBackground(ctx, keyA), "waiting")
	})
}

func TestADenialOverARestart(t *testing.T) {
	ctx := context.Background()
	a := host("a", keyA)
	a.ApprovalDuration = time.Hour
	shorter := a
	shorter.ApprovalDuration = time.Second
	for sentence, c := range map[string]struct {
		then    Settings
		stepped time.Duration
		left    time.Duration
	}{
		"it has its rest":                            {a, 0, 50 * time.Minute},
		"whatever is set by then":                    {shorter, 0, 50 * time.Minute},
		"not more than its whole, with a clock back": {a, -365 * 24 * time.Hour, time.Hour},
		"nor with a setting for later ones":          {shorter, -365 * 24 * time.Hour, time.Hour},
		"it is over with a clock that was put on":    {a, 24 * time.Hour, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{a}, func(w *world) {
				w.pass(2 * time.Minute)
				w.must(w.Approve(ctx, admin, "a", false))
				w.shutDown()
				time.Sleep(10 * time.Minute)
				w.stepped.Store(int64(c.stepped))
				w.begin([]Settings{c.then})
				if c.left > 0 {
					w.pass(c.left - 1)
					if _, why := w.fetch(keyA); why != WasDenied {
						t.Errorf("before its end: %q", why)
					}
					w.pass(1)
				}
				if v := w.client("a"); !v.DeniedUntil.IsZero() {
					t.Errorf("after its end it is denied until %v", v.DeniedUntil)
				}
				if _, why := w.fetch(keyA); why != "" {
					t.Errorf("after its end: %q", why)
				}
			})
		})
	}
}

func TestADenialOutlastsARemoval(t *testing.T) {
	ctx := context.Background()
	a := host("a", keyA)
	a.ApprovalDuration = time.Hour
	inWorld(t, []Settings{a}, func(w *world) {
		w.must(w.Approve(ctx, admin, "a", false))
		w.must(w.Remove(ctx, admin, "a"))
		w.must(w.Enable(ctx, admin, "a"))
		if _, why := w.fetch(keyA); why != WasDenied {
			t.Errorf("it is refused for %q", why)
		}
	})
}

func TestAClientThatBeginsDisabledIsNotChecked(t *testing.T) {
	off := host("off", keyA)
	off.Enabled = false
	inWorld(t, []Settings{off}, func(w *world) {
		w.pass(time.Hour)
		if v := w.client("off"); v.Enabled || !v.Expires.IsZero() || w.checks.count() != 0 {
			t.Errorf("it was checked %d times, and is %+v", w.checks.count(), v.State)
		}
	})
}

func TestASectionThatGetsTheKeyOfARemovedClientIsAway(t *testing.T) {
	ctx := context.Background()
	a, b, other := host("a", keyA), host("b", keyB), host("other", keyC)
	heir := a
	heir.KeyID = keyB
	for way, come := range ways {
		t.Run(way, func(t *testing.T) {
			inWorld(t, []Settings{other, a, b}, func(w *world) {
				w.pass(2 * time.Minute)
				w.must(w.Remove(ctx, admin, "b"))
				come(w, []Settings{other, heir})
				if v, ok := w.Client("a"); ok {
					t.Errorf("it is there: %+v", v)
				}
				if absent := w.Absent(); len(absent) != 2 || absent[0].Name != "a" || absent[0].Because != RemovedByAdministrator {
					t.Errorf("absent are %+v", absent)
				}
				w.must(w.Enable(ctx, admin, "a"))
				if secret, why := w.fetch(keyB); secret != heir.Secret {
					t.Errorf("enabled by a person it is refused for %q", why)
				}
			})
		})
	}
}

func TestAStartForgetsTheHealthyThatAreTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, disk: &disk{records: make(map[string]Record)}, checks: &checks{run: succeed}}
		for i := range maxGone + 2 {
			record := newRecord(host(fmt.Sprintf("h%05d", i), fmt.Sprintf("%064X", i)), time.Now())
			record.LastCheckerStatus, record.Gone = 0, time.Now().Add(time.Duration(i)*time.Second)
			w.disk.records[record.Name] = record
		}
		w.begin([]Settings{host("stays", keyC)})
		defer func() { w.shutDown() }()
		told := w.tellings()
		w.pass(2 * SaveDelay)
		if all := w.disk.all(); len(all) != maxGone+1 {
			t.Errorf("%d are saved", len(all))
		}
		for _, name := range []string{"h00000", "h00001"} {
			if record, ok := w.disk.get(name); ok {
				t.Errorf("one that went first is kept: %+v", record)
			}
		}
		if want := []string{"forgotten h00000 by server", "forgotten h00001 by server"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}
