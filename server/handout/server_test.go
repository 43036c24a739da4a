// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mandos/server/client"
	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// site is a registry and a server of it, and what they had to say.
type site struct {
	*client.Registry
	server *Server
	key    *keytlstest.Key // of the client "host1"
	log    *logbook

	mu       sync.Mutex
	told     []client.Event
	observed []string
}

// observe is what the site does as the [Observer] of its server.
func (s *site) observe(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observed = append(s.observed, what)
}

func (s *site) Connected()                { s.observe("connected") }
func (s *site) Evicted()                  { s.observe("evicted") }
func (s *site) NotAClient(err error)      { s.observe(fmt.Sprint("not a client: ", err)) }
func (s *site) HandshakeFailed(err error) { s.observe(fmt.Sprint("handshake failed: ", err)) }

const secret = "the secret of host1"

// noDisk keeps nothing: what is saved is no matter here.
type noDisk struct{}

func (noDisk) Save([]client.Record) error           { return nil }
func (noDisk) SaveServer(client.ServerRecord) error { return nil }

// noChecks finds every client alive.
type noChecks struct{}

func (noChecks) Check(context.Context, string, string) (client.CheckResult, error) {
	return client.CheckResult{}, nil
}

func newSite(t testing.TB, limits Limits, change func(*client.Settings)) *site {
	s := &site{Registry: client.New(noChecks{}, noDisk{}), key: keytlstest.NewKey(keytlstest.Ed25519), log: &logbook{}}
	s.Subscribe(func(event client.Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, event)
	})
	settings := client.Settings{
		Name: "host1", KeyID: s.key.KeyID(), Secret: client.NewSecret([]byte(secret)), Checker: ":",
		Timeout: time.Hour, ExtendedTimeout: 2 * time.Hour, Interval: 30 * time.Minute,
		ApprovalDuration: time.Second, ApprovedByDefault: true, Enabled: true,
	}
	if change != nil {
		change(&settings)
	}
	if _, err := s.Load([]client.Settings{settings}, nil); err != nil {
		t.Fatal(err)
	}
	s.Start()
	s.server = New(s.Registry, keytls.Config{}, limits, s, slog.New(slog.NewTextHandler(s.log, nil)))
	return s
}

// wantObserved checks which things the observer was told of, by how they begin.
func (s *site) wantObserved(t testing.TB, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.EqualFunc(s.observed, want, strings.HasPrefix) {
		t.Errorf("the observer was told %q, not %q", s.observed, want)
	}
}

// logbook is a log that can be read while it is written.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// events are what happened except for checks.
func (s *site) events(t testing.TB) (kinds []client.EventKind) {
	t.Helper()
	if err := s.Alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, event := range s.told {
		if !strings.HasPrefix(string(event.Kind), "checker") {
			kinds = append(kinds, event.Kind)
		}
	}
	return kinds
}

// onLoopback serves on a real socket and returns its address.
func (s *site) onLoopback(t testing.TB) string {
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop(client.ErrClosed)
		grace, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		s.server.Finish(grace)
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
}

// fetch is what a Mandos client does.
func fetch(t testing.TB, address string, key *keytlstest.Key) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(conn, "1\r\n"); err != nil {
		return "", err
	}
	got, err := (&keytlstest.Peer{Key: key}).Fetch(conn)
	return string(got), err
}

func TestHandout(t *testing.T) {
	stranger := keytlstest.NewKey(keytlstest.Ed25519)
	for sentence, c := range map[string]struct {
		settings func(*client.Settings)
		key      *keytlstest.Key // nil: the client's own
		want     string
		event    client.EventKind
	}{
		"an enabled client gets its secret": {want: secret, event: client.SecretSent},
		"a disabled client gets a finished session and nothing": {
			settings: func(s *client.Settings) { s.Enabled = false }, event: client.Rejected},
		"an unknown key gets a finished session and nothing": {key: stranger, event: client.NotFound},
		"a secret larger than a record arrives whole": {
			settings: func(s *client.Settings) {
				s.Secret = client.NewSecret(bytes.Repeat([]byte("0123456789abcdef"), 10_000))
			},
			want: strings.Repeat("0123456789abcdef", 10_000), event: client.SecretSent},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, DefaultLimits, c.settings)
			port := s.onLoopback(t)
			key := c.key
			if key == nil {
				key = s.key
			}
			for _, host := range []string{"::1", "127.0.0.1"} {
				got, err := fetch(t, net.JoinHostPort(host, port), key)
				if err != nil || got != c.want {
					t.Errorf("over %s: got %.60q, error %v", host, got, err)
				}
			}
			eventually(t, func() bool {
				// The second time it is another address.
				events := slices.DeleteFunc(s.events(t), func(kind client.EventKind) bool { return kind == client.NewAddress })
				return len(events) == 2 && events[0] == c.event && events[1] == c.event
			}, func() string { return fmt.Sprint(s.events(t)) })
			s.wantObserved(t, "connected", "connected")
		})
	}
}

func eventually(t testing.TB, condition func() bool, otherwise func() string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error(otherwise())
			return
		}
	}
}

func TestPeersThatAreNoClientsAreLogged(t *testing.T) {
	s := newSite(t, DefaultLimits, nil)
	port := s.onLoopback(t)
	for sent, logged := range map[string]string{
		"GET / HTTP/1.1\r\n\r\n":       "unknown protocol version",
		"1\r\nHTTP is not what I hear": "",
	} {
		conn, err := net.Dial("tcp", net.JoinHostPort("::1", port))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, sent)
		conn.(*net.TCPConn).CloseWrite()
		conn.SetDeadline(time.Now().Add(2 * time.Minute))
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if logged != "" && len(answer) > 0 {
			t.Errorf("%q was answered with %d bytes", sent, len(answer))
		}
		eventually(t, func() bool {
			return strings.Contains(s.log.String(), logged) && strings.Contains(s.log.String(), "address=[::1]:")
		}, s.log.String)
	}
	if got, err := fetch(t, net.JoinHostPort("::1", port), s.key); got != secret {
		t.Errorf("afterwards a client got %q, error %v", got, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.observed)
	s.observed = slices.Compact(s.observed)
	if len(s.observed) != 3 || !strings.HasPrefix(s.observed[1], "handshake failed: ") || !strings.HasPrefix(s.observed[2], "not a client: unknown protocol version") {
		t.Errorf("the observer was told %q", s.observed)
	}
}

// pipes is a listener whose connections live in memory, for a synctest bubble.
type pipes struct{ conns chan net.Conn }

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn)} }

func (p *pipes) Accept() (net.Conn, error) {
	conn, open := <-p.conns
	if !open {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p *pipes) Close() error   { close(p.conns); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

func TestEveryStageHasADeadline(t *testing.T) {
	for sentence, c := range map[string]struct {
		settings func(*client.Settings)
		peer     func(conn net.Conn, key *keytlstest.Key)
		want     time.Duration
		event    client.EventKind
		observed string
	}{
		"a peer that says nothing": {
			peer: func(net.Conn, *keytlstest.Key) {}, want: versionLineTime, observed: "not a client"},
		"a peer that never ends its line": {
			peer: func(conn net.Conn, _ *keytlstest.Key) { io.WriteString(conn, "1\r") }, want: versionLineTime, observed: "not a client"},
		"a peer that does not answer our hello": {
			peer: func(conn net.Conn, _ *keytlstest.Key) {
				io.WriteString(conn, "1\r\n")
				go io.Copy(io.Discard, conn)
			}, want: handshakeTime, observed: "handshake failed"},
		"a peer that does not read our hello": {
			peer: func(conn net.Conn, _ *keytlstest.Key) { io.WriteString(conn, "1\r\n") }, want: handshakeTime, observed: "handshake failed"},
		"a peer that does not read its secret": {
			peer: func(conn net.Conn, key *keytlstest.Key) {
				io.WriteString(conn, "1\r\n")
				if err := (&keytlstest.Peer{Key: key}).Server(conn).Handshake(); err != nil {
					panic(err)
				}
			}, want: closeTime, event: client.SecretNotReceived},
		"a peer that does not close the session": {
			peer: func(conn net.Conn, key *keytlstest.Key) {
				io.WriteString(conn, "1\r\n")
				session := (&keytlstest.Peer{Key: key}).Server(conn)
				if err := session.Handshake(); err != nil {
					panic(err)
				}
				go io.Copy(io.Discard, session)
			}, want: closeTime, event: client.SecretNotReceived},
		"a peer with an unknown key that does not close the session": {
			peer: func(conn net.Conn, _ *keytlstest.Key) {
				io.WriteString(conn, "1\r\n")
				session := (&keytlstest.Peer{Key: keytlstest.NewKey(keytlstest.Ed25519)}).Server(conn)
				if err := session.Handshake(); err != nil {
					panic(err)
				}
				go io.Copy(io.Discard, session)
			}, want: closeTime, event: client.NotFound},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, DefaultLimits, c.settings)
				listener := newPipes()
				ctx, stop := context.WithCancel(t.Context())
				go s.server.Serve(ctx, listener)
				conn := listener.dial()
				start := time.Now()
				c.peer(conn, s.key)
				synctest.Wait()
				s.server.Finish(t.Context())
				if took := time.Since(start); took != c.want {
					t.Errorf("it was served for %v, want %v", took, c.want)
				}
				conn.Close()
				if events := s.events(t); c.event != "" && (len(events) != 1 || events[0] != c.event) {
					t.Errorf("told %v", events)
				}
				want := []string{"connected"}
				if c.observed != "" {
					want = append(want, c.observed)
				}
				s.wantObserved(t, want...)
				stop()
				s.Close(t.Context())
			})
		})
	}
}

func TestApprovalEndsWhenThePeerHangsUp(t *testing.T) {
	for sentence, hangUp := range map[string]func(net.Conn, *keytlstest.Conn){
		"by closing the session":    func(_ net.Conn, session *keytlstest.Conn) { session.CloseWrite() },
		"by closing the connection": func(conn net.Conn, _ *keytlstest.Conn) { conn.Close() },
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, DefaultLimits, func(c *client.Settings) { c.ApprovalDelay = time.Hour })
				listener := newPipes()
				ctx, stop := context.WithCancel(t.Context())
				go s.server.Serve(ctx, listener)
				conn := listener.dial()
				io.WriteString(conn, "1\r\n")
				session := (&keytlstest.Peer{Key: s.key}).Server(conn)
				if err := session.Handshake(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if v, _ := s.Client("host1"); v.ApprovalsPending != 1 {
					t.Errorf("%d pending", v.ApprovalsPending)
				}
				go hangUp(conn, session)
				synctest.Wait()
				if v, _ := s.Client("host1"); v.ApprovalsPending != 0 {
					t.Errorf("%d still pending", v.ApprovalsPending)
				}
				conn.Close()
				stop()
				s.server.Finish(t.Context())
				s.Close(t.Context())
			})
		})
	}
}

func TestShutdown(t *testing.T) {
	for sentence, c := range map[string]struct {
		delay time.Duration
		want  string
	}{
		"lets a peer in its handshake have its secret": {want: secret},
		"refuses one that waits for an approval":       {delay: time.Hour},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, DefaultLimits, func(settings *client.Settings) { settings.ApprovalDelay = c.delay })
				listener := newPipes()
				ctx, stop := context.WithCancelCause(t.Context())
				go s.server.Serve(ctx, listener)
				conn := listener.dial()
				io.WriteString(conn, "1\r\n")
				session := (&keytlstest.Peer{Key: s.key}).Server(conn)
				if c.delay > 0 {
					session.Handshake()
					time.Sleep(time.Second)
				}
				synctest.Wait()
				stop(client.ErrClosed)
				if c.delay == 0 {
					session.Handshake()
				}
				got, err := io.ReadAll(session)
				if err != nil || string(got) != c.want {
					t.Errorf("got %q, error %v", got, err)
				}
				session.CloseWrite()
				s.server.Finish(t.Context())
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestAPeerThatStaysKeepsNobodyOut is about a server that is told to end while a
// connection stays open.
func TestAPeerThatStaysKeepsNobodyOut(t *testing.T) {
	const grace = 5 * time.Second
	for sentence, c := range map[string]struct {
		stays  time.Duration // how long the first peer stays
		within time.Duration // when the second one comes, of the grace
		want   string
		took   time.Duration
	}{
		"who comes while it stays is served":                {stays: time.Minute, within: grace - time.Second, want: secret, took: grace},
		"who comes when it has gone finds nobody listening": {stays: time.Second, within: 2 * time.Second, took: time.Second},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, DefaultLimits, nil)
				listener := newPipes()
				ctx, stop := context.WithCancelCause(t.Context())
				served := make(chan error, 1)
				go func() { served <- s.server.Serve(ctx, listener) }()
				staying := listener.dial()
				time.AfterFunc(c.stays, func() { staying.Close() })
				synctest.Wait()

				stop(client.ErrClosed)
				start := time.Now()
				var took time.Duration
				finished := make(chan struct{})
				go func() {
					defer close(finished)
					ending, cancel := context.WithTimeout(context.Background(), grace)
					defer cancel()
					s.server.Finish(ending)
					took = time.Since(start)
				}()
				time.Sleep(c.within)
				synctest.Wait()
				got := ""
				select {
				case err := <-served:
					served <- err
				default:
					conn := listener.dial()
					io.WriteString(conn, "1\r\n")
					secret, err := (&keytlstest.Peer{Key: s.key}).Fetch(conn)
					if err != nil {
						t.Error(err)
					}
					got = string(secret)
					conn.Close()
				}
				<-finished
				if err := <-served; err != nil || got != c.want || took != c.took {
					t.Errorf("the second peer got %q, want %q; it ended after %v, want %v, error %v", got, c.want, took, c.took, err)
				}
				s.Close(t.Context())
			})
		})
	}
}

// faulty is a listener that fails to accept as often as it is told to.
type faulty struct {
	*pipes
	failures chan error
	asked    atomic.Int32
}

func (f *faulty) Accept() (net.Conn, error) {
	f.asked.Add(1)
	select {
	case err := <-f.failures:
		return nil, err
	case conn, open := <-f.conns:
		if !open {
			return nil, net.ErrClosed
		}
		return conn, nil
	}
}

func TestAFailedAcceptMakesRoomForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, DefaultLimits, nil)
		listener := &faulty{pipes: newPipes(), failures: make(chan error)}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.server.Serve(ctx, listener) }()
		older, younger := listener.dial(), listener.dial()
		synctest.Wait()

		before := listener.asked.Load()
		listener.failures <- errors.New("too many open files")
		synctest.Wait()
		if _, err := older.Write([]byte("1")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the oldest stranger is still there: %v", err)
		}
		if asked := listener.asked.Load(); asked != before {
			t.Errorf("it accepted %d times more before the stranger was gone", asked-before)
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if asked := listener.asked.Load(); asked != before+1 {
			t.Errorf("it accepted %d times more", asked-before)
		}
		if log := s.log.String(); !strings.Contains(log, `msg="cannot accept a connection" error="too many open files"`) {
			t.Errorf("the log says\n%s", log)
		}
		if _, err := io.WriteString(younger, "1\r\n"); err != nil {
			t.Errorf("the other stranger is gone: %v", err)
		}
		conn := listener.dial()
		io.WriteString(conn, "1\r\n")
		if got, err := (&keytlstest.Peer{Key: s.key}).Fetch(conn); string(got) != secret {
			t.Errorf("the next one got %q, error %v", got, err)
		}

		listener.failures <- net.ErrClosed
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("without a listener it ended with %v", err)
		}
		stop()
		younger.Close()
		conn.Close()
		s.server.Finish(t.Context())
		s.Close(t.Context())
	})
}

func TestAPeerThatTalksIsCutOff(t *testing.T) {
	sent := bytes.NewReader(make([]byte, 1<<20))
	if err := readToEnd(sent); err == nil || sent.Len() != 1<<20-64<<10 {
		t.Errorf("it read %d bytes and then %v", 1<<20-sent.Len(), err)
	}
	if err := readToEnd(bytes.NewReader(make([]byte, 64<<10-1))); err != nil {
		t.Errorf("after a little less and a good-bye: %v", err)
	}

	s := newSite(t, DefaultLimits, func(c *client.Settings) { c.ApprovalDelay = time.Hour })
	conn, err := net.Dial("tcp", net.JoinHostPort("::1", s.onLoopback(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "1\r\n")
	session := (&keytlstest.Peer{Key: s.key}).Server(conn)
	if err := session.Handshake(); err != nil {
		t.Fatal(err)
	}
	const enough = 64 << 20 // more than the kernel keeps of it
	chunk := make([]byte, 16<<10)
	for said := 0; err == nil && said < enough; said += len(chunk) {
		conn.SetDeadline(time.Now().Add(time.Minute))
		_, err = session.Write(chunk)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it was listened to: %v", err)
	}
	eventually(t, func() bool { return slices.Contains(s.events(t), client.Rejected) }, func() string { return "it was not refused" })
}
