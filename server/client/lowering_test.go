// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const keyC = "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"

// ways are the ways in which a server gets another configuration.
var ways = map[string]func(w *world, configured []Settings){
	"by a reload":  func(w *world, configured []Settings) { w.reload(configured) },
	"by a restart": func(w *world, configured []Settings) { w.restart(time.Second, configured) },
	"by a crash": func(w *world, configured []Settings) {
		crashed := w.Registry
		w.disk = &disk{records: w.disk.copyOf()}
		w.begin(configured)
		w.must(crashed.Close(context.Background()))
	},
}

// TestWhoWasLoweredStaysSo lowers a client, has its section go and come back in
// every way, and asks for its secret.
func TestWhoWasLoweredStaysSo(t *testing.T) {
	ctx := context.Background()
	a, other := host("a", keyA), host("other", keyC)
	a.ApprovalDuration = 24 * time.Hour
	as := func(change func(*Settings)) []Settings {
		s := a
		change(&s)
		return []Settings{other, s}
	}
	lowerings := map[string]func(w *world){
		"disabled": func(w *world) { w.must(w.Disable(ctx, admin, "a")) },
		"expired": func(w *world) {
			w.checks.behave(fail)
			w.pass(time.Hour)
			w.checks.behave(succeed)
			w.must(w.Enable(ctx, admin, "other"))
		},
		"denied":  func(w *world) { w.must(w.Approve(ctx, admin, "a", false)) },
		"removed": func(w *world) { w.must(w.Remove(ctx, admin, "a")) },
		"disabled in its own section": func(w *world) {
			w.reload(as(func(s *Settings) { s.Enabled, s.EnabledOwn = false, true }))
		},
		"disabled in [DEFAULT]": func(w *world) { w.reload(as(func(s *Settings) { s.Enabled = false })) },
		"expired while it was gone": func(w *world) {
			w.checks.behave(fail)
			w.pass(3 * time.Minute)
			w.reload([]Settings{other})
			w.must(w.CheckedOK(ctx, admin, "other"))
			w.checks.behave(succeed)
			w.pass(time.Hour)
		},
	}
	returns := map[string][]Settings{
		"as it was":                 as(func(*Settings) {}),
		"under another name":        as(func(s *Settings) { s.Name = "b" }),
		"with another timeout":      as(func(s *Settings) { s.Timeout = 24 * time.Hour }),
		"with another secret":       as(func(s *Settings) { s.Secret = NewSecret([]byte("another")) }),
		"with a fingerprint beside": as(func(s *Settings) { s.Fingerprint = strings.Repeat("F", 40) }),
		"with a shorter denial":     as(func(s *Settings) { s.ApprovalDuration = time.Second }),
		"twice": append(as(func(*Settings) {}), func() Settings {
			s := a
			s.Name = "b"
			return s
		}()),
		"twice, the new one first":                   append(as(func(s *Settings) { s.Name = "b" }), a),
		"under another name, enabled in its section": as(func(s *Settings) { s.Name, s.EnabledOwn = "b", true }),
	}
	for what, lower := range lowerings {
		for how, back := range returns {
			for goes, go_ := range ways {
				for comes, come := range ways {
					sentence := fmt.Sprintf("%s, gone %s, back %s %s", what, goes, comes, how)
					t.Run(sentence, func(t *testing.T) {
						inWorld(t, []Settings{other, a}, func(w *world) {
							w.pass(2 * time.Minute)
							lower(w)
							go_(w, []Settings{other})
							w.pass(time.Second)
							if secret, _ := w.fetch(keyA); secret.Len() > 0 {
								t.Error("it got a secret while it was gone")
							}
							come(w, back)
							if secret, _ := w.fetch(keyA); secret.Len() > 0 {
								t.Error("it got a secret when it was back")
							}
							if secret, why := w.fetch(keyC); secret.Len() == 0 {
								t.Errorf("the other got nothing: %s", why)
							}
							come(w, back)
							if secret, _ := w.fetch(keyA); secret.Len() > 0 {
								t.Error("it got a secret after another while")
							}
						})
					})
				}
			}
		}
	}
}

// TestWhatRaisesALoweredClient has what is a person's word, and what is none.
func TestWhatRaisesALoweredClient(t *testing.T) {
	ctx := context.Background()
	a, other := host("a", keyA), host("other", keyC)
	withKey := func(keyID, fingerprint string) Settings {
		s := a
		s.KeyID, s.Fingerprint = keyID, fingerprint
		return s
	}
	said := func(yes bool) Settings {
		s := a
		s.Enabled, s.EnabledOwn = yes, true
		return s
	}
	byDefault := func(yes bool) Settings {
		s := a
		s.Enabled = yes
		return s
	}
	disable := func(w *world) { w.must(w.Disable(ctx, admin, "a")) }
	remove := func(w *world) { w.must(w.Remove(ctx, admin, "a")) }
	for sentence, c := range map[string]struct {
		first Settings // host a by default
		lower func(w *world)
		then  []Settings // the configurations that follow
		raise func(w *world)
		key   string // keyA by default
		gets  bool
	}{
		"a person enables it":                               {lower: disable, raise: func(w *world) { w.must(w.Enable(ctx, admin, "a")) }, gets: true},
		"a person enables what was removed":                 {lower: remove, raise: func(w *world) { w.must(w.Enable(ctx, admin, "a")) }, gets: true},
		"a person enables what was disabled and removed":    {lower: func(w *world) { disable(w); remove(w) }, raise: func(w *world) { w.must(w.Enable(ctx, admin, "a")) }, gets: true},
		"its own line goes from no to yes":                  {first: said(false), then: []Settings{said(true)}, gets: true},
		"its own line goes to no and to yes":                {lower: disable, then: []Settings{said(false), said(true)}, gets: true},
		"its own line goes to no and to yes, being removed": {lower: remove, then: []Settings{said(false), said(true)}, gets: true},
		"yes is written where [DEFAULT] says no":            {first: byDefault(false), then: []Settings{said(true)}, gets: true},
		"its own line no is missing":                        {first: said(false), then: []Settings{byDefault(true)}},
		"its own line no is missing, and then is yes":       {first: said(false), then: []Settings{byDefault(true), said(true)}, gets: true},
		"its own line yes is lost and is back":              {first: said(true), lower: disable, then: []Settings{byDefault(true), said(true)}},
		"its own line yes is lost beside a [DEFAULT] of no": {first: said(true), lower: disable, then: []Settings{byDefault(false), said(true)}},
		"[DEFAULT] goes from no to yes":                     {first: byDefault(false), then: []Settings{byDefault(true)}},
		"[DEFAULT] goes to no and to yes":                   {then: []Settings{byDefault(false), byDefault(true)}},
		"yes is written where it holds already":             {lower: disable, then: []Settings{said(true)}},
		"a new key in the section of what was removed":      {lower: remove, then: []Settings{withKey(keyB, "")}, key: keyB, gets: true},
		"a new key there, and the old one in another section": {lower: remove, then: []Settings{withKey(keyB, ""), func() Settings {
			s := a
			s.Name = "b"
			return s
		}()}},
		"a new key there, and the old one again":        {lower: remove, then: []Settings{withKey(keyB, ""), a}},
		"a new key in the section of what was disabled": {lower: disable, then: []Settings{withKey(keyB, "")}, key: keyB},
		"a new key in a removed section, the fingerprint being the same": {
			first: withKey(keyA, strings.Repeat("F", 40)), lower: remove, then: []Settings{withKey(keyB, strings.Repeat("F", 40))}, key: keyB, gets: true},
		"a key ID where the saved state has none":                     {first: withKey("", strings.Repeat("F", 40)), lower: remove, then: []Settings{withKey(keyA, strings.Repeat("F", 40))}},
		"a key ID where the saved state has none, and no fingerprint": {first: withKey("", strings.Repeat("F", 40)), lower: remove, then: []Settings{withKey(keyA, "")}},
	} {
		for way, come := range ways {
			t.Run(sentence+" "+way, func(t *testing.T) {
				if c.first.Name == "" {
					c.first = a
				}
				if c.key == "" {
					c.key = keyA
				}
				inWorld(t, []Settings{other, c.first}, func(w *world) {
					w.pass(2 * time.Minute)
					if c.lower != nil {
						c.lower(w)
					}
					for _, next := range c.then {
						come(w, []Settings{other, next})
					}
					if c.raise != nil {
						c.raise(w)
					}
					if secret, why := w.fetch(c.key); secret.Len() > 0 != c.gets {
						t.Errorf("got %d bytes, refused for %q", secret.Len(), why)
					}
					come(w, append([]Settings{other}, c.then...)[:1+min(1, len(c.then))])
				})
			})
		}
	}
}

func TestAnEnablementCountsUnderEveryName(t *testing.T) {
	ctx := context.Background()
	a, other := host("a", keyA), host("other", keyC)
	b := a
	b.Name = "b"
	for what, lower := range map[string]func(w *world){
		"disabled": func(w *world) { w.must(w.Disable(ctx, admin, "a")) },
		"expired":  func(w *world) { w.checks.behave(fail); w.pass(time.Hour); w.checks.behave(succeed) },
		"removed":  func(w *world) { w.must(w.Remove(ctx, admin, "a")) },
		"by its file": func(w *world) {
			off := a
			off.Enabled, off.EnabledOwn = false, true
			w.reload([]Settings{other, off})
			w.reload([]Settings{other})
		},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, []Settings{other, a}, func(w *world) {
				lower(w)
				w.reload([]Settings{other, b})
				w.must(w.Enable(ctx, admin, "b"))
				w.restart(time.Second, []Settings{other, a})
				if secret, why := w.fetch(keyA); secret.Len() == 0 {
					t.Errorf("under its former name it is refused: %s", why)
				}
				off := a
				off.Enabled, off.EnabledOwn = false, true
				w.reload([]Settings{other, off})
				if secret, _ := w.fetch(keyA); secret.Len() > 0 {
					t.Error("enabled = no has no effect any more")
				}
			})
		})
	}
}

func TestALoweringBindsAFingerprintAlone(t *testing.T) {
	ctx := context.Background()
	filler := strings.Repeat("0", 40)
	a, b, old := host("a", keyA), host("b", keyB), host("old", "")
	a.Fingerprint, b.Fingerprint, old.Fingerprint = filler, filler, strings.Repeat("D", 40)
	renamed := old
	renamed.Name = "renamed"
	inWorld(t, []Settings{a, b, old}, func(w *world) {
		w.must(w.Disable(ctx, admin, "a"))
		w.must(w.Disable(ctx, admin, "old"))
		w.reload([]Settings{b})
		if !w.enabled("b") {
			t.Error("a client is disabled for a fingerprint that is a filler")
		}
		w.reload([]Settings{b, renamed})
		if w.enabled("renamed") {
			t.Error("a client that is known by its fingerprint is enabled under another name")
		}
	})
}

func TestAFileThatDisablesOnceMoreAfterAnEnablementIsAnotherFact(t *testing.T) {
	ctx := context.Background()
	a := host("a", keyA)
	off := a
	off.Enabled, off.EnabledOwn, a.EnabledOwn = false, true, true
	inWorld(t, []Settings{a}, func(w *world) {
		for range 5 {
			w.reload([]Settings{off})
			if w.enabled("a") {
				t.Fatal("enabled")
			}
			w.must(w.Enable(ctx, admin, "a"))
			w.reload([]Settings{off})
			if !w.enabled("a") {
				t.Fatal("the line that has not changed disables it again")
			}
			w.reload([]Settings{a})
		}
	})
}

func TestDisablingAgainIsANewFactAndTellsNobody(t *testing.T) {
	ctx := context.Background()
	inWorld(t, []Settings{host("a", keyA)}, func(w *world) {
		w.must(w.Disable(ctx, admin, "a"))
		first, _ := w.disk.get("a")
		before := w.client("a")
		w.signals()
		w.pass(time.Minute)
		w.must(w.Disable(ctx, somebody, "a"))
		w.wantSignals()
		if after := w.client("a"); after != before {
			t.Errorf("it shows as %+v, was %+v", after, before)
		}
		second, _ := w.disk.get("a")
		if len(first.Lowerings) != 1 || len(second.Lowerings) != 1 || first.Lowerings[0].ID == second.Lowerings[0].ID {
			t.Errorf("saved are %+v and then %+v", first.Lowerings, second.Lowerings)
		}
		if !second.hasSeen(first.Lowerings[0].ID) || len(second.Lowerings[0].ID) != 32 || second.Lowerings[0].By != somebody {
			t.Errorf("saved is %+v", second.Standing)
		}
	})
}

func TestEnablementsThatWereSeenAreBounded(t *testing.T) {
	ctx := context.Background()
	inWorld(t, []Settings{host("a", keyA)}, func(w *world) {
		for range 3 * maxSeen {
			w.must(w.Disable(ctx, admin, "a"))
			w.must(w.Enable(ctx, admin, "a"))
		}
		record, _ := w.disk.get("a")
		if len(record.Seen) != maxSeen || len(record.Lowerings) != 0 || record.Life.Enables != 3*maxSeen {
			t.Errorf("%d seen, %d lowerings, %d enablements", len(record.Seen), len(record.Lowerings), record.Life.Enables)
		}
		if oldest := record.Seen[0].Enables; oldest != 2*maxSeen+1 {
			t.Errorf("kept are those since enablement %d", oldest)
		}
	})
}

func TestAReasonOfALaterVersionLowers(t *testing.T) {
	a := host("a", keyA)
	record := newRecord(a, time.Now())
	record.Lowerings = []Lowering{{ID: "x", Reason: "quarantined", By: somebody, Key: a.key()}}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, disk: &disk{records: map[string]Record{"a": record.Judged()}}, checks: &checks{run: succeed}}
		w.begin([]Settings{a})
		defer w.shutDown()
		if v := w.client("a"); v.Enabled || v.DisabledBecause != "quarantined" {
			t.Errorf("%+v", v.State)
		}
	})
}

func TestAConfigurationThatHasLostAllItsClients(t *testing.T) {
	ctx := context.Background()
	a, b := host("a", keyA), host("b", keyB)
	vanishes := func(w *world, want ...string) {
		w.t.Helper()
		var vanished *VanishedError
		if _, err := w.Reload(ctx, admin, nil); !errors.As(err, &vanished) || !slices.Equal(vanished.Names, want) {
			w.t.Errorf("the reload answered %v, want %v", err, want)
		}
		if _, err := New(w.checks, w.disk).Load(nil, w.disk.all()); !errors.As(err, &vanished) || !slices.Equal(vanished.Names, want) {
			w.t.Errorf("the start answered %v, want %v", err, want)
		}
	}
	inWorld(t, []Settings{a, b}, func(w *world) {
		w.must(w.Disable(ctx, admin, "a"))
		before := w.Clients()
		vanishes(w, "a", "b")
		if after := w.Clients(); !slices.Equal(after, before) {
			t.Errorf("the reload changed something: %+v", after)
		}
		w.reload([]Settings{b})
		vanishes(w, "b")
		w.must(w.Remove(ctx, admin, "b"))
		if reloaded := w.reload(nil); !slices.Equal(reloaded.Removed, []string{"b"}) {
			t.Errorf("removed are %v", reloaded.Removed)
		}
		w.restart(time.Second, nil)
	})
	if _, err := New(nil, nil).Load(nil, nil); err != nil {
		t.Errorf("a first start without clients: %v", err)
	}
}

func TestAReloadSaysWhatItDid(t *testing.T) {
	ctx := context.Background()
	a, b, c := host("a", keyA), host("b", keyB), host("c", keyC)
	inWorld(t, []Settings{a, b}, func(w *world) {
		changed := b
		changed.Timeout = time.Hour
		got := w.reload([]Settings{changed, c})
		if want := (Reloaded{Added: []string{"c"}, Removed: []string{"a"}, Changed: []string{"b"}}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got := w.reload([]Settings{changed, c}); fmt.Sprint(got) != fmt.Sprint(Reloaded{}) {
			t.Errorf("the same again: %+v", got)
		}
		w.must(w.Remove(ctx, admin, "c"))
		got = w.reload([]Settings{a, changed, c})
		if want := (Reloaded{Added: []string{"a"}, Away: []string{"c"}}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestWhoIsAbsentIsListed(t *testing.T) {
	ctx := context.Background()
	a, b, c, d := host("a", keyA), host("b", keyB), host("c", keyC), host("d", "")
	d.Fingerprint, d.ApprovalDuration = strings.Repeat("D", 40), time.Hour
	inWorld(t, []Settings{a, b, c, d, host("stays", "")}, func(w *world) {
		w.pass(2 * time.Minute)
		start := time.Now()
		w.must(w.Disable(ctx, admin, "a"))
		w.must(w.Remove(ctx, admin, "b"))
		w.must(w.Approve(ctx, admin, "d", false))
		w.pass(time.Minute)
		w.reload([]Settings{b, host("stays", "")})
		gone := time.Now()
		want := []Absentee{
			{Name: "a", Key: Key{KeyID: keyA}, GoneSince: gone, Because: ByAdministrator, By: admin, Since: start},
			{Name: "b", Key: Key{KeyID: keyB}, Because: RemovedByAdministrator, By: admin, Since: start},
			{Name: "c", Key: Key{KeyID: keyC}, GoneSince: gone},
			{Name: "d", Key: Key{Fingerprint: d.Fingerprint}, GoneSince: gone, DeniedUntil: start.Add(time.Hour)},
		}
		same := func(a, b Absentee) bool {
			return a.Name == b.Name && a.Key == b.Key && a.GoneSince.Equal(b.GoneSince) && a.Because == b.Because && a.By == b.By &&
				a.Since.Equal(b.Since) && a.DeniedUntil.Equal(b.DeniedUntil)
		}
		if got := w.Absent(); !slices.EqualFunc(got, want, same) {
			t.Errorf("got\n%+v\nwant\n%+v", got, want)
		}
		w.restart(time.Minute, []Settings{b, host("stays", "")})
		if got := w.Absent(); !slices.EqualFunc(got, want, same) {
			t.Errorf("after a restart\n%+v\nwant\n%+v", got, want)
		}
	})
}

func TestForgetting(t *testing.T) {
	ctx := context.Background()
	a, b, stays := host("a", keyA), host("b", keyB), host("stays", keyC)
	renamed := a
	renamed.Name = "renamed"
	inWorld(t, []Settings{a, b, stays}, func(w *world) {
		refused := func(name, section string) {
			t.Helper()
			var still *StillThereError
			if err := w.Forget(ctx, admin, name); !errors.As(err, &still) || still.Section != section {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.must(w.Disable(ctx, admin, "a"))
		w.must(w.Remove(ctx, admin, "b"))
		refused("a", "a")
		refused("b", "b")
		w.reload([]Settings{renamed, stays})
		refused("a", "renamed")
		var unknown *NoClientError
		if err := w.Forget(ctx, admin, "nosuch"); !errors.As(err, &unknown) {
			t.Errorf("one that never was: %v", err)
		}
		w.signals()
		w.must(w.Forget(ctx, admin, "b"))
		w.wantSignals("forgotten")
		if _, ok := w.disk.get("b"); ok {
			t.Error("b is still saved")
		}
		w.reload([]Settings{stays})
		w.must(w.Forget(ctx, admin, "a"))
		w.must(w.Forget(ctx, admin, "renamed"))
		w.reload([]Settings{a, b, stays})
		for _, key := range []string{keyA, keyB} {
			if secret, why := w.fetch(key); secret.Len() == 0 {
				t.Errorf("one that was forgotten is refused: %s", why)
			}
		}
	})
}

func TestAClientWithoutASectionIsNotEnabled(t *testing.T) {
	ctx := context.Background()
	inWorld(t, []Settings{host("a", keyA), host("b", keyB)}, func(w *world) {
		w.must(w.Disable(ctx, admin, "a"))
		w.reload([]Settings{host("b", keyB)})
		var noSection *NoSectionError
		if err := w.Enable(ctx, admin, "a"); !errors.As(err, &noSection) {
			t.Errorf("answered %v", err)
		}
	})
}

func TestARemovedClientThatIsBroughtBackIsAsItIsInTheFileNow(t *testing.T) {
	ctx := context.Background()
	a := host("a", keyA)
	inWorld(t, []Settings{a, host("b", keyB)}, func(w *world) {
		w.must(w.Remove(ctx, admin, "a"))
		a.Secret, a.Timeout = NewSecret([]byte("newer")), 7*time.Minute
		w.reload([]Settings{a, host("b", keyB)})
		w.signals()
		w.must(w.Enable(ctx, admin, "a"))
		w.wantSignals("added", "enabled")
		v := w.client("a")
		if secret, _ := w.fetch(keyA); secret != a.Secret || v.Timeout != a.Timeout || time.Until(v.Expires) != 4*time.Minute {
			t.Errorf("%+v", v)
		}
		if names := w.Clients(); names[0].Name != "a" {
			t.Error("it is not where its section is")
		}
		w.restart(time.Second, []Settings{a, host("b", keyB)})
		if !w.enabled("a") {
			t.Error("it is away after a restart")
		}
	})
}

func TestTheHealthyThatAreGoneAreBoundedAndTheLoweredAreNot(t *testing.T) {
	ctx := context.Background()
	stays := host("stays", keyC)
	many := func(n int) (clients []Settings) {
		for i := range n {
			s := host(fmt.Sprintf("h%05d", i), fmt.Sprintf("%064X", i))
			s.Interval, s.Timeout = time.Second, time.Minute
			clients = append(clients, s)
		}
		return append(clients, stays)
	}
	inWorld(t, many(maxGone+20), func(w *world) {
		w.pass(2 * time.Second)
		for i := range 5 {
			w.must(w.Disable(ctx, admin, fmt.Sprintf("h%05d", i)))
		}
		w.checks.behave(fail)
		w.pass(2 * time.Second) // a failed check is something to remember
		w.checks.behave(succeed)
		w.pass(2 * time.Second)
		w.reload([]Settings{many(10)[9], many(maxGone + 20)[maxGone+19], stays}) // all but these go
		w.reload([]Settings{stays})
		if saved := len(w.disk.all()); saved != maxGone+6 {
			t.Errorf("when that is answered, %d are saved", saved)
		}
		absent := w.Absent()
		lowered := slices.DeleteFunc(slices.Clone(absent), func(a Absentee) bool { return a.Because == "" })
		if len(absent) != maxGone+5 || len(lowered) != 5 {
			t.Fatalf("%d are kept, %d of them lowered", len(absent), len(lowered))
		}
		if clients, _, _ := w.Counts(); clients != 1 {
			t.Errorf("there are %d clients", clients)
		}
		if last := absent[len(absent)-1]; last.Name != fmt.Sprintf("h%05d", maxGone+19) {
			t.Errorf("the one that went last is not kept, but %s", last.Name)
		}
		w.pass(time.Second)
		if saved := len(w.disk.all()); saved != maxGone+6 {
			t.Errorf("a second later, %d are saved", saved)
		}
	})
}

func TestTheRestartsGraceIsGivenOnceForEachSuccess(t *testing.T) {
	same := []Settings{host("a", keyA)}
	inWorld(t, same, func(w *world) {
		w.pass(2 * time.Minute)
		w.checks.behave(hang)
		for range 20 * 6 { // a restart every 10 s for 20 minutes
			w.restart(0, same)
			w.pass(10 * time.Second)
		}
		if v := w.client("a"); v.Enabled {
			t.Errorf("a host that has been dead for 20 minutes is enabled: %+v", v.State)
		}
	})
	inWorld(t, same, func(w *world) {
		for range 3 { // each success is good for one grace
			w.checks.behave(succeed)
			w.pass(2 * time.Minute)
			w.checks.behave(hang)
			w.restart(time.Hour, same)
			if left := time.Until(w.client("a").Expires); left != 5*time.Minute {
				t.Fatalf("%v left", left)
			}
		}
		w.restart(time.Hour, same)
		if v := w.client("a"); v.Enabled || v.DisabledBecause != GraceSpent {
			t.Errorf("the second restart without a success leaves it as %+v", v.State)
		}
	})
}

// TestALateTimerProlongsNothing lets a deadline pass while the process is
// paused: the timers have not run when everything else goes on.
func TestALateTimerProlongsNothing(t *testing.T) {
	ctx := context.Background()
	a := host("a", keyA)
	a.ApprovalDuration = time.Hour
	never := func(w *world) { // as if the timer had not run yet
		w.pass(3 * time.Minute)
		w.mu.Lock()
		c := w.clients["a"]
		c.expiry.Stop()
		c.nextCheck.Stop()
		w.mu.Unlock()
		w.pass(time.Hour)
		w.signals()
		w.checks.behave(succeed)
	}
	for sentence, c := range map[string]struct {
		do   func(w *world)
		told []string
	}{
		"a hand-out": {func(w *world) {
			if secret, why := w.fetch(keyA); secret.Len() > 0 || why != IsDisabled {
				w.t.Errorf("got %d bytes, refused for %q", secret.Len(), why)
			}
		}, []string{"Expires", "Enabled", "disabled", "rejected"}},
		"somebody who vouches": {func(w *world) { w.must(w.CheckedOK(ctx, admin, "a")) },
			[]string{"Expires", "Enabled", "disabled", "LastCheckedOK", "vouched"}},
		"somebody who disables it": {func(w *world) { w.must(w.Disable(ctx, admin, "a")) }, []string{"Expires", "Enabled", "disabled"}},
		"a longer timeout": {func(w *world) {
			timeout := 24 * time.Hour
			w.must(w.Update(ctx, admin, "a", Update{PropTimeout: timeout}))
		}, []string{"Expires", "Enabled", "disabled", "Timeout", "changed"}},
		"a longer timeout in the file": {func(w *world) {
			longer := a
			longer.Timeout = 24 * time.Hour
			w.reload([]Settings{longer})
		}, []string{"Expires", "Enabled", "disabled", "Timeout", "changed"}},
		"an orderly restart": {func(w *world) { w.restart(0, []Settings{a}) },
			[]string{"Expires", "Enabled", "disabled"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{a}, func(w *world) {
				never(w)
				c.do(w)
				if v := w.client("a"); v.Enabled || v.DisabledBecause != TimedOut {
					t.Errorf("it is left as %+v", v.State)
				}
				w.wantSignals(c.told...)
				if secret, _ := w.fetch(keyA); secret.Len() > 0 {
					t.Error("it gets its secret")
				}
			})
		})
	}
	t.Run("a check that ends", func(t *testing.T) {
		inWorld(t, []Settings{a}, func(w *world) {
			release := make(chan struct{})
			w.checks.behave(func(context.Context) (CheckResult, error) { <-release; return CheckResult{}, nil })
			w.must(w.StartChecker(ctx, "a"))
			never(w)
			close(release)
			if w.pass(0); w.enabled("a") {
				t.Error("it is enabled again")
			}
		})
	})
	t.Run("a person's enabling is not lost", func(t *testing.T) {
		inWorld(t, []Settings{a}, func(w *world) {
			never(w)
			w.must(w.Enable(ctx, admin, "a"))
			w.wantSignals("Expires", "Enabled", "disabled", "Enabled", "LastEnabled", "Expires", "enabled")
			if secret, why := w.fetch(keyA); secret.Len() == 0 {
				t.Errorf("it is refused: %s", why)
			}
		})
	})
	t.Run("a peer that has just received its secret", func(t *testing.T) {
		inWorld(t, []Settings{a}, func(w *world) {
			h, err := w.Release(ctx, Identity{RawPublicKey, keyA}, Origin{Address: somewhere})
			w.must(err)
			never(w)
			h.Received("")
			if w.pass(0); w.enabled("a") {
				t.Error("its extended timeout is counted from after its end")
			}
		})
	})
}

func TestANewNameGivesADeadHostNoMoreTime(t *testing.T) {
	a, other := host("a", keyA), host("other", keyC)
	b := a
	b.Name = "b"
	inWorld(t, []Settings{other, a}, func(w *world) {
		w.pass(2 * time.Minute)
		w.checks.behave(fail)
		w.pass(3 * time.Minute)
		before := w.client("a")
		w.reload([]Settings{other, b})
		if after := w.client("b"); !after.Expires.Equal(before.Expires) || !after.Created.Equal(before.Created) || !after.LastCheckedOK.Equal(before.LastCheckedOK) {
			t.Errorf("it goes on as %+v, was %+v", after.State, before.State)
		}
	})
}

func TestADisablementBindsTheOtherSectionOfItsKeyWhenItsOwnIsGone(t *testing.T) {
	ctx := context.Background()
	a, other := host("a", keyA), host("other", keyC)
	second := a
	second.Name = "second"
	for sentence, c := range map[string]struct {
		lower func(w *world)
		binds bool
	}{
		"disabled": {func(w *world) { w.must(w.Disable(ctx, admin, "a")) }, true},
		"removed":  {func(w *world) { w.must(w.Remove(ctx, admin, "a")) }, false}, // it took its place at once
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{other, a, second}, func(w *world) {
				c.lower(w)
				w.reload([]Settings{other, second})
				if secret, why := w.fetch(keyA); secret.Len() == 0 != c.binds {
					t.Errorf("got %d bytes, refused for %q", secret.Len(), why)
				}
			})
		})
	}
}

// TestADisablementOnceMoreIsNoEnablementOfAnother disables a client again under another
// name, which takes the place of the first time there, and has the first meet that one's
// new key.
func TestADisablementOnceMoreIsNoEnablementOfAnother(t *testing.T) {
	ctx := context.Background()
	with := func(keys ...string) []Settings {
		return []Settings{host("a", keys[0]), host("b", keys[1]), host("c", keys[2])}
	}
	inWorld(t, with(keyA, keyB, keyC), func(w *world) {
		w.must(w.Disable(ctx, admin, "a"))
		w.reload(with(keyB, keyA, keyC))
		w.must(w.Disable(ctx, admin, "b"))
		w.reload(with(keyB, keyC, keyA))
		w.reload(with(keyC, keyB, keyA))
		if secret, _ := w.fetch(keyC); secret.Len() > 0 {
			t.Error("the first got its secret, and nobody had enabled it")
		}
	})
}
