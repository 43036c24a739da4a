// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// TestOldPeerThatFlipsABit changes one bit in the peer's records after it has signed
// and authenticated the right ones: in each byte, but for the certificate, of which
// only every fifth is tried, as it is long.
func TestOldPeerThatFlipsABit(t *testing.T) {
	t.Parallel()
	key := openPGPKey(t, keytlstest.OpenPGPRSA2048)
	const (
		records     = 6 // ServerHello, Certificate, ServerKeyExchange, ServerHelloDone, ChangeCipherSpec, Finished
		certificate = 1
	)
	for record := range records {
		step := 1
		if record == certificate {
			step = 5
		}
		for i := 0; ; i += step {
			n, length := -1, 0
			peer := &keytlstest.Peer{OpenPGP: key, Record: func(r keytlstest.Record) []keytlstest.Record {
				if n++; n == record {
					length = len(r.Content)
					r.Content = bytes.Clone(r.Content)
					if i < length {
						r.Content[i] ^= 1 << (i % 8)
					}
				}
				return []keytlstest.Record{r}
			}}
			var err, writeErr error
			// In a bubble, so that it takes no time to wait in vain for the rest
			// of a message that has become longer.
			synctest.Test(t, func(t *testing.T) {
				m := meet(t, peer, &keytls.Config{OpenPGP: always})
				err = m.err
				_, writeErr = m.client.Write([]byte("secret"))
			})
			if i >= length {
				if err != nil {
					t.Fatalf("with no bit flipped: %v", err)
				}
				break
			}
			if err == nil || writeErr == nil {
				t.Errorf("bit %d of byte %d of record %d does not matter", i%8, i, record)
			}
		}
	}
}

// TestOldPeersFlightCutAnywhereIsTruncation cuts the first flight after each byte.
func TestOldPeersFlightCutAnywhereIsTruncation(t *testing.T) {
	answer := firstFlight(t, &keytlstest.Peer{OpenPGP: openPGPKey(t, keytlstest.OpenPGPRSA2048)})
	for n := range answer {
		conn := keytls.Client(replayOf(answer[:n]), &keytls.Config{OpenPGP: always})
		if _, err := conn.HandshakeAsAlways(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// firstFlight returns what peer answers to the hello that is always the same.
func firstFlight(t testing.TB, peer *keytlstest.Peer) []byte {
	t.Helper()
	near, far := pipe()
	defer near.Close()
	go peer.Server(oneFlight{far.(*pipeEnd)}).Handshake()
	var answer bytes.Buffer
	conn := keytls.Client(teeConn{near, &answer}, &keytls.Config{OpenPGP: always})
	if _, err := conn.HandshakeAsAlways(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return answer.Bytes()
}

// FuzzHandshakeOfOldPeers is the handshake with a peer that sends what it likes, up to
// where it would need to know our half of the key exchange.
func FuzzHandshakeOfOldPeers(f *testing.F) {
	rsa, dsa := openPGPKey(f, keytlstest.OpenPGPRSA2048), openPGPKey(f, keytlstest.OpenPGPDSA2048)
	for _, peer := range []*keytlstest.Peer{
		{OpenPGP: rsa}, {OpenPGP: rsa, Coalesce: true}, {OpenPGP: rsa, RecordSize: 50}, {OpenPGP: rsa, NoSubkeyID: true},
		{OpenPGP: rsa, CipherSuite: keytls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}, {OpenPGP: rsa, Group: keytls.X25519},
		{OpenPGP: rsa, CipherSuite: keytls.TLS_DHE_RSA_WITH_AES_256_GCM_SHA384}, {OpenPGP: dsa, NoExtendedMasterSecret: true},
	} {
		f.Add(firstFlight(f, peer), true)
	}
	f.Add([]byte{21, 3, 2, 0, 2, 2, 40}, false)
	f.Fuzz(func(t *testing.T, answer []byte, known bool) {
		config := &keytls.Config{OpenPGP: always, Known: func(keytls.Identity) bool { return known }}
		conn := keytls.Client(replayOf(answer), config)
		if _, err := conn.HandshakeAsAlways(t.Context()); err == nil || errors.Is(err, keytls.ErrUnknownKey) {
			t.Errorf("a handshake without a valid Finished succeeded: %v", err)
		}
		if _, err := conn.Write([]byte("secret")); err == nil {
			t.Error("could write afterwards")
		}
	})
}

// FuzzOldPeer has a peer that knows the keys send what it likes after our Finished: a
// series of records, see scripted. Of them the first is in the clear.
func FuzzOldPeer(f *testing.F) {
	key := openPGPKey(f, keytlstest.OpenPGPRSA2048)
	f.Add([]byte{20, 0, 1, 1, 22, 0, 16, 20, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Add([]byte{20, 0, 1, 1, 21, 0, 2, 1, 0})
	f.Add([]byte{22, 0, 4, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		records := scripted(script)
		if len(records) == 0 {
			return // it would be waited for
		}
		const changeCipherSpec = 4 // records before it
		n := -1
		peer := &keytlstest.Peer{OpenPGP: key, Record: func(r keytlstest.Record) []keytlstest.Record {
			switch n++; n {
			case changeCipherSpec:
				return records[:1]
			case changeCipherSpec + 1:
				return records[1:]
			}
			return []keytlstest.Record{r}
		}}
		near, far := pipe()
		m := meetOver(t, near, twoFlights{far.(*pipeEnd), new(int)}, peer, &keytls.Config{OpenPGP: always})
		if m.err == nil {
			t.Error("a handshake without a valid Finished succeeded")
		}
		if _, err := m.client.Write([]byte("secret")); err == nil {
			t.Error("could write afterwards")
		}
	})
}

// twoFlights ends its direction after the second write.
type twoFlights struct {
	*pipeEnd
	written *int
}

func (c twoFlights) Write(p []byte) (int, error) {
	n, err := c.pipeEnd.Write(p)
	if *c.written++; *c.written == 2 {
		c.out.close(io.EOF)
	}
	return n, err
}
