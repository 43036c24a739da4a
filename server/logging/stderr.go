// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"io"
	"os"
	"sync"
)

// stream writes lines that begin with the time.
type stream struct {
	mu sync.Mutex
	to io.Writer
}

// Stderr writes to standard error, with time stamps.
func Stderr() Destination { return &stream{to: os.Stderr} }

func (s *stream) write(e entry) {
	line := e.time.Format("2006-01-02 15:04:05.000 ") + signature(e.service) + severityOf(e.level).name + ": " + e.line() + "\n"
	s.mu.Lock()
	defer s.mu.Unlock()
	// There is nowhere left to complain to.
	_, _ = io.WriteString(s.to, line)
}
