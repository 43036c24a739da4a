// SPDX-License-Identifier: Apache-2.0

package keytlstest_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// TestPeerAgainstGnuTLS holds the peer against a client that is not ours.
func TestPeerAgainstGnuTLS(t *testing.T) {
	program, err := exec.LookPath("gnutls-cli")
	if err != nil {
		t.Fatalf("this test needs gnutls-cli: install the package gnutls-bin: %v", err)
	}
	tests := map[string]struct {
		kind keytlstest.KeyKind
		peer keytlstest.Peer
	}{
		"the plainest":             {kind: keytlstest.Ed25519},
		"AES-128":                  {kind: keytlstest.Ed25519, peer: keytlstest.Peer{CipherSuite: keytls.TLS_AES_128_GCM_SHA256}},
		"AES-256":                  {kind: keytlstest.Ed25519, peer: keytlstest.Peer{CipherSuite: keytls.TLS_AES_256_GCM_SHA384}},
		"ChaCha20":                 {kind: keytlstest.Ed25519, peer: keytlstest.Peer{CipherSuite: keytls.TLS_CHACHA20_POLY1305_SHA256}},
		"a HelloRetryRequest":      {kind: keytlstest.Ed25519, peer: keytlstest.Peer{Group: keytls.SECP521R1}},
		"a cookie":                 {kind: keytlstest.Ed25519, peer: keytlstest.Peer{Group: keytls.SECP384R1, Cookie: []byte("biscuit")}},
		"padding and one record":   {kind: keytlstest.Ed25519, peer: keytlstest.Peer{Padding: 100, Coalesce: true}},
		"tickets":                  {kind: keytlstest.Ed25519, peer: keytlstest.Peer{Tickets: 2}},
		"ECDSA P-256":              {kind: keytlstest.ECDSAP256},
		"ECDSA P-521":              {kind: keytlstest.ECDSAP521},
		"Ed448":                    {kind: keytlstest.Ed448},
		"RSA":                      {kind: keytlstest.RSA2048},
		"RSA-PSS":                  {kind: keytlstest.RSAPSS2048},
		"a record for three bytes": {kind: keytlstest.Ed25519, peer: keytlstest.Peer{RecordSize: 3}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			listener.(*net.TCPListener).SetDeadline(time.Now().Add(2 * time.Minute))
			_, port, _ := net.SplitHostPort(listener.Addr().String())
			client := exec.CommandContext(t.Context(), program, "--no-ca-verification", "--port", port,
				"--priority", "NORMAL:-CTYPE-SRV-ALL:+CTYPE-SRV-RAWPK:-VERS-ALL:+VERS-TLS1.3:+SIGN-EDDSA-ED448", "127.0.0.1")
			client.Stdin = strings.NewReader("the secret\n")
			var output strings.Builder
			client.Stdout, client.Stderr = &output, &output
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(2 * time.Minute))
			test.peer.Key = keytlstest.NewKey(test.kind)
			secret, err := test.peer.Fetch(conn)
			conn.Close()
			client.Wait()
			if err != nil || string(secret) != "the secret\n" {
				t.Errorf("fetched %q, %v; gnutls-cli said:\n%s", secret, err, output.String())
			}
		})
	}
}
