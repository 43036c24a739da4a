// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPlannedAbsence(t *testing.T) {
	ctx := context.Background()
	clients := []Settings{host("a", keyA), host("b", keyB)}
	expect := func(w *world, d time.Duration) {
		w.t.Helper()
		w.must(w.Expect(ctx, admin, "a", d, "new firmware"))
	}
	wants := func(w *world, enabled, planned bool) {
		w.t.Helper()
		v := w.client("a")
		if v.Enabled != enabled || v.AbsenceUntil.IsZero() == planned || (v.Absence.ID != "") != planned {
			w.t.Errorf("enabled %v, planned away until %v: %+v", v.Enabled, v.AbsenceUntil, v.Absence)
		}
	}
	away := func(w *world) { w.checks.behave(fail) }
	back := func(w *world) { w.checks.behave(succeed) }
	for sentence, do := range map[string]func(w *world){
		"who is away as planned does not expire, and gets its secret": func(w *world) {
			expect(w, time.Hour)
			away(w)
			w.pass(time.Hour - time.Second)
			wants(w, true, true)
			if secret, _ := w.fetch(keyA); secret.Len() == 0 {
				w.t.Error("it got nothing")
			}
			if w.enabled("b") {
				w.t.Error("another one did not expire")
			}
			if e := w.lastEvent(AbsencePlanned); e.By != admin || e.Note != "new firmware" || len(e.Client.Absence.ID) != 32 {
				w.t.Errorf("told %+v", e)
			}
		},
		"who is not back in time expires, and the end is told first": func(w *world) {
			expect(w, time.Hour)
			away(w)
			w.pass(time.Hour - time.Second)
			w.signals()
			w.pass(time.Second)
			wants(w, false, false)
			if e := w.lastEvent(AbsenceOver); e.By != ByItself {
				w.t.Errorf("told %+v", e)
			}
			if e := w.lastEvent(Disabled); e.By != ByItself || e.Reason != TimedOut {
				w.t.Errorf("told %+v", e)
			}
			w.wantSignals("AbsenceUntil", "Expires", "absence-over", "Expires", "Enabled", "disabled")
		},
		"checks that succeed before it has gone down end nothing": func(w *world) {
			expect(w, time.Hour)
			w.pass(20 * time.Minute)
			wants(w, true, true)
			away(w)
			w.pass(39 * time.Minute)
			wants(w, true, true)
		},
		"the first good check after a failed one ends it, and the timeout counts again": func(w *world) {
			expect(w, time.Hour)
			away(w)
			w.pass(20 * time.Minute)
			back(w)
			w.pass(2 * time.Minute)
			wants(w, true, false)
			if e := w.lastEvent(CameBack); e.Client.Name != "a" {
				w.t.Errorf("told %+v", e)
			}
			away(w)
			w.pass(5*time.Minute + time.Second)
			wants(w, false, false)
		},
		"a good check after a hand-out ends it": func(w *world) {
			expect(w, time.Hour)
			w.fetch(keyA)
			wants(w, true, true)
			w.pass(2 * time.Minute)
			wants(w, true, false)
			w.lastEvent(CameBack)
		},
		"so does one after a hand-out that did not arrive, for the host boots": func(w *world) {
			expect(w, time.Hour)
			h, err := w.Release(ctx, Identity{RawPublicKey, keyA}, Origin{Address: somewhere})
			w.must(err)
			h.NotReceived(errors.New("connection reset"))
			w.pass(2 * time.Minute)
			wants(w, true, false)
		},
		"one who is refused ends nothing": func(w *world) {
			expect(w, time.Hour)
			w.must(w.LockDown(ctx, admin, "", 0))
			w.fetch(keyA)
			w.pass(2 * time.Minute)
			wants(w, true, true)
		},
		"a person's word is as good as a check": func(w *world) {
			expect(w, time.Hour)
			w.must(w.CheckedOK(ctx, admin, "a"))
			wants(w, true, true)
			away(w)
			w.pass(3 * time.Minute)
			w.must(w.CheckedOK(ctx, admin, "a"))
			wants(w, true, false)
		},
		"who is away already has only to come back": func(w *world) {
			away(w)
			w.pass(2*time.Minute + time.Second)
			expect(w, time.Hour)
			back(w)
			w.pass(2 * time.Minute)
			wants(w, true, false)
		},
		"a checker that crashes says nothing of the host": func(w *world) {
			expect(w, time.Hour)
			w.checks.behave(unstartable)
			w.pass(3 * time.Minute)
			back(w)
			w.pass(2 * time.Minute)
			wants(w, true, true)
		},
		"one who never left is told of at the end, and stays": func(w *world) {
			expect(w, time.Hour)
			w.pass(time.Hour)
			wants(w, true, false)
			w.lastEvent(AbsenceOver)
			if left := time.Until(w.client("a").Expires); left <= 0 || left > 5*time.Minute {
				w.t.Errorf("%v are left", left)
			}
		},
		"it is when it expires, unless it would later": func(w *world) {
			expect(w, time.Hour)
			if v := w.client("a"); !v.Expires.Equal(v.AbsenceUntil) || time.Until(v.Expires) != time.Hour {
				w.t.Errorf("expires %v, away until %v", v.Expires, v.AbsenceUntil)
			}
			expect(w, time.Minute)
			if v := w.client("a"); time.Until(v.Expires) <= time.Minute || time.Until(v.AbsenceUntil) != time.Minute {
				w.t.Errorf("expires %v, away until %v", v.Expires, v.AbsenceUntil)
			}
		},
		"another takes its place": func(w *world) {
			expect(w, 10*time.Hour)
			first := w.client("a").Absence
			expect(w, time.Hour)
			if second := w.client("a").Absence; second.ID == first.ID {
				w.t.Errorf("first %+v, then %+v", first, second)
			}
			away(w)
			w.pass(time.Hour)
			wants(w, false, false)
		},
		"ended early, it counts as never planned": func(w *world) {
			expect(w, time.Hour)
			w.must(w.EndAbsence(ctx, somebody, "a"))
			wants(w, true, false)
			if e := w.lastEvent(AbsenceOver); e.By != somebody {
				w.t.Errorf("told %+v", e)
			}
			away(w)
			expect(w, time.Hour)
			w.pass(20 * time.Minute)
			w.must(w.EndAbsence(ctx, somebody, "a"))
			wants(w, false, false)
			if e := w.lastEvent(Disabled); e.By != somebody || e.Reason != TimedOut {
				w.t.Errorf("told %+v", e)
			}
			if record, _ := w.disk.get("a"); record.Enabled || record.Absence.ID != "" {
				w.t.Errorf("saved is %+v", record.State)
			}
		},
		"to end one that is not planned does nothing": func(w *world) {
			w.signals()
			w.must(w.EndAbsence(ctx, admin, "a"))
			w.wantSignals()
		},
		"it ends with the client's validity, and enables nobody": func(w *world) {
			expect(w, time.Hour)
			w.signals()
			w.must(w.Disable(ctx, admin, "a"))
			wants(w, false, false)
			w.wantSignals("Expires", "AbsenceUntil", "Enabled", "disabled")
			if err := w.Expect(ctx, admin, "a", time.Hour, ""); !errors.As(err, new(*NotEnabledError)) {
				w.t.Errorf("a disabled client: %v", err)
			}
			wants(w, false, false)
			w.must(w.Enable(ctx, admin, "a"))
			wants(w, true, false)
		},
		"who is disabled while it is saved stays disabled": func(w *world) {
			w.disk.during(func() { go w.Disable(ctx, somebody, "a"); time.Sleep(time.Second) })
			if err := w.Expect(ctx, admin, "a", time.Hour, ""); !errors.As(err, new(*NotEnabledError)) {
				w.t.Errorf("answered %v", err)
			}
			w.pass(time.Second)
			wants(w, false, false)
			w.restart(time.Minute, clients)
			wants(w, false, false)
		},
		"nothing is planned that cannot be saved": func(w *world) {
			w.disk.setFull(true)
			if w.Expect(ctx, admin, "a", time.Hour, "") == nil {
				w.t.Error("no error")
			}
			w.disk.setFull(false)
			wants(w, true, false)
		},
		"no clock ends or stretches it, and it counts only while the server runs": func(w *world) {
			away(w)
			expect(w, time.Hour)
			w.stepped.Store(int64(-1000 * time.Hour))
			w.pass(30 * time.Minute)
			wants(w, true, true)
			before := w.client("a").Absence
			w.stepped.Store(int64(1000 * time.Hour))
			w.restart(10*time.Hour, clients)
			wants(w, true, true)
			if after := w.client("a").Absence; after.ID != before.ID || after.By != before.By || after.Why != before.Why || !after.Begun {
				w.t.Errorf("it was %+v and is %+v", before, after)
			}
			w.pass(30*time.Minute - time.Second)
			wants(w, true, true)
			w.pass(time.Second)
			wants(w, false, false)
		},
		"over a restart the first good check ends it as well": func(w *world) {
			away(w)
			expect(w, time.Hour)
			w.pass(20 * time.Minute)
			w.restart(time.Minute, clients)
			back(w)
			w.pass(2 * time.Minute)
			wants(w, true, false)
		},
		"a crash takes at most a minute off what has passed": func(w *world) {
			expect(w, time.Hour)
			w.checks.behave(hang)
			w.pass(30*time.Minute + SaveDelay)
			record, _ := w.disk.get("a")
			if left := record.Absence.Left; left > 31*time.Minute || left < 29*time.Minute {
				w.t.Errorf("saved is that %v are left", left)
			}
		},
		"a shorter timeout does not end it": func(w *world) {
			away(w)
			expect(w, time.Hour)
			w.pass(20 * time.Minute)
			w.must(w.Update(ctx, admin, "a", Update{PropTimeout: time.Minute}))
			wants(w, true, true)
			w.pass(40 * time.Minute)
			wants(w, false, false)
		},
		"a section that comes under another name takes it along": func(w *world) {
			away(w)
			expect(w, time.Hour)
			w.pass(20 * time.Minute)
			w.reload([]Settings{host("c", keyA), clients[1]})
			if v := w.client("c"); !v.Enabled || v.Absence.Why != "new firmware" || time.Until(v.AbsenceUntil) != 40*time.Minute {
				w.t.Errorf("it is %+v", v.State)
			}
			w.pass(40 * time.Minute)
			if w.enabled("c") {
				w.t.Error("it has not expired")
			}
		},
		"of one that is gone it is planned no more": func(w *world) {
			away(w)
			expect(w, 10*time.Hour)
			w.pass(20 * time.Minute)
			w.must(w.CheckedOK(ctx, admin, "b"))
			w.reload(clients[1:])
			w.pass(2 * time.Minute)
			w.reload(clients)
			v := w.client("a")
			if !v.Enabled || v.Absence.ID != "" || time.Until(v.Expires) > v.ExtendedTimeout {
				w.t.Errorf("it is %+v", v.State)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, clients, do)
		})
	}
}

func TestWhatNobodyCanPlan(t *testing.T) {
	ctx := context.Background()
	inWorld(t, []Settings{host("a", keyA)}, func(w *world) {
		for sentence, c := range map[string]struct {
			d   time.Duration
			why string
		}{
			"no time at all":       {0, ""},
			"less than no time":    {-time.Hour, ""},
			"more than a week":     {MaxAbsence + time.Millisecond, ""},
			"two lines":            {time.Hour, "a\nb"},
			"more than a sentence": {time.Hour, strings.Repeat("a", maxWhy+1)},
		} {
			if err := w.Expect(ctx, admin, "a", c.d, c.why); !errors.Is(err, ErrBadSetting) {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		if err := w.Expect(ctx, admin, "nosuch", time.Hour, ""); !errors.As(err, new(*NoClientError)) {
			t.Errorf("nobody: %v", err)
		}
		w.must(w.Expect(ctx, admin, "a", MaxAbsence, ""))
	})
}
