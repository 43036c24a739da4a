// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"fmt"
	"strings"
)

// Journal writes to the journal of systemd, with every field as a field of its
// own: CLIENT, KEY_ID, ADDRESS and so on. MESSAGE has them as well.
func Journal() Destination {
	return &socket{path: "/run/systemd/journal/socket", encode: journalMessage}
}

// journalMessage follows https://systemd.io/JOURNAL_NATIVE_PROTOCOL/. Escaped
// values have no newline in them, so none needs the binary form.
func journalMessage(e entry) []byte {
	b := fmt.Appendf(nil, "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=mandos\nSERVICE=%s\nMESSAGE=%s\n",
		severityOf(e.level).priority, facilityDaemon>>3, escape(e.service), e.line())
	for _, f := range e.fields {
		b = fmt.Appendf(b, "%s=%s\n", journalKey(f.key), escape(f.value))
	}
	return b
}

// journalKey makes a field name that the journal accepts and that nothing else
// uses.
func journalKey(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
	switch {
	case name == "", name[0] < 'A', name[0] > 'Z', name == "PRIORITY", name == "MESSAGE", name == "SERVICE", strings.HasPrefix(name, "SYSLOG_"):
		return "MANDOS_" + name
	}
	return name
}
