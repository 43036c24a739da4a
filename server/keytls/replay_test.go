// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// record does one handshake of the client that always sends the same hello, and
// returns all that peer answered.
func record(t testing.TB, peer *keytlstest.Peer) []byte {
	t.Helper()
	return recordWith(t, peer, &keytls.Config{})
}

func recordWith(t testing.TB, peer *keytlstest.Peer, config *keytls.Config) []byte {
	t.Helper()
	near, far := pipe()
	defer near.Close()
	var answer bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- peer.Server(far).Handshake() }()
	conn := keytls.Client(teeConn{near, &answer}, config)
	if _, err := conn.HandshakeAsAlways(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return answer.Bytes()
}

// teeConn keeps what is read.
type teeConn struct {
	net.Conn
	read *bytes.Buffer
}

func (c teeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Write(p[:n])
	return n, err
}

// replay is a connection whose peer has sent what is in it and ended.
type replay struct {
	answer  bytes.Reader
	written bytes.Buffer
}

func replayOf(answer []byte) *replay {
	r := new(replay)
	r.answer.Reset(answer)
	return r
}

func (r *replay) Read(p []byte) (int, error)       { return r.answer.Read(p) }
func (r *replay) Write(p []byte) (int, error)      { return r.written.Write(p) }
func (r *replay) Close() error                     { return nil }
func (r *replay) LocalAddr() net.Addr              { return &net.IPAddr{} }
func (r *replay) RemoteAddr() net.Addr             { return &net.IPAddr{} }
func (r *replay) SetDeadline(time.Time) error      { return nil }
func (r *replay) SetReadDeadline(time.Time) error  { return nil }
func (r *replay) SetWriteDeadline(time.Time) error { return nil }

// TestEachBitOnTheWireMatters flips each bit of the peer's whole flight, as it
// travels.
func TestEachBitOnTheWireMatters(t *testing.T) {
	t.Parallel()
	answer := record(t, &keytlstest.Peer{Key: anEd25519Key})
	// Ignored by rule (RFC 8446, section 5.1): the legacy_record_version in the
	// headers of the two unprotected records, ServerHello and ChangeCipherSpec.
	ccs := 5 + int(answer[3])<<8 + int(answer[4])
	ignored := func(i int) bool { return i == 1 || i == 2 || i == ccs+1 || i == ccs+2 }

	for bit := range 8 * len(answer) {
		changed := bytes.Clone(answer)
		changed[bit/8] ^= 1 << (bit % 8)
		wire := replayOf(changed)
		conn := keytls.Client(wire, &keytls.Config{})
		_, err := conn.HandshakeAsAlways(t.Context())
		if ignored(bit / 8) {
			if err != nil {
				t.Errorf("bit %d of byte %d: %v", bit%8, bit/8, err)
			}
			continue
		}
		received, isAlert := errors.AsType[*keytls.AlertError](err)
		switch {
		case err == nil:
			t.Errorf("bit %d of byte %d does not matter", bit%8, bit/8)
		case errors.Is(err, io.ErrUnexpectedEOF):
			// The flipped bit was in a length, and more was announced than came.
		case !isAlert || received.Received:
			t.Errorf("bit %d of byte %d: %v", bit%8, bit/8, err)
		}
		if n, err := conn.Write([]byte("secret")); n != 0 || err == nil {
			t.Errorf("bit %d of byte %d: could write afterwards", bit%8, bit/8)
		}
		if bytes.Contains(wire.written.Bytes(), []byte("secret")) {
			t.Fatal("the secret left in the clear")
		}
	}
}

// TestFlightCutAnywhereIsTruncation cuts the peer's flight after each byte.
func TestFlightCutAnywhereIsTruncation(t *testing.T) {
	t.Parallel()
	answer := record(t, &keytlstest.Peer{Key: anEd25519Key})
	for n := range answer {
		conn := keytls.Client(replayOf(answer[:n]), &keytls.Config{})
		if _, err := conn.HandshakeAsAlways(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func FuzzHandshake(f *testing.F) {
	for _, peer := range []*keytlstest.Peer{
		{}, {Coalesce: true}, {RecordSize: 50}, {Padding: 100}, {RequestCertificate: true}, {Tickets: 2},
		{CipherSuite: keytls.TLS_AES_256_GCM_SHA384}, {CipherSuite: keytls.TLS_CHACHA20_POLY1305_SHA256},
		{Cookie: []byte("biscuit")}, {Group: keytls.SECP256R1},
	} {
		peer.Key = anEd25519Key
		f.Add(record(f, peer))
	}
	f.Add([]byte{21, 3, 3, 0, 2, 2, 40})
	f.Fuzz(func(t *testing.T, answer []byte) {
		conn := keytls.Client(replayOf(answer), &keytls.Config{})
		identity, err := conn.HandshakeAsAlways(t.Context())
		if _, writeErr := conn.Write([]byte("secret")); (err == nil) != (writeErr == nil) {
			t.Errorf("handshake: %v, but write: %v", err, writeErr)
		}
		if err == nil && len(identity.Hex) != 64 {
			t.Errorf("identity %v", identity)
		}
		io.Copy(io.Discard, conn)
	})
}

// FuzzPeer has a peer that knows the keys send what it likes after its ServerHello:
// a series of records, each a byte of type, two of length, and its content.
func FuzzPeer(f *testing.F) {
	var honest []byte
	meetRecorded(f, &honest)
	f.Add(honest)
	f.Add([]byte{22, 0, 6, 8, 0, 0, 2, 0, 0})
	f.Add([]byte{21, 0, 2, 1, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		n := 0
		peer := &keytlstest.Peer{Key: anEd25519Key, Record: func(r keytlstest.Record) []keytlstest.Record {
			switch n++; n {
			case 1, 2: // ServerHello, ChangeCipherSpec
				return []keytlstest.Record{r}
			case 3:
				return scripted(script)
			}
			return nil
		}}
		near, far := pipe()
		m := meetOver(t, near, oneFlight{far.(*pipeEnd)}, peer, &keytls.Config{})
		if m.err == nil {
			t.Error("a handshake without a valid signature succeeded")
		}
		if _, err := m.client.Write([]byte("secret")); err == nil {
			t.Error("could write afterwards")
		}
	})
}

// meetRecorded notes the protected flight of an honest peer as a script.
func meetRecorded(f *testing.F, script *[]byte) {
	near, far := pipe()
	defer near.Close()
	peer := &keytlstest.Peer{Key: anEd25519Key, Record: func(r keytlstest.Record) []keytlstest.Record {
		if r.Protected {
			*script = append(append(*script, r.Type, byte(len(r.Content)>>8), byte(len(r.Content))), r.Content...)
		}
		return []keytlstest.Record{r}
	}}
	done := make(chan error, 1)
	go func() { done <- peer.Server(far).Handshake() }()
	if _, err := keytls.Client(near, &keytls.Config{}).Handshake(f.Context()); err != nil {
		f.Fatal(err)
	}
	if err := <-done; err != nil {
		f.Fatal(err)
	}
}

func scripted(script []byte) (records []keytlstest.Record) {
	for len(script) >= 3 {
		length := min(int(script[1])<<8|int(script[2]), len(script)-3)
		records = append(records, keytlstest.Record{Type: script[0], Content: script[3 : 3+length], Protected: true})
		script = script[3+length:]
	}
	return records
}
