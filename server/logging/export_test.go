// SPDX-License-Identifier: Apache-2.0

package logging

import "io"

// What the tests reach besides the exported names.
var (
	Escape = escape
	Quote  = quote
)

const (
	MaxText     = maxText
	MaxSources  = maxSources
	AllBurst    = allBurst
	EachBurst   = eachBurst
	ReportEvery = reportEvery
	Patience    = patience
)

// StreamTo writes what Stderr would write to w.
func StreamTo(w io.Writer) Destination { return &stream{to: w} }

// SyslogAt writes to a log daemon.
func SyslogAt(path string) Destination { return newSyslog(path) }

// DaemonAt is what Choose chooses for a daemon, with another socket, and w for
// standard error.
func DaemonAt(path string, w io.Writer) Destination {
	return &fallback{first: newSyslog(path), second: StreamTo(w)}
}

// JournalAt is Journal with another socket.
func JournalAt(path string) Destination { return &socket{path: path, encode: journalMessage} }
