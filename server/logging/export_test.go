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

// SyslogAt is Syslog with another socket.
func SyslogAt(path string) Destination { return &socket{path: path, encode: syslogMessage} }

// JournalAt is Journal with another socket.
func JournalAt(path string) Destination { return &socket{path: path, encode: journalMessage} }
