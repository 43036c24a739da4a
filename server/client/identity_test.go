// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"slices"
	"testing"
	"time"
)

// TestKeysOfOneHost holds the rule for two keys, and that who is looked up by what a key
// finds is exactly who is the same by that rule.
func TestKeysOfOneHost(t *testing.T) {
	const x, y, f, g = "X", "Y", "F", "G"
	for _, c := range []struct {
		a, b          Key
		same, differs bool
	}{
		{Key{}, Key{}, false, false},
		{Key{}, Key{x, f}, false, false},
		{Key{x, ""}, Key{x, ""}, true, false},
		{Key{x, ""}, Key{y, ""}, false, true},
		{Key{x, f}, Key{x, g}, true, false},
		{Key{x, f}, Key{y, f}, false, true}, // a filler beside key IDs
		{Key{x, f}, Key{y, g}, false, true},
		{Key{x, ""}, Key{x, f}, true, false},
		{Key{x, ""}, Key{y, f}, false, true},
		{Key{x, ""}, Key{"", f}, false, false}, // nothing to compare
		{Key{"", f}, Key{"", f}, true, false},
		{Key{"", f}, Key{"", g}, false, true},
		{Key{"", f}, Key{x, f}, true, false}, // upgraded
		{Key{"", f}, Key{x, g}, false, true},
	} {
		for _, pair := range [][2]Key{{c.a, c.b}, {c.b, c.a}} {
			a, b := pair[0], pair[1]
			if a.same(b) != c.same || a.differs(b) != c.differs {
				t.Errorf("%v and %v: same %v, want %v; differs %v, want %v", a, b, a.same(b), c.same, a.differs(b), c.differs)
			}
			found := slices.ContainsFunc(a.finds(), func(part string) bool { return slices.Contains(b.foundBy(), part) })
			if found != c.same {
				t.Errorf("%v finds %v: %v, want %v", a, b, found, c.same)
			}
		}
	}
}

func TestKeyOfSettings(t *testing.T) {
	for _, c := range []struct {
		keyID, fingerprint string
		key                Key
		identity           Identity
		idle               string
	}{
		{"", "", Key{}, Identity{}, ""},
		{"X", "F", Key{"X", "F"}, Identity{RawPublicKey, "X"}, "F"},
		{"X", "", Key{"X", ""}, Identity{RawPublicKey, "X"}, ""},
		{"", "F", Key{"", "F"}, Identity{OpenPGPKey, "F"}, ""},
		{emptyKeyID, "F", Key{"", "F"}, Identity{}, "F"}, // names nobody, and is a key ID all the same
	} {
		s := Settings{KeyID: c.keyID, Fingerprint: c.fingerprint}
		if s.key() != c.key || s.identity() != c.identity || s.idleFingerprint() != c.idle {
			t.Errorf("%q and %q: key %v, identity %v, idle fingerprint %q", c.keyID, c.fingerprint, s.key(), s.identity(), s.idleFingerprint())
		}
	}
}

// TestAbsentNamesakeIsTheFirstByName: the same is told each time.
func TestAbsentNamesakeIsTheFirstByName(t *testing.T) {
	one, two := host("a1", keyA), host("a2", keyA)
	for _, order := range [][]Settings{{one, two}, {two, one}} {
		inWorld(t, order, func(w *world) {
			w.must(w.Remove(context.Background(), admin, order[0].Name))
			w.must(w.Remove(context.Background(), admin, order[1].Name))
			w.fetch(keyA)
			if note := w.lastEvent(NotFound).Note; note != "client a1 has that key, and was removed" {
				t.Errorf("told %q", note)
			}
			w.signals()
			w.fetch(keyB)
			if note := w.lastEvent(NotFound).Note; note != "" {
				t.Errorf("of a key that nobody has: told %q", note)
			}
		})
	}
}

// TestOneKeyInTwoSections: whoever lowers one of them means the host, which has one key.
func TestOneKeyInTwoSections(t *testing.T) {
	ctx := context.Background()
	one, two := host("one", keyA), host("two", keyA)
	for sentence, c := range map[string]struct {
		do   func(*world)
		want Refusal // none: it gets its secret
		note string
	}{
		"it is served while both are valid":                          {func(*world) {}, "", ""},
		"it is refused when the first is disabled":                   {func(w *world) { w.must(w.Disable(ctx, admin, "one")) }, IsDisabled, ""},
		"it is refused when the other is disabled":                   {func(w *world) { w.must(w.Disable(ctx, admin, "two")) }, OtherIsDisabled, "client two has the same key, and is disabled; give each client its own"},
		"it is refused when the first is removed":                    {func(w *world) { w.must(w.Remove(ctx, admin, "one")) }, OtherIsDisabled, "client one has the same key, and was removed; give each client its own"},
		"it is refused when the other is removed":                    {func(w *world) { w.must(w.Remove(ctx, admin, "two")) }, OtherIsDisabled, "client two has the same key, and was removed; give each client its own"},
		"it is served when the one that was disabled is enabled":     {func(w *world) { w.must(w.Disable(ctx, admin, "two")); w.must(w.Enable(ctx, admin, "two")) }, "", ""},
		"it is served when the one that was removed is brought back": {func(w *world) { w.must(w.Remove(ctx, admin, "two")); w.must(w.Enable(ctx, admin, "two")) }, "", ""},
		"it is refused when the other has expired": {func(w *world) {
			w.must(w.Update(ctx, admin, "two", Update{PropTimeout: time.Second}))
			w.checks.behave(fail)
			w.pass(2 * time.Second)
		}, OtherIsDisabled, "client two has the same key, and is disabled; give each client its own"},
		"it is served when the other has another key by then": {func(w *world) {
			w.must(w.Disable(ctx, admin, "two"))
			w.reload([]Settings{one, host("two", keyB)})
		}, "", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{one, two}, func(w *world) {
				c.do(w)
				if _, refusal := w.fetch(keyA); refusal != c.want {
					t.Errorf("refused: %q, want %q", refusal, c.want)
				}
				if c.want == "" {
					return
				}
				if event := w.lastEvent(Rejected); event.Note != c.note {
					t.Errorf("noted: %q, want %q", event.Note, c.note)
				}
			})
		})
	}
}

// TestLoweringOneSectionEndsTheWaitForTheOther: at once, as if that had been lowered.
func TestLoweringOneSectionEndsTheWaitForTheOther(t *testing.T) {
	ctx := context.Background()
	one, two := host("one", keyA), host("two", keyA)
	one.ApprovalDelay = time.Hour
	for sentence, lower := range map[string]func(*world){
		"disabled": func(w *world) { w.must(w.Disable(ctx, admin, "two")) },
		"removed":  func(w *world) { w.must(w.Remove(ctx, admin, "two")) },
	} {
		t.Run(sentence, func(t *testing.T) {
			inWorld(t, []Settings{one, two}, func(w *world) {
				o := w.fetchInBackground(ctx, keyA)
				w.want(o, "waiting")
				lower(w)
				w.pass(0)
				w.want(o, string(OtherIsDisabled))
			})
		})
	}
}
