// SPDX-License-Identifier: Apache-2.0

package client

// KeyKind is a code for the kind of key a client proves itself with.
type KeyKind string

// The two kinds of keys. Their identities are separate name spaces.
const (
	RawPublicKey KeyKind = "raw-public-key" // RFC 7250, named by its key ID
	OpenPGPKey   KeyKind = "openpgp-key"    // RFC 6091, named by its fingerprint
)

// KeyKinds are both.
var KeyKinds = []KeyKind{RawPublicKey, OpenPGPKey}

// Field is what a key of that kind is named by: the key in clients.conf, and the
// field of a log record.
func (k KeyKind) Field() string {
	if k == OpenPGPKey {
		return "fingerprint"
	}
	return "key_id"
}

// Identity names the key that a peer has proved to own: upper-case hex of a
// key ID (SHA-256) or a fingerprint, as Kind says.
type Identity struct {
	Kind KeyKind
	Hex  string
}

// emptyKeyID is the SHA-256 of nothing, which the key generator of Mandos
// 1.8.0 wrote into configurations by mistake. It identifies nobody.
const emptyKeyID = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

// identity is what the client is found by: a client that has a key ID is
// never matched by its fingerprint. It is empty for a client that nothing can match.
func (s *Settings) identity() Identity {
	switch {
	case s.KeyID == emptyKeyID:
		return Identity{}
	case s.KeyID != "":
		return Identity{Kind: RawPublicKey, Hex: s.KeyID}
	case s.Fingerprint != "":
		return Identity{Kind: OpenPGPKey, Hex: s.Fingerprint}
	}
	return Identity{}
}

// idleFingerprint is the fingerprint of a client that is known by its key ID; empty
// for others.
func (s *Settings) idleFingerprint() string {
	if s.KeyID == "" {
		return ""
	}
	return s.Fingerprint
}

// Key is what the configuration says of a client's key: by this a client stays
// known under whatever name.
type Key struct{ KeyID, Fingerprint string }

func (s *Settings) key() Key {
	key := Key{s.KeyID, s.Fingerprint}
	if key.KeyID == emptyKeyID {
		key.KeyID = ""
	}
	return key
}

// same reports whether both are of one host. Fingerprints are compared where a
// key ID is missing only: beside key IDs they are often a filler that all
// clients share.
func (k Key) same(other Key) bool {
	if k.KeyID != "" && other.KeyID != "" {
		return k.KeyID == other.KeyID
	}
	return k.Fingerprint != "" && k.Fingerprint == other.Fingerprint
}

// differs reports whether both are known and not of one host. What cannot be
// compared does not differ.
func (k Key) differs(other Key) bool {
	comparable := k.KeyID != "" && other.KeyID != "" || k.Fingerprint != "" && other.Fingerprint != ""
	return comparable && !k.same(other)
}

// foundBy are the parts under which those of the same key find this one.
func (k Key) foundBy() (parts []string) {
	if k.KeyID != "" {
		parts = append(parts, "key ID "+k.KeyID)
	}
	if k.Fingerprint != "" {
		parts = append(parts, "fingerprint "+k.Fingerprint)
		if k.KeyID == "" {
			parts = append(parts, "only fingerprint "+k.Fingerprint)
		}
	}
	return parts
}

// finds are the parts that those of the same key are found by. They are few even
// if all clients with key IDs have one fingerprint.
func (k Key) finds() (parts []string) {
	switch {
	case k.KeyID == "" && k.Fingerprint == "":
	case k.KeyID == "":
		parts = append(parts, "fingerprint "+k.Fingerprint)
	default:
		parts = append(parts, "key ID "+k.KeyID)
		if k.Fingerprint != "" {
			parts = append(parts, "only fingerprint "+k.Fingerprint)
		}
	}
	return parts
}
