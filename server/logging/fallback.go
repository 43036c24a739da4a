// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"log/slog"
	"sync"
	"time"
)

// fallback writes to a second destination what nobody takes at the first, and
// says so once.
type fallback struct {
	first  *socket
	second Destination
	said   sync.Once
}

func (f *fallback) write(e entry) {
	if f.first.take(e) {
		return
	}
	f.said.Do(func() {
		f.second.write(entry{
			time: time.Now(), level: slog.LevelWarn, service: e.service,
			message: "No log daemon takes the log, so it goes to standard error, and nowhere once the server has detached from that",
			fields:  []field{{"socket", f.first.path}},
		})
	})
	f.second.write(e)
}
