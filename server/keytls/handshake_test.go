// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// meeting is a client and a peer that have tried a handshake.
type meeting struct {
	client    *keytls.Conn
	server    *keytlstest.Conn
	identity  keytls.Identity
	err       error // the client's
	serverErr error
}

// meet lets a client with config and peer do a handshake.
func meet(t *testing.T, peer *keytlstest.Peer, config *keytls.Config) *meeting {
	t.Helper()
	near, far := pipe()
	return meetOver(t, near, far, peer, config)
}

// meetOver is meet over a given connection.
func meetOver(t *testing.T, near, far net.Conn, peer *keytlstest.Peer, config *keytls.Config) *meeting {
	t.Helper()
	t.Cleanup(func() { near.Close(); far.Close() })
	m := &meeting{client: keytls.Client(near, config), server: peer.Server(far)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.serverErr = m.server.Handshake()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m.identity, m.err = m.client.Handshake(ctx)
	if m.err != nil && !errors.Is(m.err, keytls.ErrUnknownKey) {
		near.Close()
	}
	<-done
	return m
}

var anEd25519Key = keytlstest.NewKey(keytlstest.Ed25519)

func TestPeersThatKeepToTheRFC(t *testing.T) {
	ed25519 := keytlstest.Ed25519
	tests := map[string]struct {
		kind   keytlstest.KeyKind
		peer   keytlstest.Peer
		config keytls.Config
		want   keytls.State
	}{
		"the plainest": {kind: ed25519},
		"AES-256":      {kind: ed25519, peer: keytlstest.Peer{CipherSuite: keytls.TLS_AES_256_GCM_SHA384}, want: keytls.State{CipherSuite: keytls.TLS_AES_256_GCM_SHA384}},
		"ChaCha20":     {kind: ed25519, peer: keytlstest.Peer{CipherSuite: keytls.TLS_CHACHA20_POLY1305_SHA256}, want: keytls.State{CipherSuite: keytls.TLS_CHACHA20_POLY1305_SHA256}},
		"another group than the key share's": {
			kind: ed25519, peer: keytlstest.Peer{Group: keytls.SECP521R1},
			want: keytls.State{Group: keytls.SECP521R1, Retried: true}},
		"a cookie and the same key share": {
			kind: ed25519, peer: keytlstest.Peer{Cookie: []byte("biscuit")}, want: keytls.State{Retried: true}},
		"a cookie and another group with SHA-384": {
			kind: ed25519, peer: keytlstest.Peer{Cookie: []byte("biscuit"), Group: keytls.SECP384R1, CipherSuite: keytls.TLS_AES_256_GCM_SHA384},
			want: keytls.State{Group: keytls.SECP384R1, CipherSuite: keytls.TLS_AES_256_GCM_SHA384, Retried: true}},
		"a cookie as long as a message may be": {
			kind: ed25519, peer: keytlstest.Peer{Cookie: make([]byte, 16000)}, want: keytls.State{Retried: true}},
		"a CertificateRequest": {kind: ed25519, peer: keytlstest.Peer{RequestCertificate: true}},
		"a CertificateRequest after a HelloRetryRequest": {
			kind: ed25519, peer: keytlstest.Peer{RequestCertificate: true, Cookie: []byte("x")}, want: keytls.State{Retried: true}},
		"tickets":                            {kind: ed25519, peer: keytlstest.Peer{Tickets: 4}},
		"padding":                            {kind: ed25519, peer: keytlstest.Peer{Padding: 1000}},
		"one byte in each record":            {kind: ed25519, peer: keytlstest.Peer{RecordSize: 1, Padding: 3}},
		"three bytes in each record":         {kind: ed25519, peer: keytlstest.Peer{RecordSize: 3, Coalesce: true}},
		"all messages in one record":         {kind: ed25519, peer: keytlstest.Peer{Coalesce: true}},
		"an Ed448 key":                       {kind: keytlstest.Ed448, want: keytls.State{SignatureScheme: keytls.ED448}},
		"a P-256 key":                        {kind: keytlstest.ECDSAP256, want: keytls.State{SignatureScheme: keytls.ECDSA_SECP256R1_SHA256}},
		"a P-384 key":                        {kind: keytlstest.ECDSAP384, want: keytls.State{SignatureScheme: keytls.ECDSA_SECP384R1_SHA384}},
		"a P-521 key":                        {kind: keytlstest.ECDSAP521, want: keytls.State{SignatureScheme: keytls.ECDSA_SECP521R1_SHA512}},
		"an RSA key":                         {kind: keytlstest.RSA2048, want: keytls.State{SignatureScheme: keytls.RSA_PSS_RSAE_SHA256}},
		"an RSA-PSS key and SHA-512":         {kind: keytlstest.RSAPSS2048, peer: keytlstest.Peer{SignatureScheme: keytls.RSA_PSS_PSS_SHA512}, want: keytls.State{SignatureScheme: keytls.RSA_PSS_PSS_SHA512}},
		"supported_groups in its EE":         {kind: ed25519, peer: keytlstest.Peer{Message: edit("EncryptedExtensions", addExtension(10, "\x00\x02\x00\x1d"))}},
		"user_canceled on the way":           {kind: ed25519, peer: keytlstest.Peer{Record: before(0, keytlstest.Record{Type: keytlstest.AlertRecord, Content: []byte{1, 90}})}},
		"an old version in its first record": {kind: ed25519, peer: keytlstest.Peer{Wire: oldRecordVersion()}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.peer.Key = keytlstest.NewKey(test.kind)
			m := meet(t, &test.peer, &test.config)
			if m.err != nil || m.serverErr != nil {
				t.Fatalf("handshake: client %v, server %v", m.err, m.serverErr)
			}
			if m.identity != (keytls.Identity{Kind: keytls.KeyID, Hex: test.peer.Key.KeyID()}) {
				t.Errorf("identity %v, want %v", m.identity, test.peer.Key.KeyID())
			}
			want := keytls.State{Version: keytls.VersionTLS13, CipherSuite: keytls.TLS_AES_128_GCM_SHA256, Group: keytls.X25519, SignatureScheme: keytls.ED25519}
			want.Retried = test.want.Retried
			want.CipherSuite = max(want.CipherSuite, test.want.CipherSuite)
			if test.want.Group != 0 {
				want.Group = test.want.Group
			}
			if test.want.SignatureScheme != 0 {
				want.SignatureScheme = test.want.SignatureScheme
			}
			if got := m.client.ConnectionState(); got != want {
				t.Errorf("state %+v, want %+v", got, want)
			}
			exchangeSecret(t, m)
		})
	}
}

// oldRecordVersion changes the version in the header of the first record, which
// "MUST be ignored for all purposes" (RFC 8446, section 5.1).
func oldRecordVersion() func([]byte) []byte {
	done := false
	return func(b []byte) []byte {
		if !done {
			b[1], b[2], done = 1, 1, true
		}
		return b
	}
}

// exchangeSecret sends a secret to the peer and closes in order on both sides.
func exchangeSecret(t *testing.T, m *meeting) {
	t.Helper()
	secret := bytes.Repeat([]byte("secret"), 5000) // more than a record
	if n, err := m.client.Write(secret); n != len(secret) || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
	if err := m.client.CloseWrite(); err != nil {
		t.Fatalf("close_notify: %v", err)
	}
	if got, err := io.ReadAll(m.server); err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("the peer read %d bytes, %v", len(got), err)
	}
	if err := m.server.CloseWrite(); err != nil {
		t.Fatalf("the peer's close_notify: %v", err)
	}
	if rest, err := io.ReadAll(m.client); len(rest) != 0 || err != nil {
		t.Fatalf("read until close_notify: %q, %v", rest, err)
	}
}

func TestFetchGetsWhatWasWritten(t *testing.T) {
	near, far := pipe()
	defer near.Close()
	result := make(chan error, 1)
	var secret []byte
	go func() {
		var err error
		secret, err = (&keytlstest.Peer{Key: anEd25519Key}).Fetch(far)
		result <- err
	}()
	conn := keytls.Client(near, &keytls.Config{})
	if _, err := conn.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "hello")
	conn.CloseWrite()
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("waiting for the peer's close_notify: %v", err)
	}
	if err := <-result; err != nil || string(secret) != "hello" {
		t.Errorf("fetched %q, %v", secret, err)
	}
}

func TestHelloOffersWhatIsConfiguredAndNothingElse(t *testing.T) {
	config := &keytls.Config{
		CipherSuites:     []keytls.CipherSuite{keytls.TLS_CHACHA20_POLY1305_SHA256, keytls.TLS_AES_128_GCM_SHA256},
		Groups:           []keytls.Group{keytls.SECP384R1, keytls.X25519},
		SignatureSchemes: []keytls.SignatureScheme{keytls.ED448, keytls.ED25519},
	}
	m := meet(t, &keytlstest.Peer{Key: anEd25519Key}, config)
	if m.err != nil {
		t.Fatal(m.err)
	}
	hello := m.server.Hello()
	if !slices.Equal(hello.CipherSuites, config.CipherSuites) || !slices.Equal(hello.Groups, config.Groups) || !slices.Equal(hello.SignatureSchemes, config.SignatureSchemes) {
		t.Errorf("offered %v, %v, %v", hello.CipherSuites, hello.Groups, hello.SignatureSchemes)
	}
	if len(hello.Shares) != 1 || hello.Shares[0].Group != keytls.SECP384R1 {
		t.Errorf("key shares %v, want one for the first group", hello.Shares)
	}
	if want := []uint16{20, 10, 13, 43, 51}; !slices.Equal(hello.Extensions, want) {
		t.Errorf("extensions %v, want %v", hello.Extensions, want)
	}
	if len(hello.SessionID) != 32 || !slices.Equal(hello.Versions, []keytls.Version{keytls.VersionTLS13}) || !bytes.Equal(hello.CertificateTypes, []byte{2}) {
		t.Errorf("session ID %x, versions %v, certificate types %v", hello.SessionID, hello.Versions, hello.CertificateTypes)
	}
}

func TestConfigurationThatOffersNothingUsableIsAnError(t *testing.T) {
	for name, config := range map[string]*keytls.Config{
		"cipher suite 0x1304 is not implemented":     {CipherSuites: []keytls.CipherSuite{0x1304}},
		"group 0x001e is not implemented":            {Groups: []keytls.Group{0x1e}},
		"signature scheme 0x0203 is not implemented": {SignatureSchemes: []keytls.SignatureScheme{0x0203}},
		"offers no keytls.Group at all":              {Groups: []keytls.Group{}},
		"nothing for raw public keys, and nothing": {
			CipherSuites: []keytls.CipherSuite{keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}},
		"nothing for raw public keys": {
			SignatureSchemes: []keytls.SignatureScheme{keytls.RSA_PKCS1_SHA384}},
		"nothing for OpenPGP certificates": {
			CipherSuites:     []keytls.CipherSuite{keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
			SignatureSchemes: []keytls.SignatureScheme{keytls.ED25519}, OpenPGP: always},
	} {
		near, _ := pipe()
		_, err := keytls.Client(near, config).Handshake(t.Context())
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one that says %q", err, name)
		}
	}
}

func TestUnknownKeyGetsACompleteHandshakeAndNothingElse(t *testing.T) {
	for name, peer := range map[string]*keytlstest.Peer{
		"with a good signature": {Key: anEd25519Key},
		"with a bad signature, which is not looked at": {Key: anEd25519Key, Sign: func([]byte) (keytls.SignatureScheme, []byte) {
			return keytls.ED25519, make([]byte, 64)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []keytls.Identity
			m := meet(t, peer, &keytls.Config{Known: func(i keytls.Identity) bool {
				asked = append(asked, i)
				return false
			}})
			if !errors.Is(m.err, keytls.ErrUnknownKey) || m.serverErr != nil {
				t.Fatalf("handshake: client %v, server %v", m.err, m.serverErr)
			}
			if m.identity.Hex != anEd25519Key.KeyID() || !slices.Equal(asked, []keytls.Identity{m.identity}) {
				t.Errorf("identity %v, asked for %v", m.identity, asked)
			}
			partsWithNothing(t, m.client, m.server)
		})
	}
}

// partsWithNothing closes a session with a peer whose key is unknown, after which
// the peer must have got nothing.
func partsWithNothing(t *testing.T, client *keytls.Conn, server *keytlstest.Conn) {
	t.Helper()
	if n, err := client.Write([]byte("secret")); n != 0 || !errors.Is(err, keytls.ErrUnknownKey) {
		t.Errorf("write: %d, %v", n, err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Errorf("close_notify: %v", err)
	}
	if got, err := io.ReadAll(server); len(got) != 0 || err != nil {
		t.Errorf("the peer read %q, %v", got, err)
	}
	server.CloseWrite()
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
}

func TestKnownKeyIsAskedForOnceBeforeTheSignature(t *testing.T) {
	asked := 0
	m := meet(t, &keytlstest.Peer{Key: anEd25519Key, Message: edit("CertificateVerify", flipLastBit)},
		&keytls.Config{Known: func(keytls.Identity) bool { asked++; return true }})
	if asked != 1 || alertOf(m.err) != keytls.AlertDecryptError {
		t.Errorf("asked %d times, then %v", asked, m.err)
	}
	if m.identity.Hex != anEd25519Key.KeyID() {
		t.Errorf("identity for the log: %v", m.identity)
	}
}

func TestNothingCanBeDoneBeforeTheHandshake(t *testing.T) {
	near, _ := pipe()
	conn := keytls.Client(near, &keytls.Config{})
	if _, err := conn.Write([]byte("x")); !errors.Is(err, keytls.ErrNotEstablished) {
		t.Errorf("write: %v", err)
	}
	if err := conn.CloseWrite(); !errors.Is(err, keytls.ErrNotEstablished) {
		t.Errorf("close_notify: %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, keytls.ErrNotEstablished) {
		t.Errorf("read: %v", err)
	}
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	t.Run("at a deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			go io.Copy(io.Discard, far) // takes the hello and never answers
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			begin := time.Now()
			_, err := keytls.Client(near, &keytls.Config{}).Handshake(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 30*time.Second {
				t.Errorf("after %v: %v", time.Since(begin), err)
			}
		})
	})
	t.Run("cancelled with a cause", func(t *testing.T) {
		near, _ := pipe()
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("the server is stopping")
		cancel(cause)
		conn := keytls.Client(near, &keytls.Config{})
		if _, err := conn.Handshake(ctx); !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
		if _, err := conn.Write([]byte("x")); err == nil {
			t.Error("could write afterwards")
		}
	})
	t.Run("cancelled after it is done, without effect", func(t *testing.T) {
		near, far := pipe()
		defer near.Close()
		go (&keytlstest.Peer{Key: anEd25519Key}).Fetch(far)
		ctx, cancel := context.WithCancel(t.Context())
		conn := keytls.Client(near, &keytls.Config{})
		if _, err := conn.Handshake(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Errorf("write: %v", err)
		}
	})
}

func TestPeerThatGoesAwayIsAnUnexpectedEOF(t *testing.T) {
	for name, answer := range map[string]string{
		"at once":                 "",
		"within a header":         "\x16\x03",
		"within a record":         "\x16\x03\x03\x00\x20\x02",
		"with close_notify first": "\x15\x03\x03\x00\x02\x01\x00",
	} {
		near, far := pipe()
		io.WriteString(far, answer)
		far.(*pipeEnd).out.close(io.EOF)
		_, err := keytls.Client(near, &keytls.Config{}).Handshake(t.Context())
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "ServerHello") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReceivedAlertIsNamedAndExplained(t *testing.T) {
	for alert, explanation := range map[keytls.Alert]string{
		keytls.AlertHandshakeFailure: "peer sent alert handshake_failure: it accepts none of the cipher suites",
		keytls.AlertProtocolVersion:  "protocol_version: it does not speak TLS 1.3, upgrade it",
		keytls.AlertInternalError:    "peer sent alert internal_error",
		200:                          "peer sent alert alert 200",
	} {
		near, far := pipe()
		far.Write([]byte{21, 3, 3, 0, 2, 2, byte(alert)})
		_, err := keytls.Client(near, &keytls.Config{}).Handshake(t.Context())
		received, ok := errors.AsType[*keytls.AlertError](err)
		if !ok || !received.Received || received.Alert != alert || !strings.Contains(err.Error(), explanation) {
			t.Errorf("%v: %v", alert, err)
		}
	}
}

// alertOf returns the alert that err says we sent; there is no alert 255.
func alertOf(err error) keytls.Alert {
	if alert, ok := errors.AsType[*keytls.AlertError](err); ok && !alert.Received {
		return alert.Alert
	}
	return 255
}

func ExampleClient() {
	tcp, err := net.Dial("tcp", "127.0.0.1:1")
	if err != nil {
		fmt.Println("no peer")
		return
	}
	conn := keytls.Client(tcp, &keytls.Config{Known: func(i keytls.Identity) bool { return true }})
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	identity, err := conn.Handshake(ctx)
	fmt.Println(identity, err)
	// Output: no peer
}
