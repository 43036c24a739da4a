// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

// pipe is a connection in memory that buffers without limit, as a socket does
// within bounds: unlike with net.Pipe, two peers may both write first.
func pipe() (net.Conn, net.Conn) {
	a, b := newStream(), newStream()
	return &pipeEnd{in: a, out: b}, &pipeEnd{in: b, out: a}
}

type pipeEnd struct{ in, out *stream }

func (e *pipeEnd) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e *pipeEnd) Write(p []byte) (int, error) { return e.out.write(p) }
func (e *pipeEnd) Close() error {
	e.in.close(net.ErrClosed)
	e.out.close(io.EOF)
	return nil
}
func (e *pipeEnd) LocalAddr() net.Addr              { return &net.IPAddr{} }
func (e *pipeEnd) RemoteAddr() net.Addr             { return &net.IPAddr{} }
func (e *pipeEnd) SetDeadline(time.Time) error      { return nil }
func (e *pipeEnd) SetReadDeadline(time.Time) error  { return nil }
func (e *pipeEnd) SetWriteDeadline(time.Time) error { return nil }

// stream is one direction.
type stream struct {
	mu      sync.Mutex
	changed *sync.Cond
	data    bytes.Buffer
	ended   error // what read returns once data is used up
}

func newStream() *stream {
	s := new(stream)
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.data.Len() == 0 && s.ended == nil {
		s.changed.Wait()
	}
	if s.data.Len() == 0 {
		return 0, s.ended
	}
	return s.data.Read(p)
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return 0, io.ErrClosedPipe
	}
	s.changed.Broadcast()
	return s.data.Write(p)
}

func (s *stream) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = err
	}
	s.changed.Broadcast()
}
