// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"strings"

	"mandos/dbusapi"
)

// identity is what a client is found by: its key ID, or else its fingerprint.
func identity(keyID, fingerprint string) string {
	switch {
	case keyID != "":
		return "key_id " + keyID
	case fingerprint != "":
		return "fingerprint " + fingerprint
	}
	return ""
}

// SameKeys are the names of those who have one key, for each key that several have. Those
// that were removed count while their section stands.
func SameKeys(clients []dbusapi.Client, gone []dbusapi.Gone) (same [][]string) {
	var keys []string
	names := make(map[string][]string)
	note := func(key, name string) {
		if key == "" {
			return
		}
		if names[key] = append(names[key], name); len(names[key]) == 2 {
			keys = append(keys, key)
		}
	}
	for i := range clients {
		note(identity(clients[i].KeyID, clients[i].Fingerprint), clients[i].Name)
	}
	for i := range gone {
		if gone[i].GoneSince.IsZero() {
			note(identity(gone[i].KeyID, gone[i].Fingerprint), gone[i].Name)
		}
	}
	for _, key := range keys {
		same = append(same, names[key])
	}
	return same
}

// SameKeyInWords tells of clients that have one key.
func SameKeyInWords(names []string) string {
	return strings.Join(names, ", ") + " have the same key: if either is disabled, expired or removed, none of them gets its secret; give each its own"
}
