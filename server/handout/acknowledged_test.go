// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/client"
	"mandos/server/keytls/keytlstest"
)

// TestWhoHasTheSecretWithoutAGoodBye: what counts is what the peer's TCP has
// acknowledged, and how the connection ends.
func TestWhoHasTheSecretWithoutAGoodBye(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 20_000) // more than a small receive buffer takes
	for sentence, c := range map[string]struct {
		secret string // other than the usual one
		buffer int    // the peer's receive buffer in bytes; 0 is the usual one
		leave  func(t *testing.T, tcp *net.TCPConn, session *keytlstest.Conn)
		event  client.EventKind
		says   string // in the note or the error
	}{
		"one that reads it all and closes the connection has": {
			leave: func(t *testing.T, tcp *net.TCPConn, session *keytlstest.Conn) {
				readAll(t, session, secret)
				tcp.Close()
			},
			event: client.SecretSent, says: "acknowledged everything, and closed the connection without the close_notify"},
		"one that reads a large one and closes the connection has": {
			secret: large,
			leave: func(t *testing.T, tcp *net.TCPConn, session *keytlstest.Conn) {
				readAll(t, session, large)
				tcp.Close()
			},
			event: client.SecretSent, says: "without the close_notify"},
		"one that reads it all and closes its half has": {
			leave: func(t *testing.T, tcp *net.TCPConn, session *keytlstest.Conn) {
				readAll(t, session, secret)
				tcp.CloseWrite()
				io.Copy(io.Discard, tcp)
			}, event: client.SecretSent, says: "without the close_notify"},
		"one that says good-bye has, and there is nothing to note": {
			leave: func(t *testing.T, tcp *net.TCPConn, session *keytlstest.Conn) {
				readAll(t, session, secret)
				session.CloseWrite()
				tcp.Close()
			}, event: client.SecretSent},
		"one that leaves it unread has not, though it is there": {
			secret: large[:20_000],
			leave: func(t *testing.T, tcp *net.TCPConn, _ *keytlstest.Conn) {
				const readAhead = 4096 // what the peer can have taken along with our Finished
				awaitUnread(t, tcp, 20_000-readAhead)
				tcp.Close()
			}, event: client.SecretNotReceived, says: "reset"},
		"one that closes the connection before it is there has not": {
			secret: large, buffer: 4096,
			leave: func(t *testing.T, tcp *net.TCPConn, _ *keytlstest.Conn) {
				awaitUnread(t, tcp, 1)
				tcp.CloseWrite()
			}, event: client.SecretNotReceived, says: "bytes were still on their way"},
		"one that says good-bye before it is there has not": {
			secret: large, buffer: 4096,
			leave: func(t *testing.T, tcp *net.TCPConn, session *keytlstest.Conn) {
				awaitUnread(t, tcp, 1)
				session.CloseWrite()
			}, event: client.SecretNotReceived, says: "bytes were still on their way"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, DefaultLimits, func(settings *client.Settings) {
				if c.secret != "" {
					settings.Secret = client.NewSecret([]byte(c.secret))
				}
			})
			before, _ := s.Client("host1")
			tcp := dialSmall(t, s.onLoopback(t), c.buffer)
			io.WriteString(tcp, "1\r\n")
			session := (&keytlstest.Peer{Key: s.key}).Server(tcp)
			if err := session.Handshake(); err != nil {
				t.Fatal(err)
			}
			c.leave(t, tcp, session)
			event := s.await(t, c.event)
			said := event.Note
			if event.Err != nil {
				said = event.Err.Error()
			}
			if !strings.Contains(said, c.says) || c.says == "" && said != "" {
				t.Errorf("said %q, want %q", said, c.says)
			}
			extended := event.Client.Expires.After(before.Expires)
			if extended != (c.event == client.SecretSent) || extended != !event.Client.LastHandout.IsZero() {
				t.Errorf("%s: expires %v, before %v; last hand-out %v", event.Kind, event.Client.Expires, before.Expires, event.Client.LastHandout)
			}
		})
	}
}

// TestSilenceAfterEverythingWasAcknowledged is about a peer whose good-bye is lost, and
// which has the secret all the same.
func TestSilenceAfterEverythingWasAcknowledged(t *testing.T) {
	silence := fmt.Errorf("reading from peer: %w", os.ErrDeadlineExceeded)
	ours, theirs := connected(t)
	if note, err := judge(ours, silence); err != nil || !strings.Contains(note, "did not close the connection within 10s") {
		t.Errorf("with nothing to acknowledge: %q, %v", note, err)
	}
	if err := theirs.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	ours.Write(bytes.Repeat([]byte("x"), 200_000))
	if note, err := judge(ours, silence); err != silence || note != "" {
		t.Errorf("with much unacknowledged: %q, %v", note, err)
	}
	ours.Close()
	if note, err := judge(ours, silence); err != silence || note != "" {
		t.Errorf("after our own end: %q, %v", note, err)
	}
}

// TestOtherEndsProveNothing: neither a broken session nor one cut off by us is a
// good-bye.
func TestOtherEndsProveNothing(t *testing.T) {
	ours, _ := connected(t)
	reset := fmt.Errorf("reading from peer: %w", syscall.ECONNRESET)
	if note, err := judge(ours, reset); !errors.Is(err, reset) || !strings.HasPrefix(err.Error(), "it acknowledged everything, so that it may have read it, but reset") || note != "" {
		t.Errorf("a reset: %q, %v", note, err)
	}
	for _, end := range []error{errors.New("the peer sends data, which no client does"), net.ErrClosed, syscall.EPIPE} {
		if note, err := judge(ours, end); err != end || note != "" {
			t.Errorf("%v: %q, %v", end, note, err)
		}
	}
	pipe, _ := net.Pipe()
	if note, err := judge(pipe, io.ErrUnexpectedEOF); err == nil || note != "" {
		t.Errorf("without TCP: %q, %v", note, err)
	}
	if note, err := judge(pipe, nil); err != nil || note != "" {
		t.Errorf("a good-bye without TCP: %q, %v", note, err)
	}
}

// await waits for an event of that kind, which must be the first that is about a hand-out.
func (s *site) await(t *testing.T, kind client.EventKind) (found client.Event) {
	t.Helper()
	eventually(t, func() bool {
		s.events(t)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, event := range s.told {
			if event.Kind == client.SecretSent || event.Kind == client.SecretNotReceived {
				found = event
				return true
			}
		}
		return false
	}, func() string { return "no event of a hand-out" })
	if found.Kind != kind {
		t.Errorf("told %q (note %q, error %v), want %q", found.Kind, found.Note, found.Err, kind)
	}
	return found
}

// dialSmall connects with a receive buffer of that size, if it is not 0.
func dialSmall(t *testing.T, port string, buffer int) *net.TCPConn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if buffer == 0 {
			return nil
		}
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer) })
		return err
	}}
	conn, err := dialer.Dial("tcp", net.JoinHostPort("::1", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn.(*net.TCPConn)
}

func readAll(t *testing.T, session *keytlstest.Conn, want string) {
	t.Helper()
	if got, err := io.ReadAll(session); err != nil || string(got) != want {
		t.Errorf("the peer got %d bytes, %v", len(got), err)
	}
}

// awaitUnread waits until at least n bytes have arrived that nobody has read.
func awaitUnread(t *testing.T, tcp *net.TCPConn, n int) {
	t.Helper()
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	unread := 0
	eventually(t, func() bool {
		raw.Control(func(fd uintptr) { unread, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
		return err != nil || unread >= n
	}, func() string { return fmt.Sprintf("%d bytes have arrived, want %d; error %v", unread, n, err) })
}

// connected returns both ends of a TCP connection.
func connected(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return accepted.(*net.TCPConn), dialed.(*net.TCPConn)
}
