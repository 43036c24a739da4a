// SPDX-License-Identifier: Apache-2.0

package listening

import (
	"errors"
	"net"
	"slices"
)

// accepted is what one of the sockets has accepted.
type accepted struct {
	conn net.Conn
	err  error
}

// Accept is part of [net.Listener]: the next connection to any of the sockets.
func (s *Sockets) Accept() (net.Conn, error) {
	select {
	case a := <-s.accepted:
		return a.conn, a.err
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Addr is part of [net.Listener].
func (s *Sockets) Addr() net.Addr { return &net.TCPAddr{Port: int(s.State().Port)} }

// Inherited reports whether the socket is one that whoever started us has opened, and
// may keep open.
func (s *Sockets) Inherited() bool { return s.wish.File != nil }

// Close is part of [net.Listener]. It closes all sockets.
func (s *Sockets) Close() error {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return nil
	}
	s.ended = true
	close(s.closed)
	var err error
	for _, o := range s.open {
		err = errors.Join(err, o.listener.Close())
	}
	if s.reserve != nil {
		err = errors.Join(err, s.reserve.Close())
	}
	s.mu.Unlock()
	s.accepts.Wait()
	return err
}

// sockets are those that are open.
func (s *Sockets) sockets() []*socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.open)
}

// add begins to accept connections, unless all is closed already.
func (s *Sockets) add(o *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, o)
	if s.ended {
		o.listener.Close()
		return
	}
	s.accepts.Go(func() { s.acceptFrom(o.listener) })
}

func (s *Sockets) drop(o *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(other *socket) bool { return other == o })
	o.listener.Close()
}

// acceptFrom ends when the listener is closed.
func (s *Sockets) acceptFrom(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case s.accepted <- accepted{conn, err}:
		case <-s.closed:
			if conn != nil {
				conn.Close()
			}
			return
		}
	}
}
