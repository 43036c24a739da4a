// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"slices"
	"testing"
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
