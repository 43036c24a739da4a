// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// BenchmarkHandshake measures our side of a handshake alone, against a recorded
// answer: no peer, no network. Compare it with BenchmarkBarePrimitives.
func BenchmarkHandshake(b *testing.B) {
	answer := record(b, &keytlstest.Peer{Key: anEd25519Key})
	b.ReportAllocs()
	for b.Loop() {
		conn := keytls.Client(replayOf(answer), &keytls.Config{})
		if _, err := conn.HandshakeAsAlways(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHandshakeOfferingBoth is BenchmarkHandshake with OpenPGP certificates in the
// hello, of which the peer takes no notice.
func BenchmarkHandshakeOfferingBoth(b *testing.B) {
	config := &keytls.Config{OpenPGP: always}
	answer := recordWith(b, &keytlstest.Peer{Key: anEd25519Key}, config)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keytls.Client(replayOf(answer), config).HandshakeAsAlways(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOldHandshake measures our side of TLS 1.2 up to the peer's Finished, which a
// recorded answer cannot have: no peer, no network.
func BenchmarkOldHandshake(b *testing.B) {
	for name, test := range map[string]struct {
		kind  keytlstest.OpenPGPKind
		suite keytls.CipherSuite
		known bool
	}{
		"RSA 2048, P-384":              {keytlstest.OpenPGPRSA2048, keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, true},
		"RSA 4096, P-384":              {keytlstest.OpenPGPRSA4096, keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, true},
		"RSA 2048, field of 2048":      {keytlstest.OpenPGPRSA2048, keytls.TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, true},
		"DSA 2048, field of 2048":      {keytlstest.OpenPGPDSA2048, keytls.TLS_DHE_DSS_WITH_AES_256_GCM_SHA384, true},
		"a stranger with RSA, P-384":   {keytlstest.OpenPGPRSA2048, keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, false},
		"a stranger with DSA, a field": {keytlstest.OpenPGPDSA2048, keytls.TLS_DHE_DSS_WITH_AES_256_GCM_SHA384, false},
	} {
		b.Run(name, func(b *testing.B) {
			answer := firstFlight(b, &keytlstest.Peer{OpenPGP: openPGPKey(b, test.kind), CipherSuite: test.suite})
			config := &keytls.Config{OpenPGP: always, Known: func(keytls.Identity) bool { return test.known }}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := keytls.Client(replayOf(answer), config).HandshakeAsAlways(context.Background()); !errors.Is(err, io.ErrUnexpectedEOF) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHandshakeWithUnknownKey is what a stranger costs.
func BenchmarkHandshakeWithUnknownKey(b *testing.B) {
	answer := record(b, &keytlstest.Peer{Key: anEd25519Key})
	config := &keytls.Config{Known: func(keytls.Identity) bool { return false }}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keytls.Client(replayOf(answer), config).HandshakeAsAlways(context.Background()); err != keytls.ErrUnknownKey {
			b.Fatal(err)
		}
	}
}

// BenchmarkBarePrimitives does what cryptography one handshake of
// BenchmarkHandshake needs at least, and nothing else: an X25519 key and shared
// secret, the check of an Ed25519 signature, 700 bytes of transcript hashed and
// summed five times, the 21 HMACs of the key schedule, two keys in each direction, four
// records opened and one sealed.
func BenchmarkBarePrimitives(b *testing.B) {
	peer, _ := ecdh.X25519().GenerateKey(rand.Reader)
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	content := make([]byte, 130)
	signature := ed25519.Sign(private, content)
	records := make([]byte, 700)
	nonce := make([]byte, 12)
	b.ReportAllocs()
	for b.Loop() {
		key, _ := ecdh.X25519().NewPrivateKey(content[:32])
		key.PublicKey()
		secret, _ := key.ECDH(peer.PublicKey())
		ed25519.Verify(public, content, signature)
		transcript := sha256.New()
		transcript.Write(records)
		for range 5 {
			transcript.Sum(nil)
		}
		for range 21 {
			// An HMAC over one block is four compressions.
			h := sha256.New()
			h.Write(records[:256-9])
			h.Sum(nil)
		}
		var aead cipher.AEAD
		for range 4 {
			block, _ := aes.NewCipher(secret[:16])
			aead, _ = cipher.NewGCM(block)
		}
		for range 5 {
			aead.Seal(records[:0:100], nonce, records[:80], nil)
		}
	}
}

// BenchmarkConnection is a whole connection over loopback with the peer on the same
// processors: connect, handshake, a secret of 670 bytes, both close_notifies.
func BenchmarkConnection(b *testing.B) {
	for _, kind := range []keytlstest.KeyKind{keytlstest.Ed25519, keytlstest.Ed448, keytlstest.ECDSAP256, keytlstest.ECDSAP384, keytlstest.ECDSAP521, keytlstest.RSA2048} {
		b.Run(string(kind), func(b *testing.B) { connect(b, &keytlstest.Peer{Key: keytlstest.NewKey(kind)}, &keytls.Config{}) })
	}
	both := &keytls.Config{OpenPGP: always}
	b.Run("Ed25519, offering both", func(b *testing.B) { connect(b, &keytlstest.Peer{Key: anEd25519Key}, both) })
	for _, kind := range []keytlstest.OpenPGPKind{keytlstest.OpenPGPRSA2048, keytlstest.OpenPGPRSA4096, keytlstest.OpenPGPDSA2048} {
		b.Run("OpenPGP "+string(kind), func(b *testing.B) { connect(b, &keytlstest.Peer{OpenPGP: openPGPKey(b, kind)}, both) })
	}
}

func connect(b *testing.B, peer *keytlstest.Peer, config *keytls.Config) {
	secret := make([]byte, 670)
	for b.Loop() {
		near, far := tcpPairForBench(b)
		go func() {
			peer.Fetch(far)
			far.Close()
		}()
		conn := keytls.Client(near, config)
		if _, err := conn.Handshake(context.Background()); err != nil {
			b.Fatal(err)
		}
		conn.Write(secret)
		conn.CloseWrite()
		if _, err := io.Copy(io.Discard, conn); err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
}

func tcpPairForBench(b *testing.B) (net.Conn, net.Conn) {
	b.Helper()
	loopback.Do(func() { loopbackListener, _ = net.Listen("tcp4", "127.0.0.1:0") })
	far, err := net.Dial("tcp4", loopbackListener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	near, err := loopbackListener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	return near, far
}

var (
	loopback         sync.Once
	loopbackListener net.Listener
)

// BenchmarkStalledConnections reports what memory a connection holds while its peer
// does nothing: after our hello, and after the handshake while a Read waits for the
// peer's end as it does during an approval.
func BenchmarkStalledConnections(b *testing.B) {
	const connections = 500
	stall := map[string]func(net.Conn) func(context.Context){
		"after our hello": func(near net.Conn) func(context.Context) {
			return func(ctx context.Context) { keytls.Client(near, &keytls.Config{}).Handshake(ctx) }
		},
		"after the handshake": func(near net.Conn) func(context.Context) {
			return func(ctx context.Context) {
				conn := keytls.Client(near, &keytls.Config{})
				conn.Handshake(ctx)
				conn.Read(make([]byte, 1))
			}
		},
	}
	for name, stalled := range stall {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				before := memoryInUse()
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				var done sync.WaitGroup
				var ends []net.Conn
				for range connections {
					near, far := tcpPairForBench(b)
					ends = append(ends, near, far)
					run := stalled(near)
					done.Go(func() { run(ctx) })
					if name == "after the handshake" {
						if err := (&keytlstest.Peer{Key: anEd25519Key}).Server(far).Handshake(); err != nil {
							b.Fatal(err)
						}
					} else if _, err := far.Read(make([]byte, 1000)); err != nil {
						b.Fatal(err)
					}
				}
				time.Sleep(100 * time.Millisecond) // until all are in their last read
				b.ReportMetric(float64(memoryInUse()-before)/connections, "B/conn")
				cancel()
				for _, end := range ends {
					end.Close()
				}
				done.Wait()
			}
		})
	}
}

// memoryInUse is what heap and stacks take in bytes, after collection.
func memoryInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
