// SPDX-License-Identifier: Apache-2.0

// Package handout talks to the Mandos clients. It reads the version
// line, lets the peer prove its key in a TLS handshake with the roles reversed,
// asks the registry whether that client may have its secret, and sends it.
//
// Whoever connects is a stranger until it has proved a known key. Strangers have
// deadlines for everything they do, and there is room for only so many of them; when
// there are more, the oldest of the address with the most goes first, so that a
// flood does not lock a booting host out.
package handout

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/client"
	"mandos/server/keytls"
)

// How long each stage of a conversation may take. Waiting for an approval is
// bounded by the client's approval delay.
const (
	versionLineTime = 10 * time.Second
	handshakeTime   = 30 * time.Second
	farewellTime    = 10 * time.Second
)

// maxChatter is how many bytes of application data a peer may send, which has
// nothing to say, before it is cut off.
const maxChatter = 64 << 10

// Registry decides who gets what.
type Registry interface {
	// Known tells whether a client has that identity.
	Known(client.Identity) bool
	// Release waits for an approval if need be, until ctx ends.
	Release(ctx context.Context, id client.Identity, from netip.AddrPort) (*client.Handout, error)
}

// Limits bound the connections. Where the process may not open enough files,
// fewer are let in.
type Limits struct {
	// Strangers is how many connections there are at most, in all, that have
	// not proved a known key.
	Strangers int
	// PerSource is how many strangers there are at most from one address.
	PerSource int
	// PerClient is how many connections one client has at most.
	PerClient int
}

// DefaultLimits suit a server for a LAN.
var DefaultLimits = Limits{Strangers: 1000, PerSource: 50, PerClient: 20}

// Server serves the clients on any number of listeners.
type Server struct {
	registry  Registry
	log       *slog.Logger
	tls       keytls.Config
	strangers *crowd[netip.Prefix]
	proved    *crowd[client.Identity]

	mu        sync.Mutex
	peers     *sync.WaitGroup // the conversations
	listeners []net.Listener
	closed    bool // all of the listeners, or about to be
}

// New makes a server that speaks TLS as offer says (its Known is set here). Peers
// that never prove a key are logged to log, any number of them.
func New(registry Registry, offer keytls.Config, limits Limits, log *slog.Logger) *Server {
	offer.Known = func(id keytls.Identity) bool { return registry.Known(identity(id)) }
	files := openFiles()
	return &Server{
		registry:  registry,
		log:       log,
		tls:       offer,
		strangers: newCrowd[netip.Prefix](min(limits.Strangers, files/2), limits.PerSource),
		proved:    newCrowd[client.Identity](files/4, limits.PerClient),
		peers:     new(sync.WaitGroup),
	}
}

// openFiles is how many files the process may open.
func openFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<20))
}

func identity(id keytls.Identity) client.Identity {
	kind := client.RawPublicKey
	if id.Kind == keytls.Fingerprint {
		kind = client.OpenPGPKey
	}
	return client.Identity{Kind: kind, Hex: id.Hex}
}

// Serve accepts connections until [Server.StopAccepting] or [Server.Finish] closes the
// listener. When ctx
// ends, nobody waits for an approval any more.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if !s.serveOn(listener) {
		return listener.Close()
	}
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			s.welcome(ctx, conn)
		case s.finished():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			s.log.Error("cannot accept a connection", "error", err)
			s.strangers.evictOne()
			time.Sleep(10 * time.Millisecond) // until the evicted one is closed
		}
	}
}

// StopAccepting closes the listeners. Conversations go on.
func (s *Server) StopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, listener := range s.listeners {
		// An error says that it is closed, which is all that is wanted.
		_ = listener.Close()
	}
}

// Finish lets the conversations come to their end, and closes the listeners once
// those are over that were under way when it was called: one that stays keeps nobody
// out. It returns when all are over. When ctx ends they are cut off.
func (s *Server) Finish(ctx context.Context) {
	earlier := s.changePeers()
	over := make(chan struct{})
	go func() {
		defer close(over)
		earlier.Wait()
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
	s.StopAccepting()
	stop := context.AfterFunc(ctx, func() {
		s.strangers.closeAll()
		s.proved.closeAll()
	})
	defer stop()
	<-over
	s.changePeers().Wait()
}

// serveOn notes a listener to be closed, unless that has been done with all.
func (s *Server) serveOn(listener net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners = append(s.listeners, listener)
	return true
}

func (s *Server) finished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// changePeers gives all conversations so far; those to come are counted anew.
func (s *Server) changePeers() *sync.WaitGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	peers := s.peers
	s.peers = new(sync.WaitGroup)
	return peers
}

func (s *Server) welcome(ctx context.Context, conn net.Conn) {
	from := addressOf(conn)
	stranger := s.strangers.join(sourceOf(from.Addr()), conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers.Go(func() {
		p := &peer{server: s, conn: conn, from: from, stranger: stranger, log: s.log.With("address", from)}
		defer p.leave()
		p.converse(ctx)
	})
}

// peer is one connection.
type peer struct {
	server   *Server
	conn     net.Conn
	from     netip.AddrPort
	stranger *member[netip.Prefix]
	proved   *member[client.Identity] // nil until it has proved a known key
	log      *slog.Logger
}

func (p *peer) leave() {
	if fault := recover(); fault != nil {
		p.log.Error("a connection ran into a defect of the server and was closed", "fault", fault, "stack", string(debug.Stack()))
	}
	p.conn.Close()
	p.server.strangers.leave(p.stranger)
	if p.proved != nil {
		p.server.proved.leave(p.proved)
	}
}

func (p *peer) converse(ctx context.Context) {
	p.log.Debug("connection")
	p.conn.SetReadDeadline(time.Now().Add(versionLineTime))
	if err := readVersionLine(p.conn); err != nil {
		p.log.Info("peer refused: it does not begin as a Mandos client", "error", err)
		return
	}
	p.conn.SetReadDeadline(time.Time{})

	tls := keytls.Client(p.conn, &p.server.tls)
	proved, err := p.handshake(ctx, tls)
	id := identity(proved)
	switch {
	case errors.Is(err, keytls.ErrUnknownKey):
		p.refuse(tls, listenTo(ctx, tls), id)
	case err != nil:
		if proved.Hex != "" {
			p.log = p.log.With(id.Kind.Field(), id.Hex)
		}
		p.log.Warn("peer refused: handshake failed", "error", err)
	default:
		p.proved = p.server.proved.join(id, p.conn)
		p.server.strangers.leave(p.stranger)
		p.serve(ctx, tls, id)
	}
}

func (p *peer) handshake(ctx context.Context, tls *keytls.Conn) (keytls.Identity, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handshakeTime)
	defer cancel()
	return tls.Handshake(ctx)
}

// refuse has the registry refuse a peer whose key was unknown in the handshake,
// whatever the registry knows by now: nobody has checked that the key is the peer's.
func (p *peer) refuse(tls *keytls.Conn, ear *ear, id client.Identity) {
	if handout, err := p.server.registry.Release(ear.present, id, p.from); err == nil {
		handout.NotReceived(keytls.ErrUnknownKey)
	}
	p.farewell(tls, ear)
}

// serve hands the secret out to a peer that has proved a known key, or refuses.
func (p *peer) serve(ctx context.Context, tls *keytls.Conn, id client.Identity) {
	ear := listenTo(ctx, tls)
	handout, err := p.server.registry.Release(ear.present, id, p.from)
	if err != nil {
		p.farewell(tls, ear)
		return
	}
	note, err := p.send(tls, ear, handout.Secret)
	if err != nil {
		handout.NotReceived(err)
		return
	}
	handout.Received(note)
}

// send succeeds if the peer has all of the secret, see judge.
func (p *peer) send(tls *keytls.Conn, ear *ear, secret client.Secret) (note string, err error) {
	select {
	case <-ear.closed:
		return "", errGone
	default:
	}
	tls.SetWriteDeadline(time.Now().Add(farewellTime))
	if _, err := tls.Write(secret.Bytes()); err != nil {
		return "", err
	}
	if err := p.farewell(tls, ear); err != nil {
		return "", err
	}
	return judge(p.conn, ear.err)
}

// farewell closes our side of the session and waits until the peer has closed its
// own, which it does as ear.err says. To close the connection earlier could take
// data from the peer that is still on its way.
func (p *peer) farewell(tls *keytls.Conn, ear *ear) error {
	tls.SetDeadline(time.Now().Add(farewellTime))
	if err := tls.CloseWrite(); err != nil {
		return err
	}
	<-ear.closed
	return nil
}

// ear listens to a peer that has nothing more to say, to notice when it goes.
type ear struct {
	present context.Context // ends when the peer goes, or the server stops
	closed  chan struct{}
	err     error // once closed: nil if the peer closed the session properly
}

func listenTo(ctx context.Context, tls *keytls.Conn) *ear {
	present, gone := context.WithCancelCause(ctx)
	e := &ear{present: present, closed: make(chan struct{})}
	go func() {
		defer close(e.closed)
		e.err = listen(tls)
		gone(errGone)
	}()
	return e
}

// listen returns nil when the peer has closed the session.
func listen(r io.Reader) error {
	var scrap [64]byte
	for heard := 0; heard < maxChatter; {
		n, err := r.Read(scrap[:])
		heard += n
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the peer sends data, which no client does")
}

var errGone = errors.New("the peer closed the connection")
