// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"log/slog"
	"unique"
)

// Secret is what a client gets: opaque bytes, normally an OpenPGP message that
// only the client can decrypt. It prints as its length alone, whichever way it
// reaches a log line or an error: fmt cannot see through the handle even where
// it cannot call Format. Equal secrets compare equal and share their memory.
type Secret struct{ content unique.Handle[string] }

// NewSecret takes a copy of b.
func NewSecret(b []byte) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	return Secret{content: unique.Make(string(b))}
}

// Bytes is a copy of the content, and the one way to it.
func (s Secret) Bytes() []byte { return []byte(s.value()) }

// Len is the length in bytes.
func (s Secret) Len() int { return len(s.value()) }

func (s Secret) value() string {
	if s == (Secret{}) {
		return ""
	}
	return s.content.Value()
}

func (s Secret) String() string { return fmt.Sprintf("[secret of %d bytes]", s.Len()) }

// Format makes every verb, %#v and %x included, print what String does.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue redacts the secret in structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText redacts the secret in JSON and whatever else encodes text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
