// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"unique"
)

// Secret is what a client gets: opaque bytes, normally an OpenPGP message that
// only the client can decrypt. It prints as its length alone, whichever way it
// reaches a log line or an error: fmt cannot see through the handle even where
// it cannot call Format. Equal secrets compare equal and share their memory.
type Secret struct {
	content unique.Handle[string]
	late    *lateSecret // has the content instead, if not nil
}

// lateSecret is the content of a secret that takes long to find.
type lateSecret struct {
	find  func() Secret // at most once, and then again from memory
	found atomic.Bool
}

// NewSecret takes a copy of b.
func NewSecret(b []byte) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	return Secret{content: unique.Make(string(b))}
}

// LateSecret is a secret that takes long to find, as one that is encrypted. find
// is called once, when the content is first needed; who needs it meanwhile waits.
// A late secret equals itself alone: see [Secret.Settled].
func LateSecret(find func() Secret) Secret {
	late := new(lateSecret)
	late.find = sync.OnceValue(func() Secret {
		secret := find().Settled()
		late.found.Store(true)
		return secret
	})
	return Secret{late: late}
}

// Found reports whether the content is to be had without delay.
func (s Secret) Found() bool { return s.late == nil || s.late.found.Load() }

// Settled is the same secret as [NewSecret] makes it. For one that is late this
// may take long.
func (s Secret) Settled() Secret {
	if s.late == nil {
		return s
	}
	return s.late.find()
}

// Bytes is a copy of the content, and the one way to it.
func (s Secret) Bytes() []byte { return []byte(s.value()) }

// Len is the length in bytes.
func (s Secret) Len() int { return len(s.value()) }

func (s Secret) value() string {
	s = s.Settled()
	if s == (Secret{}) {
		return ""
	}
	return s.content.Value()
}

func (s Secret) String() string {
	if !s.Found() {
		return "[secret that is still encrypted]"
	}
	return fmt.Sprintf("[secret of %d bytes]", s.Len())
}

// Format makes every verb, %#v and %x included, print what String does.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue redacts the secret in structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText redacts the secret in JSON and whatever else encodes text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
