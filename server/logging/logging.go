// SPDX-License-Identifier: Apache-2.0

// Package logging writes the server's log: one record for each event, a short
// sentence with fields, to the journal, to syslog or to standard error.
//
// # What is logged at which level
//
// The default level is [DefaultLevel], INFO. From there up the log has every
// hand-out, refusal, approval, expiry and administrative change, and every
// check that failed. DEBUG adds what goes well: checks that start and succeed.
// A record of a client losing its validity by itself, and whatever else should
// make somebody look, is a WARNING or more.
//
// # What never happens
//
// No secret and no key material is logged at any level. What a stranger sends
// cannot forge a record or steer a terminal: control characters are escaped and
// every record is one line, of bounded length. A log that nobody reads delays
// the server by [patience] once and then no more; what it misses is counted.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"github.com/coreos/go-systemd/v22/journal"
)

// defaultService is the service name that the log leaves out.
const defaultService = "Mandos"

// Destination is where records go.
type Destination interface {
	write(entry)
}

// Choose is the journal if standard error leads there; else syslog for a daemon,
// whose standard error leads nowhere once it has detached, and standard error in
// the foreground. What syslog does not take goes to standard error.
func Choose(daemon bool) Destination {
	if stderrIsJournal() {
		return Journal()
	}
	if daemon {
		return &fallback{first: newSyslog(syslogPath), second: Stderr()}
	}
	return Stderr()
}

func stderrIsJournal() bool {
	connected, err := journal.StderrIsJournalStream()
	return err == nil && connected
}

// Complain writes the reason why the program ends to its standard error. The
// journal, if that leads there, takes each line for an error instead of for a
// piece of information.
func Complain(stderr io.Writer, reason string) {
	prefix := ""
	if stderrIsJournal() {
		prefix = fmt.Sprintf("<%d>", severityOf(slog.LevelError).priority)
	}
	for line := range strings.Lines(strings.TrimSuffix(reason, "\n") + "\n") {
		// There is nowhere left to complain to.
		_, _ = io.WriteString(stderr, prefix+line)
	}
}

// ServiceName is the name of the service in the log, "Mandos" at first. It may
// be changed at any time.
type ServiceName struct{ changed atomic.Pointer[string] }

// Set makes later records carry name.
func (s *ServiceName) Set(name string) { s.changed.Store(&name) }

func (s *ServiceName) String() string {
	if name := s.changed.Load(); name != nil {
		return *name
	}
	return defaultService
}

// New makes the logger of the whole server. The level and the service name may
// change while it is in use.
func New(to Destination, level slog.Leveler, service *ServiceName) *slog.Logger {
	return slog.New(&handler{to: to, level: level, service: service})
}

// signature starts a text record: "Mandos [PID]: ", or with a service name of
// another kind "Mandos (NAME) [PID]: ".
func signature(service string) string {
	if service == defaultService {
		return fmt.Sprintf("%s [%d]: ", defaultService, os.Getpid())
	}
	return fmt.Sprintf("%s (%s) [%d]: ", defaultService, escape(service), os.Getpid())
}
