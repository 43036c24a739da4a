// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mandos/server/client"
	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// inPipes serves in a bubble, with connections in memory.
func inPipes(t *testing.T, limits Limits, change func(*client.Settings), f func(t *testing.T, s *site, listener *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, limits, change)
		listener := newPipes()
		ctx, stop := context.WithCancelCause(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.server.Serve(ctx, listener) }()
		f(t, s, listener)
		stop(client.ErrClosed)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		s.server.Finish(ended)
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// prove connects and proves the key.
func prove(t *testing.T, listener *pipes, key *keytlstest.Key) (net.Conn, *keytlstest.Conn) {
	t.Helper()
	conn := listener.dial()
	io.WriteString(conn, "1\r\n")
	session := (&keytlstest.Peer{Key: key}).Server(conn)
	if err := session.Handshake(); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return conn, session
}

// isOpen reports whether the other end of the pipe is still open, which takes the
// byte for a part of what it waits for.
func isOpen(conn net.Conn) bool {
	conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
	_, err := conn.Write([]byte{0x17})
	return !errors.Is(err, io.ErrClosedPipe)
}

func TestAClientThatWaitsIsNoStrangerAnyMore(t *testing.T) {
	waits := func(c *client.Settings) { c.ApprovalDelay = time.Hour }
	inPipes(t, Limits{Strangers: 2, PerSource: 2, PerClient: 9}, waits, func(t *testing.T, s *site, listener *pipes) {
		conn, _ := prove(t, listener, s.key)
		var strangers []net.Conn
		for range 3 {
			strangers = append(strangers, listener.dial())
			synctest.Wait()
		}
		if v, _ := s.Client("host1"); v.ApprovalsPending != 1 {
			t.Error("strangers took its place")
		}
		if isOpen(strangers[0]) || !isOpen(strangers[1]) || !isOpen(strangers[2]) {
			t.Error("it has the place of a stranger")
		}
		conn.Close()
	})
}

func TestAClientHasOnlySoManyConnections(t *testing.T) {
	waits := func(c *client.Settings) { c.ApprovalDelay = time.Hour }
	inPipes(t, Limits{Strangers: 9, PerSource: 9, PerClient: 2}, waits, func(t *testing.T, s *site, listener *pipes) {
		var conns []net.Conn
		for range 3 {
			conn, _ := prove(t, listener, s.key)
			conns = append(conns, conn)
		}
		if v, _ := s.Client("host1"); v.ApprovalsPending != 2 {
			t.Errorf("%d wait for approval", v.ApprovalsPending)
		}
		if isOpen(conns[0]) {
			t.Error("the oldest one is still open")
		}
		for _, conn := range conns {
			conn.Close()
		}
		synctest.Wait()
		if v, _ := s.Client("host1"); v.ApprovalsPending != 0 {
			t.Errorf("%d still wait for approval", v.ApprovalsPending)
		}
		conn, _ := prove(t, listener, s.key) // whose place they have given up
		if !isOpen(conn) {
			t.Error("there is no place for another one")
		}
		conn.Close()
	})
}

func TestTheEndCutsOffWhoStays(t *testing.T) {
	const grace = time.Second // less than any deadline of a peer
	for sentence, stay := range map[string]func(t *testing.T, s *site, listener *pipes) net.Conn{
		"before it says anything": func(_ *testing.T, _ *site, listener *pipes) net.Conn { return listener.dial() },
		"when it has proved its key": func(t *testing.T, s *site, listener *pipes) net.Conn {
			conn, _ := prove(t, listener, s.key)
			return conn
		},
		"when it has read its whole secret": func(t *testing.T, s *site, listener *pipes) net.Conn {
			conn, session := prove(t, listener, s.key)
			if got, err := io.ReadAll(session); string(got) != secret {
				t.Errorf("got %q, error %v", got, err)
			}
			return conn
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			inPipes(t, DefaultLimits, nil, func(t *testing.T, s *site, listener *pipes) {
				conn := stay(t, s, listener)
				synctest.Wait()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), grace)
				defer cancel()
				s.server.Finish(ctx)
				if took := time.Since(start); took != grace {
					t.Errorf("it took %v", took)
				}
				if isOpen(conn) {
					t.Error("it is still connected")
				}
			})
		})
	}
}

// TestAKeyThatBecomesKnownAfterTheHandshakeGetsNothing: nobody has checked then
// that it is the peer's.
func TestAKeyThatBecomesKnownAfterTheHandshakeGetsNothing(t *testing.T) {
	s := newSite(t, DefaultLimits, nil)
	s.server = New(late{s.Registry}, keytls.Config{}, DefaultLimits, s, slog.New(slog.NewTextHandler(s.log, nil)))
	got, err := fetch(t, net.JoinHostPort("::1", s.onLoopback(t)), s.key)
	if got != "" {
		t.Errorf("it got %q, error %v", got, err)
	}
	eventually(t, func() bool { return slices.Contains(s.events(t), client.SecretNotReceived) }, func() string { return "nobody was told" })
}

// late is a registry that hears of its clients after the handshake.
type late struct{ *client.Registry }

func (late) Known(client.Identity) bool { return false }

func TestADefectEndsOneConnectionAlone(t *testing.T) {
	s := newSite(t, DefaultLimits, nil)
	r := &defective{Registry: s.Registry}
	s.server = New(r, keytls.Config{}, DefaultLimits, s, slog.New(slog.NewTextHandler(s.log, nil)))
	address := net.JoinHostPort("::1", s.onLoopback(t))
	if got, err := fetch(t, address, s.key); got != "" || err == nil {
		t.Errorf("it got %q, error %v", got, err)
	}
	eventually(t, func() bool {
		log := s.log.String()
		return strings.Contains(log, "ran into a defect of the server and was closed") && strings.Contains(log, "address=[::1]:") &&
			strings.Contains(log, `fault="as told"`) && strings.Contains(log, "peer_test.go")
	}, s.log.String)
	if got, err := fetch(t, address, s.key); got != secret {
		t.Errorf("the next one got %q, error %v", got, err)
	}
}

// defective is a registry that fails the first time.
type defective struct {
	*client.Registry
	failed atomic.Bool
}

func (d *defective) Release(ctx context.Context, id client.Identity, from client.Origin) (*client.Handout, error) {
	if d.failed.CompareAndSwap(false, true) {
		panic("as told")
	}
	return d.Registry.Release(ctx, id, from)
}

func TestAHandshakeThatFailsIsLoggedWithTheKeyIfThereWasOne(t *testing.T) {
	s := newSite(t, DefaultLimits, nil)
	port := s.onLoopback(t)
	for sentence, c := range map[string]struct {
		peer keytlstest.Peer
		key  bool
	}{
		"a key that is another's": {peer: keytlstest.Peer{SPKI: s.key.SPKI(), Key: keytlstest.NewKey(keytlstest.Ed25519)}, key: true},
		"none yet": {peer: keytlstest.Peer{Key: s.key, Message: func(m keytlstest.Message) []keytlstest.Message {
			if m.Name == "EncryptedExtensions" {
				return nil
			}
			return []keytlstest.Message{m}
		}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			before := len(s.log.String())
			conn, err := net.Dial("tcp", net.JoinHostPort("::1", port))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(time.Minute))
			io.WriteString(conn, "1\r\n")
			if got, err := c.peer.Fetch(conn); len(got) > 0 || err == nil {
				t.Errorf("it got %q, error %v", got, err)
			}
			said := func() string { return s.log.String()[before:] }
			eventually(t, func() bool { return strings.Contains(said(), "peer refused: handshake failed") }, said)
			if strings.Contains(said(), "key_id="+s.key.KeyID()) != c.key || strings.Contains(said(), "key_id=") != c.key {
				t.Errorf("the log says %s", said())
			}
		})
	}
}
