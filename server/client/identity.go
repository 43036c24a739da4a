// SPDX-License-Identifier: Apache-2.0

package client

// KeyKind is the kind of key a client proves itself with.
type KeyKind string

// The two kinds of keys. Their identities are separate name spaces.
const (
	RawPublicKey KeyKind = "raw public key" // RFC 7250, named by its key ID
	OpenPGPKey   KeyKind = "OpenPGP key"    // RFC 6091, named by its fingerprint
)

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
