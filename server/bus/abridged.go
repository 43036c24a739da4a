// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"fmt"
	"strings"

	"mandos/server/client"
)

// A message that the bus finds too long, 32 MiB on the system's, costs the
// sender its connection. So texts of any length are shortened in what tells much at
// once, and whole only where one client is asked for.
const (
	// maxTexts bounds the bytes of the checkers and hosts in a list of all clients.
	maxTexts = 8 << 20
	// maxField bounds a field of what has happened.
	maxField = 8 << 10
)

// listedClients are all clients, with checkers and hosts shortened as far as it takes
// for a list of them.
func (s *Service) listedClients() []client.View {
	views := s.registry.Clients()
	longest := longestText(views)
	for i := range views {
		views[i].Checker = shortened(views[i].Checker, longest)
		views[i].Host = shortened(views[i].Host, longest)
	}
	return views
}

// longestText is how long a text may be so that all of them are short enough.
func longestText(views []client.View) int {
	for longest := client.MaxCommand; ; longest /= 2 {
		total := 0
		for i := range views {
			total += min(len(views[i].Checker), longest) + min(len(views[i].Host), longest)
		}
		if total <= maxTexts || longest == 0 {
			return longest
		}
	}
}

// shortened cuts off a text that is too long, and says so.
func shortened(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	return fmt.Sprintf("%s... (the first %d of %d bytes)", strings.ToValidUTF8(text[:longest], ""), longest, len(text))
}

// shortenedFields does that to what has happened.
func shortenedFields(fields map[string]string) map[string]string {
	for name, text := range fields {
		fields[name] = shortened(text, maxField)
	}
	return fields
}
