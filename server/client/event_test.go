// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// tellings are what was told at this moment: what happened to whom, by whom and why.
func (w *world) tellings() (all []string) {
	synctest.Wait()
	w.toldMu.Lock()
	defer w.toldMu.Unlock()
	for _, e := range w.told {
		if !e.Time.Equal(w.wall()) {
			w.t.Errorf("%s is told as of %v, not %v", e.Kind, e.Time, w.wall())
		}
		text := fmt.Sprintf("%s %s", e.Kind, e.Client.Name)
		if e.By != (Actor{}) {
			text += " by " + e.By.String()
		}
		if e.Reason != "" {
			text += ", " + string(e.Reason)
		}
		if e.Refusal != "" {
			text += ", refused: " + string(e.Refusal)
		}
		if e.Command != "" {
			text += ": " + e.Command
		}
		all = append(all, text)
	}
	w.told = nil
	return all
}

func TestWhatIsToldOfWhomAndWhoDidIt(t *testing.T) {
	ctx := context.Background()
	a, b, other := host("a", keyA), host("b", keyB), host("other", keyC)
	change := func(s Settings, change func(*Settings)) Settings {
		change(&s)
		return s
	}
	off := change(a, func(s *Settings) { s.Enabled, s.EnabledOwn = false, true })
	on := change(a, func(s *Settings) { s.EnabledOwn = true })
	for sentence, c := range map[string]struct {
		before, do func(w *world)
		want       []string
	}{
		"a section that is gone": {nil, func(w *world) { w.reload([]Settings{other}) },
			[]string{"removed a by configuration, configuration"}},
		"a section that is new": {nil, func(w *world) { w.reload([]Settings{other, a, b}) },
			[]string{"added b by configuration"}},
		"a section that is back": {func(w *world) { w.reload([]Settings{other}) }, func(w *world) { w.reload([]Settings{other, a}) },
			[]string{"added a by configuration"}},
		"a section that is back with enabled = no": {func(w *world) { w.reload([]Settings{other}) }, func(w *world) { w.reload([]Settings{other, off}) },
			[]string{"added a by configuration", "disabled a by configuration, configuration"}},
		"a section that is back, whose time was over by then": {func(w *world) {
			w.checks.behave(fail)
			w.pass(3 * time.Minute)
			w.reload([]Settings{other})
			w.pass(time.Hour)
		}, func(w *world) { w.reload([]Settings{other, a}) }, []string{"added a by configuration"}},
		"a section that has got the key of one that was removed": {
			func(w *world) { w.reload([]Settings{other, a, b}); w.must(w.Remove(ctx, admin, "b")) },
			func(w *world) { w.reload([]Settings{other, change(a, func(s *Settings) { s.KeyID = keyB })}) },
			[]string{"removed a by configuration, removed"}},
		"enabled = no": {nil, func(w *world) { w.reload([]Settings{other, off}) },
			[]string{"disabled a by configuration, configuration"}},
		"enabled = yes after that": {func(w *world) { w.reload([]Settings{other, off}) }, func(w *world) { w.reload([]Settings{other, on}) },
			[]string{"enabled a by configuration"}},
		"another setting": {nil, func(w *world) { w.reload([]Settings{other, change(a, func(s *Settings) { s.Host = "elsewhere" })}) },
			[]string{"changed a by configuration"}},
		"a person who disables":            {nil, func(w *world) { w.must(w.Disable(ctx, admin, "a")) }, []string{"disabled a by uid 0, pid 4711, administrator"}},
		"a person who enables":             {func(w *world) { w.must(w.Disable(ctx, admin, "a")) }, func(w *world) { w.must(w.Enable(ctx, admin, "a")) }, []string{"enabled a by uid 0, pid 4711"}},
		"a person who removes":             {nil, func(w *world) { w.must(w.Remove(ctx, admin, "a")) }, []string{"removed a by uid 0, pid 4711, administrator"}},
		"a person who brings one back":     {func(w *world) { w.must(w.Remove(ctx, admin, "a")) }, func(w *world) { w.must(w.Enable(ctx, admin, "a")) }, []string{"added a by uid 0, pid 4711", "enabled a by uid 0, pid 4711"}},
		"a person who forgets":             {func(w *world) { w.reload([]Settings{other}) }, func(w *world) { w.must(w.Forget(ctx, admin, "a")) }, []string{"forgotten a by uid 0, pid 4711"}},
		"a person who vouches":             {nil, func(w *world) { w.must(w.CheckedOK(ctx, admin, "a")) }, []string{"vouched a by uid 0, pid 4711"}},
		"a person who approves":            {nil, func(w *world) { w.must(w.Approve(ctx, admin, "a", true)) }, []string{"approved a by uid 0, pid 4711"}},
		"a person who denies":              {nil, func(w *world) { w.must(w.Approve(ctx, admin, "a", false)) }, []string{"denied a by uid 0, pid 4711"}},
		"a person who makes its time over": {nil, func(w *world) { none := time.Duration(0); w.must(w.Update(ctx, admin, "a", Update{PropTimeout: none})) }, []string{"changed a by uid 0, pid 4711", "disabled a by uid 0, pid 4711, expired"}},
		"a person who stops its checker": {func(w *world) { w.checks.behave(hang); w.must(w.StartChecker(ctx, "a")) },
			func(w *world) { w.must(w.StopChecker(ctx, admin, "a")) }, []string{"checker-stopped a by uid 0, pid 4711"}},
		"a checker that runs": {func(w *world) { w.checks.behave(hang) }, func(w *world) { w.must(w.StartChecker(ctx, "a")) },
			[]string{"checker-started a: fping -q -- a.example.org"}},
		"a checker that has ended": {nil, func(w *world) { w.must(w.StartChecker(ctx, "a")) },
			[]string{"checker-started a: fping -q -- a.example.org", "checker-completed a: fping -q -- a.example.org"}},
		"a checker that could not be started": {func(w *world) { w.checks.behave(unstartable) }, func(w *world) { w.must(w.StartChecker(ctx, "a")) },
			[]string{"checker-started a: fping -q -- a.example.org", "checker-not-started a: fping -q -- a.example.org"}},
		"a person who stops none": {nil, func(w *world) { w.must(w.StopChecker(ctx, admin, "a")) }, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{other, a}, func(w *world) {
				w.pass(3*time.Minute + time.Second)
				if c.before != nil {
					c.before(w)
				}
				w.signals()
				c.do(w)
				if got := w.tellings(); !slices.Equal(got, c.want) {
					t.Errorf("told\n%q, want\n%q", got, c.want)
				}
			})
		})
	}
}

func TestWhatIsShownOfAClientThatWasDisabledAndEnabled(t *testing.T) {
	ctx := context.Background()
	inWorld(t, []Settings{host("a", keyA)}, func(w *world) {
		w.pass(time.Minute)
		w.must(w.Disable(ctx, admin, "a"))
		longer := time.Hour
		w.must(w.Update(ctx, admin, "a", Update{PropTimeout: longer}))
		for what, s := range map[string]State{"shown": w.client("a").State, "saved": w.saved("a").State} {
			if !s.Expires.IsZero() || s.DisabledBecause != ByAdministrator || s.DisabledBy != admin || !s.DisabledSince.Equal(w.wall()) {
				t.Errorf("disabled, it is %s as %+v", what, s)
			}
		}
		w.pass(time.Minute)
		w.must(w.Enable(ctx, admin, "a"))
		for what, s := range map[string]State{"shown": w.client("a").State, "saved": w.saved("a").State} {
			if !s.LastEnabled.Equal(w.wall()) || !s.DisabledSince.IsZero() || s.DisabledBecause != "" || s.DisabledBy != (Actor{}) {
				t.Errorf("enabled, it is %s as %+v", what, s)
			}
		}
		w.checks.behave(fail)
		w.pass(time.Hour)
		if v := w.client("a"); v.DisabledBecause != TimedOut || v.DisabledBy != ByItself {
			t.Errorf("expired, it is shown as %+v", v.State)
		}
	})
}

// saved is what is on disk of a client.
func (w *world) saved(name string) Record {
	w.t.Helper()
	record, ok := w.disk.get(name)
	if !ok {
		w.t.Fatalf("nothing is saved of %s", name)
	}
	return record
}

func TestWhichPropertiesAPersonChanges(t *testing.T) {
	ctx := context.Background()
	a := host("a", keyA)
	name, longer := "192.0.2.7", time.Hour
	for sentence, c := range map[string]struct {
		do   func(w *world) error
		want []string
	}{
		"a host":                 {func(w *world) error { return w.Update(ctx, admin, "a", Update{PropHost: name}) }, []string{"Host", "changed"}},
		"a host that it has":     {func(w *world) error { return w.Update(ctx, admin, "a", Update{PropHost: a.Host}) }, nil},
		"a timeout":              {func(w *world) error { return w.Update(ctx, admin, "a", Update{PropTimeout: longer}) }, []string{"Timeout", "Expires", "changed"}},
		"an interval":            {func(w *world) error { return w.Update(ctx, admin, "a", Update{PropInterval: longer}) }, []string{"Interval", "changed"}},
		"a checker is stopped":   {func(w *world) error { return w.StopChecker(ctx, admin, "a") }, []string{"CheckerRunning", "checker-stopped"}},
		"a denial is taken back": {func(w *world) error { return w.Approve(ctx, admin, "a", true) }, []string{"DeniedUntil", "ApprovedUntil", "approved"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{a}, func(w *world) {
				w.pass(3 * time.Minute)
				w.must(w.Approve(ctx, admin, "a", false))
				w.checks.behave(hang)
				w.must(w.StartChecker(ctx, "a"))
				w.signals()
				saves := w.disk.saves
				w.must(c.do(w))
				w.wantSignals(c.want...)
				if c.want == nil && w.disk.saves != saves {
					t.Error("it was saved, and is what it was")
				}
			})
		})
	}
}

func TestWhoIsNotThereIsNotChanged(t *testing.T) {
	ctx := context.Background()
	a, other, name := host("a", keyA), host("other", keyC), "192.0.2.7"
	update := func(w *world) error { return w.Update(ctx, admin, "a", Update{PropHost: name}) }
	for sentence, away := range map[string]func(w *world){
		"as it was removed":      func(w *world) { w.must(w.Remove(ctx, admin, "a")) },
		"as its section is gone": func(w *world) { w.reload([]Settings{other}) },
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{other, a}, func(w *world) {
				away(w)
				var unknown *NoClientError
				if err := update(w); !errors.As(err, &unknown) || unknown.Name != "a" {
					t.Errorf("answered %v", err)
				}
				if saved := w.saved("a"); saved.Host != a.Host {
					t.Errorf("saved is %+v", saved.Settings)
				}
			})
		})
	}
	t.Run("as it is removed while that is saved", func(t *testing.T) {
		inWorld(t, []Settings{other, a}, func(w *world) {
			removed := make(chan error, 1)
			w.disk.during(func() {
				go func() { removed <- w.Remove(ctx, admin, "a") }()
				synctest.Wait()
			})
			w.must(update(w))
			w.must(<-removed)
			w.pass(2 * SaveDelay)
			if saved := w.saved("a"); saved.Host != a.Host || !saved.Removed() {
				t.Errorf("saved is %+v", saved)
			}
		})
	})
}
