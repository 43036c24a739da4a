// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// bodies returns the bodies of the messages that a peer sends, by their names.
func bodies(t *testing.T, peer keytlstest.Peer, config *keytls.Config) map[string][]byte {
	t.Helper()
	sent := make(map[string][]byte)
	peer.Message = func(m keytlstest.Message) []keytlstest.Message {
		sent[m.Name] = bytes.Clone(m.Raw[4:])
		return []keytlstest.Message{m}
	}
	if m := meet(t, &peer, config); m.err != nil {
		t.Fatal(m.err)
	}
	return sent
}

// TestMessageThatEndsTooEarlyIsMalformed cuts each message at each of its bytes. Its
// header stays true, so that nothing but the fields themselves are short.
func TestMessageThatEndsTooEarlyIsMalformed(t *testing.T) {
	for generation, c := range map[string]struct {
		peer   keytlstest.Peer
		config keytls.Config
		step   int // how many bytes there are between two cuts; signing takes its time
	}{
		"raw public key": {peer: keytlstest.Peer{Key: anEd25519Key, Cookie: []byte("x"), RequestCertificate: true}, step: 1},
		"OpenPGP":        {peer: keytlstest.Peer{OpenPGP: openPGPKey(t, keytlstest.OpenPGPRSA2048)}, config: keytls.Config{OpenPGP: always}, step: 7},
	} {
		for name, body := range bodies(t, c.peer, &c.config) {
			// Before TLS 1.3 a hello could end before its extensions.
			mayEnd := -1
			if name == "ServerHello" || name == "HelloRetryRequest" {
				mayEnd = offsetExtensions - 2
			}
			for n := 0; n < len(body); n += c.step {
				peer := c.peer
				peer.Message = edit(name, func(body []byte) []byte { return body[:n] })
				want := keytls.AlertDecodeError
				if n == mayEnd {
					continue
				}
				m := meet(t, &peer, &c.config)
				if got := alertOf(m.err); got != want {
					t.Errorf("%s: a %s of %d bytes instead of %d: %v, want alert %v", generation, name, n, len(body), m.err, want)
				}
				if _, err := m.client.Write([]byte("secret")); err == nil {
					t.Errorf("%s: something is written after a %s of %d bytes", generation, name, n)
				}
			}
		}
	}
}

// TestMessagesAreRefusedByTheirLength: what is as long as a message may be is read, and
// what is longer is refused at its header.
func TestMessagesAreRefusedByTheirLength(t *testing.T) {
	for length, says := range map[int]string{1 << 14: "instead of sending", 1<<14 + 1: "peer sent a ServerHello of 16385 bytes, more than 16384"} {
		near, far := pipe()
		far.Write([]byte{22, 3, 3, 0, 4, 2, byte(length >> 16), byte(length >> 8), byte(length)})
		far.(*pipeEnd).out.close(io.EOF)
		_, err := keytls.Client(near, &keytls.Config{}).Handshake(t.Context())
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a message of %d bytes: %v", length, err)
		}
	}
}

// hello returns what a client says first with that configuration.
func helloOf(t *testing.T, config *keytls.Config, peer *keytlstest.Peer) *keytlstest.ClientHello {
	t.Helper()
	m := meet(t, peer, config)
	if m.err != nil {
		t.Fatal(m.err)
	}
	return m.server.Hello()
}

func TestEachHelloIsFresh(t *testing.T) {
	peer := &keytlstest.Peer{Key: anEd25519Key}
	one, two := helloOf(t, &keytls.Config{}, peer), helloOf(t, &keytls.Config{}, peer)
	for name, values := range map[string][2][]byte{
		"random": {one.Random, two.Random}, "session ID": {one.SessionID, two.SessionID}, "key share": {one.Shares[0].Key, two.Shares[0].Key},
	} {
		if len(values[0]) != 32 || bytes.Equal(values[0], values[1]) || bytes.Equal(values[0], make([]byte, 32)) {
			t.Errorf("the %s is %x, and then %x", name, values[0], values[1])
		}
	}
}

// TestOnlyWhatTheSuitesAreForIsOffered: schemes of a protocol version that has no suite
// are left out, and the other way round.
func TestOnlyWhatTheSuitesAreForIsOffered(t *testing.T) {
	old := helloOf(t, &keytls.Config{CipherSuites: []keytls.CipherSuite{keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}, OpenPGP: always},
		&keytlstest.Peer{OpenPGP: openPGPKey(t, keytlstest.OpenPGPRSA2048)})
	if slices.ContainsFunc(old.SignatureSchemes, func(s keytls.SignatureScheme) bool { return s.Version() == keytls.VersionTLS13 }) {
		t.Errorf("without a suite of TLS 1.3: %v", old.SignatureSchemes)
	}
	today := helloOf(t, &keytls.Config{CipherSuites: []keytls.CipherSuite{keytls.TLS_AES_128_GCM_SHA256}, OpenPGP: always}, &keytlstest.Peer{Key: anEd25519Key})
	if slices.ContainsFunc(today.SignatureSchemes, func(s keytls.SignatureScheme) bool { return s.Version() == keytls.VersionTLS12 }) ||
		!slices.Equal(today.Versions, []keytls.Version{keytls.VersionTLS13}) {
		t.Errorf("without a suite of TLS 1.2: %v, %v", today.SignatureSchemes, today.Versions)
	}
}

// flights records what is written, one item a write. At the write of that number, from
// 0, it calls then, and returns when the connection was closed.
type flights struct {
	net.Conn
	written [][]byte
	then    func()
	at      int
	closed  chan struct{}
	once    atomic.Bool
}

func (f *flights) Write(p []byte) (int, error) {
	f.written = append(f.written, bytes.Clone(p))
	if f.then != nil && len(f.written) == f.at+1 {
		f.then()
		<-f.closed
		return len(p), nil
	}
	return f.Conn.Write(p)
}

func (f *flights) Close() error {
	if f.closed != nil && f.once.CompareAndSwap(false, true) {
		close(f.closed)
	}
	return f.Conn.Close()
}

// TestSecondFlightBeginsWithChangeCipherSpec, which middleboxes want to see once (RFC
// 8446, appendix D.4).
func TestSecondFlightBeginsWithChangeCipherSpec(t *testing.T) {
	changeCipherSpec := []byte{20, 3, 3, 0, 1, 1}
	for sentence, c := range map[string]struct {
		peer keytlstest.Peer
		want []bool // which flights begin so
	}{
		"before our Finished":       {keytlstest.Peer{Key: anEd25519Key}, []bool{false, true}},
		"before our hello, retried": {keytlstest.Peer{Key: anEd25519Key, Cookie: []byte("x")}, []bool{false, true, false}},
	} {
		near, far := pipe()
		recorded := &flights{Conn: near}
		if m := meetOver(t, recorded, far, &c.peer, &keytls.Config{}); m.err != nil {
			t.Fatal(m.err)
		}
		var got []bool
		for _, flight := range recorded.written {
			got = append(got, bytes.HasPrefix(flight, changeCipherSpec))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", sentence, got, c.want)
		}
	}
}

// TestHandshakeThatIsDoneTooLateIsNotDone: its context ends while the last of our
// messages is sent.
func TestHandshakeThatIsDoneTooLateIsNotDone(t *testing.T) {
	near, far := pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("too late")
	conn := &flights{Conn: near, at: 1, then: func() { cancel(late) }, closed: make(chan struct{})}
	go (&keytlstest.Peer{Key: anEd25519Key}).Server(far).Handshake()
	client := keytls.Client(conn, &keytls.Config{})
	_, err := client.Handshake(ctx)
	if !errors.Is(err, late) || !errors.Is(err, net.ErrClosed) {
		t.Errorf("the handshake: %v", err)
	}
	if _, err := client.Write([]byte("secret")); !errors.Is(err, keytls.ErrNotEstablished) {
		t.Errorf("write: %v", err)
	}
}

// TestFaultOfThePeerIsAnsweredByAFatalAlert, as the level says, which old peers look
// at.
func TestFaultOfThePeerIsAnsweredByAFatalAlert(t *testing.T) {
	near, far := pipe()
	conn := &flights{Conn: near}
	far.Write([]byte{23, 3, 3, 0, 1, 0})
	if _, err := keytls.Client(conn, &keytls.Config{}).Handshake(t.Context()); alertOf(err) != keytls.AlertUnexpectedMessage {
		t.Errorf("the handshake: %v", err)
	}
	if last := conn.written[len(conn.written)-1]; !bytes.Equal(last, []byte{21, 3, 3, 0, 2, 2, 10}) {
		t.Errorf("it is answered by % x", last)
	}
}

// TestUselessRecordsAreBornUpToALimit: sixteen that bring nothing, and not one more. The
// peer sends one of its own accord.
func TestUselessRecordsAreBornUpToALimit(t *testing.T) {
	for count, refused := range map[int]bool{15: false, 16: true} {
		peer := &keytlstest.Peer{Key: anEd25519Key, Record: before(1, slices.Repeat([]keytlstest.Record{ccs}, count)...)}
		m := meet(t, peer, &keytls.Config{})
		if (alertOf(m.err) == keytls.AlertUnexpectedMessage) != refused || (m.err != nil) != refused {
			t.Errorf("after %d useless records: %v", count, m.err)
		}
	}
}
