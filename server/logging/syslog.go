// SPDX-License-Identifier: Apache-2.0

package logging

import "fmt"

// facilityDaemon is LOG_DAEMON of syslog(3), shifted as in a message's priority.
const facilityDaemon = 3 << 3

// Syslog writes to /dev/log with the facility daemon. It need not be there.
func Syslog() Destination { return &socket{path: "/dev/log", encode: syslogMessage} }

// syslogMessage has neither time nor tag besides the signature, as those who
// read this log expect; syslogd adds the time. The newline ends the message
// where /dev/log is a stream.
func syslogMessage(e entry) []byte {
	s := severityOf(e.level)
	return fmt.Appendf(nil, "<%d>%s%s: %s\n", facilityDaemon|s.priority, signature(e.service), s.name, e.line())
}
