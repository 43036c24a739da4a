// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mandos/server/client"
	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// newSiteForBoth is a site whose hello depends on its clients, which are host1 and
// those that are added.
func newSiteForBoth(t testing.TB, more ...client.Settings) *site {
	t.Helper()
	s := newSite(t, DefaultLimits, nil)
	s.server = New(s.Registry, keytls.Config{OpenPGP: s.NeedsOpenPGP}, DefaultLimits, s, slog.New(slog.NewTextHandler(s.log, nil)))
	one, _ := s.Client("host1")
	if _, err := s.Reload(t.Context(), client.FromConfiguration, append([]client.Settings{one.Settings}, more...)); err != nil {
		t.Fatal(err)
	}
	return s
}

// oldClient is a client's settings with only a fingerprint.
func oldClient(s client.Settings, name, fingerprint string) client.Settings {
	s.Name, s.KeyID, s.Fingerprint = name, "", fingerprint
	s.Secret = client.NewSecret([]byte("the secret of " + name))
	return s
}

var settingsOfOld = client.Settings{
	Checker: ":", Timeout: time.Hour, ExtendedTimeout: 2 * time.Hour, Interval: 30 * time.Minute,
	ApprovalDuration: time.Second, ApprovedByDefault: true, Enabled: true,
}

func openPGPKey(t testing.TB, kind keytlstest.OpenPGPKind) *keytlstest.OpenPGPKey {
	t.Helper()
	key, err := keytlstest.NewOpenPGPKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// visit is what a Mandos client does, with any peer.
func visit(t testing.TB, port string, peer *keytlstest.Peer) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort("::1", port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	io.WriteString(conn, "1\r\n")
	got, err := peer.Fetch(conn)
	return string(got), err
}

func TestBothGenerationsOnOnePort(t *testing.T) {
	rsa, dsa := openPGPKey(t, keytlstest.OpenPGPRSA2048), openPGPKey(t, keytlstest.OpenPGPDSA2048)
	s := newSiteForBoth(t, oldClient(settingsOfOld, "rsa", rsa.Fingerprint()), oldClient(settingsOfOld, "dsa", dsa.Fingerprint()))
	port := s.onLoopback(t)
	peers := map[string]*keytlstest.Peer{
		secret:              {Key: s.key},
		"the secret of rsa": {OpenPGP: rsa},
		"the secret of dsa": {OpenPGP: dsa, NoExtendedMasterSecret: true},
		"":                  {Key: keytlstest.NewKey(keytlstest.Ed25519)},
	}
	const rounds, workers = 25, 4
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for range rounds {
				for want, peer := range peers {
					if got, err := visit(t, port, peer); err != nil || got != want {
						t.Errorf("got %q, %v, want %q", got, err, want)
					}
				}
			}
		})
	}
	running.Wait()
	eventually(t, func() bool {
		sent := 0
		for _, kind := range s.events(t) {
			if kind == client.SecretSent {
				sent++
			}
		}
		return sent == rounds*workers*3
	}, func() string { return "not every secret counts as sent" })
	for name, want := range map[string]client.KeyKind{"host1": client.RawPublicKey, "rsa": client.OpenPGPKey, "dsa": client.OpenPGPKey} {
		if view, _ := s.Client(name); view.LastHandoutKey != want {
			t.Errorf("%s was last served by %q, want %q", name, view.LastHandoutKey, want)
		}
	}
}

func TestOpenPGPIsOfferedWhileItIsNeeded(t *testing.T) {
	key := openPGPKey(t, keytlstest.OpenPGPRSA2048)
	s := newSiteForBoth(t, oldClient(settingsOfOld, "old", key.Fingerprint()))
	port := s.onLoopback(t)
	peer := &keytlstest.Peer{OpenPGP: key}
	refused := func(when string) {
		t.Helper()
		if got, err := visit(t, port, peer); err == nil || !strings.Contains(err.Error(), "client offers no OpenPGP certificates") {
			t.Errorf("%s: got %q, %v", when, got, err)
		}
	}
	served := func(when string) {
		t.Helper()
		if got, err := visit(t, port, peer); err != nil || got != "the secret of old" {
			t.Errorf("%s: got %q, %v", when, got, err)
		}
	}
	identified := func(when string, kind client.EventKind, note string) {
		t.Helper()
		if got, err := visit(t, port, peer); err != nil || got != "" {
			t.Errorf("%s: got %q, %v", when, got, err)
		}
		eventually(t, func() bool {
			s.events(t)
			s.mu.Lock()
			defer s.mu.Unlock()
			last := s.told[len(s.told)-1]
			return last.Kind == kind && last.Note == note
		}, func() string { return fmt.Sprintf("%s: told %v", when, s.events(t)) })
	}
	served("at first")
	if err := s.Disable(t.Context(), client.FromConfiguration, "old"); err != nil {
		t.Fatal(err)
	}
	identified("when disabled", client.Rejected, "")
	if err := s.Enable(t.Context(), client.FromConfiguration, "old"); err != nil {
		t.Fatal(err)
	}
	served("when enabled again")
	if err := s.Remove(t.Context(), client.FromConfiguration, "old"); err != nil {
		t.Fatal(err)
	}
	identified("when removed", client.NotFound, "client old has that key, and was removed")
	one, _ := s.Client("host1")
	if _, err := s.Reload(t.Context(), client.FromConfiguration, []client.Settings{one.Settings}); err != nil {
		t.Fatal(err)
	}
	identified("when gone", client.NotFound, "client old had that key, and is gone from the configuration")
	if err := s.Forget(t.Context(), client.FromConfiguration, "old"); err != nil {
		t.Fatal(err)
	}
	refused("when forgotten")
	eventually(t, func() bool {
		return strings.Contains(s.log.String(), "it needs an entry with its fingerprint and without key_id")
	}, s.log.String)
}

// TestClientWithAKeyIDIsNotMatchedByItsFingerprint: an old key that is still in the
// configuration opens nothing.
func TestClientWithAKeyIDIsNotMatchedByItsFingerprint(t *testing.T) {
	upgraded, old := openPGPKey(t, keytlstest.OpenPGPRSA2048), openPGPKey(t, keytlstest.OpenPGPRSA2048)
	both := oldClient(settingsOfOld, "upgraded", upgraded.Fingerprint())
	both.KeyID = strings.Repeat("A", 64)
	s := newSiteForBoth(t, both, oldClient(settingsOfOld, "old", old.Fingerprint()))
	port := s.onLoopback(t)
	if got, err := visit(t, port, &keytlstest.Peer{OpenPGP: upgraded}); err != nil || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
	eventually(t, func() bool {
		return fmt.Sprint(s.events(t)) == fmt.Sprint([]client.EventKind{client.Added, client.Added, client.NotFound})
	},
		func() string { return fmt.Sprint(s.events(t)) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if note := s.told[len(s.told)-1].Note; !strings.Contains(note, "client upgraded has that fingerprint, but also a key_id, and is known by that alone") {
		t.Errorf("the note is %q", note)
	}
}
