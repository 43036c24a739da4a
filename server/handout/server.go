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
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/client"
	"mandos/server/keytls"
)

// Registry decides who gets what.
type Registry interface {
	// Known reports whether a client has that identity.
	Known(client.Identity) bool
	// Release waits for an approval if need be, until ctx ends.
	Release(ctx context.Context, id client.Identity, from client.Origin) (*client.Handout, error)
}

// Observer hears of what the registry does not. It must not block.
type Observer interface {
	// Connected tells of every connection.
	Connected()
	// Evicted tells of one that was closed to make room for others.
	Evicted()
	// NotAClient tells of one that does not begin as a Mandos client.
	NotAClient(error)
	// HandshakeFailed tells of one that proves no key.
	HandshakeFailed(error)
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
	observer  Observer
	log       *slog.Logger
	offer     keytls.Config
	strangers *crowd[netip.Prefix]
	proved    *crowd[client.Identity]

	mu        sync.Mutex
	peers     *sync.WaitGroup // the conversations
	listeners []net.Listener
	closed    bool // all of the listeners, or about to be
}

// New makes a server that speaks TLS as offer says (its Known is set here). Peers
// that never prove a key are logged to log, any number of them.
func New(registry Registry, offer keytls.Config, limits Limits, observer Observer, log *slog.Logger) *Server {
	offer.Known = func(id keytls.Identity) bool { return registry.Known(identity(id)) }
	files := openFiles()
	return &Server{
		registry:  registry,
		observer:  observer,
		log:       log,
		offer:     offer,
		strangers: newCrowd[netip.Prefix](min(limits.Strangers, files/2), limits.PerSource, observer.Evicted),
		proved:    newCrowd[client.Identity](files/4, limits.PerClient, observer.Evicted),
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
			s.serveConn(ctx, conn)
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

// Strangers is how many connections there are that have not proved a known key.
func (s *Server) Strangers() int { return s.strangers.size() }

func (s *Server) serveConn(ctx context.Context, conn net.Conn) {
	s.observer.Connected()
	from := addressOf(conn)
	stranger := s.strangers.join(client.SourceOf(from.Addr()), conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers.Go(func() {
		p := &peer{server: s, conn: conn, from: from, stranger: stranger, log: s.log.With("address", from)}
		defer p.leave()
		p.converse(ctx)
	})
}
