// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestOpenPGPIsNeededByClientsThatHaveNothingElse(t *testing.T) {
	ctx := context.Background()
	withFingerprint := func(name, keyID string, enabled bool) Settings {
		s := host(name, keyID)
		s.Fingerprint, s.Enabled = strings.Repeat("F", 40), enabled
		return s
	}
	both, old, off := withFingerprint("a", keyA, true), withFingerprint("a", "", true), withFingerprint("a", "", false)
	for sentence, c := range map[string]struct {
		client Settings
		do     func(w *world)
		want   bool
	}{
		"a client with a key ID needs none":            {client: both},
		"a client with only a fingerprint needs it":    {client: old, want: true},
		"a disabled one needs it to be told so":        {client: off, want: true},
		"a client with nothing does not":               {client: host("a", "")},
		"the key ID of nothing is one all the same":    {client: withFingerprint("a", emptyKeyID, true)},
		"after it was disabled it still does":          {client: old, do: func(w *world) { w.must(w.Disable(ctx, admin, "a")) }, want: true},
		"after it was enabled it does":                 {client: off, do: func(w *world) { w.must(w.Enable(ctx, admin, "a")) }, want: true},
		"after it was removed it still does":           {client: old, do: func(w *world) { w.must(w.Remove(ctx, admin, "a")) }, want: true},
		"after it has expired it still does":           {client: old, do: func(w *world) { w.checks.behave(fail); w.pass(time.Hour) }, want: true},
		"after it was given a key ID it does not":      {client: old, do: func(w *world) { w.reload([]Settings{both}) }},
		"after its key ID was taken away it does":      {client: both, do: func(w *world) { w.reload([]Settings{old}) }, want: true},
		"after it has gone from the configuration not": {client: old, do: func(w *world) { w.reload([]Settings{host("b", keyB)}) }},
		"after it came into the configuration it does": {client: host("b", keyB), do: func(w *world) { w.reload([]Settings{old}) }, want: true},
		"after a restart it still does":                {client: old, do: func(w *world) { w.restart(time.Second, []Settings{old}) }, want: true},
		"removed and brought back it does": {client: old, do: func(w *world) {
			w.must(w.Remove(ctx, admin, "a"))
			w.must(w.Enable(ctx, admin, "a"))
		}, want: true},
		"disabled and gone it does": {client: old, do: func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.reload([]Settings{host("b", keyB)})
			w.restart(time.Second, []Settings{host("b", keyB)})
		}, want: true},
		"disabled, gone and forgotten it does not": {client: old, do: func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.reload([]Settings{host("b", keyB)})
			w.must(w.Forget(ctx, admin, "a"))
		}},
		"disabled before a restart it does after it": {client: old, do: func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.restart(time.Second, []Settings{old})
		}, want: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{c.client}, func(w *world) {
				if c.do != nil {
					c.do(w)
				}
				if got := w.NeedsOpenPGP(); got != c.want {
					t.Errorf("needs OpenPGP: %v", got)
				}
			})
		})
	}
}

// TestCountOfOpenPGPClientsStaysRight does all that there is to do to a few clients, in
// any order, and counts anew each time.
func TestCountOfOpenPGPClientsStaysRight(t *testing.T) {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(1, 2))
	always := host("always", keyB) // so that the configuration never is without clients
	names := []string{"a", "b", "c", "d"}
	configuration := func() []Settings {
		clients := []Settings{always}
		for i, name := range names {
			s := host(name, strings.Repeat(string("ABCD"[i]), 64*random.IntN(2)))
			s.Fingerprint, s.Enabled = strings.Repeat(string("ABCD"[i]), 40), random.IntN(3) > 0
			if random.IntN(4) > 0 {
				clients = append(clients, s)
			}
		}
		return clients
	}
	inWorld(t, configuration(), func(w *world) {
		for range 1000 {
			name := names[random.IntN(len(names))]
			switch random.IntN(7) {
			case 0:
				w.Enable(ctx, admin, name)
			case 1:
				w.Disable(ctx, admin, name)
			case 2:
				w.Remove(ctx, admin, name)
			case 3:
				w.checks.behave([]func(context.Context) (CheckResult, error){succeed, fail}[random.IntN(2)])
				w.pass(time.Duration(random.IntN(20)) * time.Minute)
			case 4:
				w.restart(time.Minute, configuration())
			default:
				w.reload(configuration())
			}
			want := 0
			for _, v := range w.Clients() {
				if v.KeyID == "" && v.Fingerprint != "" {
					want++
				}
			}
			for _, away := range w.absent {
				if away.KeyID == "" && away.Fingerprint != "" && len(away.against(away.key())) > 0 {
					want++
				}
			}
			if w.openPGP != want || w.NeedsOpenPGP() != (want > 0) {
				t.Fatalf("counted %d, there are %d", w.openPGP, want)
			}
		}
	})
}

// TestFingerprintThatNobodyIsKnownByIsExplained: a stranger with a fingerprint that
// stands beside a key ID is told apart from one with a fingerprint that nobody has.
func TestFingerprintThatNobodyIsKnownByIsExplained(t *testing.T) {
	ctx := context.Background()
	fingerprint := strings.Repeat("F", 40)
	withBoth, withOne := host("both", keyA), host("one", "")
	withBoth.Fingerprint, withOne.Fingerprint = fingerprint, fingerprint
	const note = "client both has that fingerprint, but also a key_id, and is known by that alone: if it still has a mandos-client of before 2019, remove its key_id"
	for sentence, c := range map[string]struct {
		configured []Settings
		do         func(w *world)
		id         Identity
		note       string
	}{
		"one that stands beside a key ID":      {configured: []Settings{withBoth}, id: Identity{OpenPGPKey, fingerprint}, note: note},
		"one that nobody has":                  {configured: []Settings{withBoth}, id: Identity{OpenPGPKey, strings.Repeat("E", 40)}},
		"a key ID with the same digits":        {configured: []Settings{withBoth}, id: Identity{RawPublicKey, fingerprint}},
		"one of nobody any more":               {configured: []Settings{withBoth}, do: func(w *world) { w.must(w.Remove(ctx, admin, "both")) }, id: Identity{OpenPGPKey, fingerprint}},
		"a fingerprint that was removed":       {configured: []Settings{withOne}, do: func(w *world) { w.must(w.Remove(ctx, admin, "one")) }, id: Identity{OpenPGPKey, fingerprint}, note: "client one has that key, and was removed"},
		"a key ID that was removed":            {configured: []Settings{withBoth}, do: func(w *world) { w.must(w.Remove(ctx, admin, "both")) }, id: Identity{RawPublicKey, keyA}, note: "client both has that key, and was removed"},
		"a key ID that is gone":                {configured: []Settings{withBoth}, do: func(w *world) { w.reload([]Settings{host("other", keyB)}) }, id: Identity{RawPublicKey, keyA}, note: "client both had that key, and is gone from the configuration"},
		"one that got its key ID in a reload":  {configured: []Settings{withOne}, do: func(w *world) { w.reload([]Settings{withBoth}) }, id: Identity{OpenPGPKey, fingerprint}, note: note},
		"one that lost its fingerprint in one": {configured: []Settings{withBoth}, do: func(w *world) { w.reload([]Settings{host("both", keyA)}) }, id: Identity{OpenPGPKey, fingerprint}},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, c.configured, func(w *world) {
				if c.do != nil {
					c.do(w)
				}
				if _, err := w.Release(ctx, c.id, Origin{}); err == nil {
					t.Fatal("released")
				}
				if got := w.lastEvent(NotFound).Note; got != c.note {
					t.Errorf("told the note %q, want %q", got, c.note)
				}
			})
		})
	}
}
