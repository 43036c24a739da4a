// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"fmt"
	"strings"

	"mandos/dbusapi"
	"mandos/server/client"
)

// A message that the bus finds too long, 32 MiB on the system's, costs the
// sender its connection. So texts of any length are shortened in what tells much at
// once, and whole only where one client is asked for.
var maxMessage = 31 << 20 // a variable, since a test of so many clients takes minutes

const (
	// maxTexts bounds the bytes of all longTexts in a list of all clients.
	maxTexts = 8 << 20
	// maxField bounds a field of what has happened.
	maxField = 8 << 10
)

// longTexts are the texts of a client that can be long: those of its settings, and what
// its checker said.
func longTexts(v *client.View) []*string {
	texts := []*string{&v.LastCheckerOutput}
	for i := range client.AllSettings {
		if text, ok := client.AllSettings[i].Field(&v.Settings).(*string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// listedClients are the clients with long texts shortened as far as it takes for a
// list of them. In that, each client takes so many bytes, and a few times the
// length of its name.
func listedClients(views []client.View, each int) ([]client.View, error) {
	longest, size := longestText(views), 0
	for i := range views {
		size += each + 4*len(views[i].Name)
		for _, text := range longTexts(&views[i]) {
			*text = shortened(*text, longest)
			size += len(*text)
		}
	}
	if size > maxMessage {
		return nil, errorf(dbusapi.ErrorLimitsExceeded, "%d clients are too many for this list, which would be longer than the bus takes", len(views))
	}
	return views, nil
}

// longestText is how long a text may be so that all of them are short enough.
func longestText(views []client.View) int {
	for longest := client.MaxCommand; ; longest /= 2 {
		total := 0
		for i := range views {
			for _, text := range longTexts(&views[i]) {
				total += min(len(*text), longest)
			}
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
