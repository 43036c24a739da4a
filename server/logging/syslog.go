// SPDX-License-Identifier: Apache-2.0

package logging

import "fmt"

// facilityDaemon is LOG_DAEMON of syslog(3), shifted as in a message's priority.
const facilityDaemon = 3 << 3

// syslogPath is where log daemons listen.
const syslogPath = "/dev/log"

// newSyslog writes with the facility daemon. Nobody need listen.
func newSyslog(path string) *socket { return &socket{path: path, encode: syslogMessage} }

// ListensToSyslog reports whether a log daemon is there.
func ListensToSyslog() bool {
	conn := newSyslog(syslogPath).dial()
	if conn == nil {
		return false
	}
	return conn.Close() == nil
}

// syslogMessage has neither time nor tag besides the signature, as those who
// read this log expect; syslogd adds the time. The newline ends the message
// where /dev/log is a stream.
func syslogMessage(e entry) []byte {
	s := severityOf(e.level)
	return fmt.Appendf(nil, "<%d>%s%s: %s\n", facilityDaemon|s.priority, signature(e.service), s.name, e.line())
}
