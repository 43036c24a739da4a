// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// patience is how long a record may wait for a log daemon that does not read. As
// long as it goes on not reading, the next ones hardly wait at all.
const patience = 250 * time.Millisecond

// socket writes to a log daemon, which may come, go and hang as it likes. The
// libraries at hand wait without limit for one that hangs.
type socket struct {
	path   string
	encode func(entry) []byte

	mu      sync.Mutex
	conn    net.Conn
	hanging bool
	lost    int
}

func (s *socket) write(e entry) { s.take(e) }

// take reports whether somebody took the record. Those that nobody took are
// counted for the one who comes.
func (s *socket) take(e entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.send(s.encode(e)) {
		s.lost++
		return false
	}
	if s.lost == 0 {
		return true
	}
	gap := entry{
		time: e.time, level: slog.LevelWarn, service: e.service,
		message: "Records are missing here: nobody took them",
		fields:  []field{{"missing", fmt.Sprint(s.lost)}},
	}
	if s.send(s.encode(gap)) {
		s.lost = 0
	}
	return true
}

// send tries again with a new connection where the former one is of no use any
// more, since the log daemon was restarted.
func (s *socket) send(message []byte) bool {
	if s.conn != nil {
		err := s.try(message)
		if err == nil {
			return true
		}
		if s.hanging {
			return false
		}
		s.conn.Close()
	}
	if s.conn = s.dial(); s.conn == nil {
		return false
	}
	return s.try(message) == nil
}

func (s *socket) try(message []byte) error {
	wait := patience
	if s.hanging {
		wait = time.Millisecond
	}
	// A failure shows in the write.
	_ = s.conn.SetWriteDeadline(time.Now().Add(wait))
	_, err := s.conn.Write(message)
	s.hanging = errors.Is(err, os.ErrDeadlineExceeded)
	if s.hanging && s.conn.LocalAddr().Network() == "unix" {
		// A stream may have taken half of the message.
		s.conn.Close()
		s.conn = nil
	}
	return err
}

// dial connects to a datagram socket, or to a stream as some syslog daemons have it.
func (s *socket) dial() net.Conn {
	for _, network := range []string{"unixgram", "unix"} {
		dialer := net.Dialer{Timeout: patience}
		if conn, err := dialer.Dial(network, s.path); err == nil {
			return conn
		}
	}
	return nil
}
