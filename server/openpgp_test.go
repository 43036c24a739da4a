// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mandos/server/keytls/keytlstest"
)

// oldSection is a clients.conf section for an OpenPGP key.
func oldSection(name string, key *keytlstest.OpenPGPKey) string {
	return fmt.Sprintf("[%s]\nfingerprint = %s\nsecret = b2xkIHNlY3JldA==\nchecker = :\n", name, key.Fingerprint())
}

func fetchWith(port string, peer *keytlstest.Peer) (string, error) {
	conn, err := net.Dial("tcp", net.JoinHostPort("localhost", port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "1\r\n")
	secret, err := peer.Fetch(conn)
	return string(secret), err
}

func TestClientsOfBothGenerations(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	old, err := keytlstest.NewOpenPGPKey(keytlstest.OpenPGPRSA2048)
	if err != nil {
		t.Fatal(err)
	}
	s, server := onBus(t, section("new", key, "")+oldSection("old", old))
	for name, visit := range map[string]struct {
		peer            *keytlstest.Peer
		secret, keyType string
	}{
		"new": {&keytlstest.Peer{Key: key}, "secret", "raw-public-key"},
		"old": {&keytlstest.Peer{OpenPGP: old}, "old secret", "openpgp-key"},
	} {
		if got, err := fetchWith(s.port, visit.peer); err != nil || got != visit.secret {
			t.Errorf("%s: got %q, %v\n%s", name, got, err, s.log())
		}
		var got string
		eventually(t, func() bool { // once the server has heard the good-bye
			got = string(clientNamed(t, server, name).LastHandoutKey)
			return got != ""
		}, s.log)
		if got != visit.keyType || !strings.Contains(s.log(), fmt.Sprintf("key_type=%s", visit.keyType)) {
			t.Errorf("%s was last served by %q; the log:\n%s", name, got, s.log())
		}
	}
}

// TestRealClientWhileOpenPGPIsOffered: today's mandos-client takes no notice of what
// the hello has for the old ones.
func TestRealClientWhileOpenPGPIsOffered(t *testing.T) {
	d := realClient(t)
	old, err := keytlstest.NewOpenPGPKey(keytlstest.OpenPGPDSA2048)
	if err != nil {
		t.Fatal(err)
	}
	keys, keyID := tlsKey(t, "--key-type", "ed25519")
	s := startServer(t, d.clientsConf(keyID, "")+oldSection("old", old), "--no-dbus")
	for range 3 {
		if got, err := d.fetch(t, "::1:"+s.port, keys, patience); err != nil || got != password {
			t.Errorf("mandos-client got %q, %v\n%s", got, err, s.log())
		}
		if got, err := fetchWith(s.port, &keytlstest.Peer{OpenPGP: old}); err != nil || got != "old secret" {
			t.Errorf("the old client got %q, %v\n%s", got, err, s.log())
		}
	}
}

func TestPriorityDecidesWhatIsOffered(t *testing.T) {
	old, err := keytlstest.NewOpenPGPKey(keytlstest.OpenPGPRSA2048)
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, oldSection("old", old), "--no-dbus", "--debuglevel", "debug", "--priority", "NORMAL:+CTYPE-RAWPK:-CTYPE-OPENPGP:-CHACHA20-POLY1305")
	if got, err := fetchWith(s.port, &keytlstest.Peer{OpenPGP: old}); err == nil {
		t.Errorf("got %q", got)
	}
	for _, says := range []string{
		"1 clients with only a fingerprint cannot be served",
		"offer.openpgp_certificates=never",
		`offer.cipher_suites="TLS_AES_256_GCM_SHA384 TLS_AES_128_GCM_SHA256"`,
	} {
		if !strings.Contains(s.log(), says) {
			t.Errorf("the log does not say %s:\n%s", says, s.log())
		}
	}
}

func TestBadPriorityStopsTheStart(t *testing.T) {
	for priority, says := range map[string]string{
		"NORMAL:+CTYPE-RAWPK:+AES-255-GCM": `"+AES-255-GCM" in the priority string: GnuTLS knows no such word`,
		"NORMAL":                           "add +CTYPE-RAWPK for clients with a key_id",
	} {
		out, err := exec.CommandContext(t.Context(), mandos(t), "--foreground", "--configdir", t.TempDir(), "--statedir", t.TempDir(), "--priority", priority).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitUsage || !strings.Contains(string(out), says) {
			t.Errorf("%s: %v\n%s", priority, err, out)
		}
	}
}
