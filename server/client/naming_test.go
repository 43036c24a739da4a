// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestObjectPathIsUpstreamsWhereThatIsValid(t *testing.T) {
	for name, want := range map[string]string{
		"host1":             "/clients/host1",
		"foo-1.example.org": "/clients/foo_1_example_org",
		"foo/bar":           "/clients/foo/bar",
		"foo bar":           "/clients/foo_20bar",
		"grün":              "/clients/gr_c3_bcn",
		"/":                 "/clients/_00",
		"a//b":              "/clients/a_00_00b",
	} {
		if got := objectPath(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestNamesWithOneObjectPathAreBothServed(t *testing.T) {
	inWorld(t, []Settings{host("a.b", keyA), host("a-b", keyB)}, func(w *world) {
		first, second := w.client("a.b"), w.client("a-b")
		if first.ObjectPath != "/clients/a_b" || !strings.HasPrefix(second.ObjectPath, "/clients/a_b_") {
			t.Errorf("%s and %s", first.ObjectPath, second.ObjectPath)
		}
		if v, ok := w.ClientAt(second.ObjectPath); !ok || v.Name != "a-b" {
			t.Errorf("%s is %q", second.ObjectPath, v.Name)
		}
		for _, key := range []string{keyA, keyB} {
			if _, why := w.fetch(key); why != "" {
				t.Error(why)
			}
		}
	})
}

func TestWhoIsFoundByWhichKey(t *testing.T) {
	const fingerprint = "3E393AEAEFB84C7E89E2F547B3A107558FCA3A27"
	both, old := host("both", keyA), host("old", "")
	both.Fingerprint, old.Fingerprint = fingerprint, strings.Repeat("F", 40)
	nobody := host("nobody", emptyKeyID)
	second := host("second", keyA)
	inWorld(t, []Settings{both, old, nobody, second}, func(w *world) {
		for sentence, c := range map[string]struct {
			id   Identity
			want string
		}{
			"a key ID finds its client, the first of that ID":        {Identity{RawPublicKey, keyA}, "both"},
			"a fingerprint finds a client that has nothing else":     {Identity{OpenPGPKey, old.Fingerprint}, "old"},
			"a fingerprint does not find a client that has a key ID": {Identity{OpenPGPKey, fingerprint}, ""},
			"a key ID is no fingerprint":                             {Identity{OpenPGPKey, keyA}, ""},
			"the key ID of nothing finds nobody":                     {Identity{RawPublicKey, emptyKeyID}, ""},
			"no identity finds nobody":                               {Identity{}, ""},
			"an empty key ID finds nobody":                           {Identity{Kind: RawPublicKey}, ""},
			"a key ID in lower case finds nobody, as it is not ours": {Identity{RawPublicKey, strings.ToLower(keyA)}, ""},
			"an empty fingerprint finds nobody":                      {Identity{Kind: OpenPGPKey}, ""},
			"a key ID that no client has finds nobody":               {Identity{RawPublicKey, keyB}, ""},
		} {
			h, err := w.Release(context.Background(), c.id, Origin{Address: somewhere})
			if err != nil {
				if c.want != "" {
					t.Errorf("%s: %v", sentence, err)
				}
				continue
			}
			h.Received("")
			if h.Client != c.want {
				t.Errorf("%s: found %q", sentence, h.Client)
			}
		}
		w.reload([]Settings{old, nobody, second})
		if h, err := w.Release(context.Background(), Identity{RawPublicKey, keyA}, Origin{Address: somewhere}); err != nil || h.Client != "second" {
			t.Errorf("after the first of a key ID had gone: %v", err)
		}
	})
}

func TestSecretIsNeverPrinted(t *testing.T) {
	const plain = "correct horse battery staple"
	secret := NewSecret([]byte(plain))
	settings := host("a", keyA)
	settings.Secret = secret
	type hidden struct{ settings Settings }
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("m", "secret", secret, "settings", settings)
	encoded, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{logged.String(), string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{secret, &secret, settings, &settings, hidden{settings}, []Secret{secret}} {
			out = append(out, fmt.Sprintf(verb, value))
		}
	}
	for _, text := range out {
		for _, form := range []string{plain, fmt.Sprintf("%x", plain), "Y29ycmVjdC"} {
			if strings.Contains(text, form) {
				t.Errorf("printed as %s", text)
			}
		}
	}
	if string(secret.Bytes()) != plain || secret != NewSecret([]byte(plain)) || secret == NewSecret(nil) {
		t.Error("the secret is not itself")
	}
}
