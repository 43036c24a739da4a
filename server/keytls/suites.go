// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// Version is a protocol version as it stands on the wire.
type Version uint16

const (
	// VersionTLS12 is TLS 1.2, RFC 5246.
	VersionTLS12 Version = 0x0303
	// VersionTLS13 is TLS 1.3, RFC 8446.
	VersionTLS13 Version = 0x0304

	versionTLS10 Version = 0x0301
)

// String returns the usual name, such as "TLS 1.2".
func (v Version) String() string {
	switch {
	case v == 0x0300:
		return "SSL 3.0"
	case v >= versionTLS10 && v <= VersionTLS13:
		return fmt.Sprintf("TLS 1.%d", v-versionTLS10)
	}
	return fmt.Sprintf("TLS version 0x%04x", uint16(v))
}

// CipherSuite is a cipher suite of TLS 1.3 (RFC 8446, appendix B.4) or 1.2.
type CipherSuite uint16

// The cipher suites of TLS 1.3, for raw public keys.
const (
	TLS_AES_128_GCM_SHA256       CipherSuite = 0x1301
	TLS_AES_256_GCM_SHA384       CipherSuite = 0x1302
	TLS_CHACHA20_POLY1305_SHA256 CipherSuite = 0x1303
)

// The cipher suites of TLS 1.2, for OpenPGP certificates (RFC 5288, RFC 5289 and
// RFC 7905).
const (
	TLS_DHE_RSA_WITH_AES_256_GCM_SHA384         CipherSuite = 0x009f
	TLS_DHE_DSS_WITH_AES_256_GCM_SHA384         CipherSuite = 0x00a3
	TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384       CipherSuite = 0xc030
	TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 CipherSuite = 0xcca8
)

// CipherSuites returns all cipher suites there are here, in the default order.
func CipherSuites() []CipherSuite {
	return []CipherSuite{
		TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256,
		TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, TLS_DHE_DSS_WITH_AES_256_GCM_SHA384,
	}
}

// Version is the protocol version that the suite is for.
func (s CipherSuite) Version() Version {
	if s>>8 == 0x13 {
		return VersionTLS13
	}
	return VersionTLS12
}

// String returns the RFC's name.
func (s CipherSuite) String() string {
	switch s {
	case TLS_DHE_RSA_WITH_AES_256_GCM_SHA384:
		return "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"
	case TLS_DHE_DSS_WITH_AES_256_GCM_SHA384:
		return "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384"
	case TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:
		return "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
	case TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
	case TLS_AES_128_GCM_SHA256:
		return "TLS_AES_128_GCM_SHA256"
	case TLS_AES_256_GCM_SHA384:
		return "TLS_AES_256_GCM_SHA384"
	case TLS_CHACHA20_POLY1305_SHA256:
		return "TLS_CHACHA20_POLY1305_SHA256"
	}
	return fmt.Sprintf("cipher suite 0x%04x", uint16(s))
}

// hash returns the constructor of the suite's hash function.
func (s CipherSuite) hash() func() hash.Hash {
	switch s {
	case TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return sha256.New
	}
	return sha512.New384
}

// keyLength is the length of the AEAD's key in bytes.
func (s CipherSuite) keyLength() int {
	if s == TLS_AES_128_GCM_SHA256 {
		return 16
	}
	return 32
}

// newAEAD returns the suite's AEAD under a key of keyLength bytes.
func (s CipherSuite) newAEAD(key []byte) (cipher.AEAD, error) {
	if s.isChaCha20() {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (s CipherSuite) isChaCha20() bool {
	return s == TLS_CHACHA20_POLY1305_SHA256 || s == TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
}

// Group is a group for the key exchange (RFC 8446, section 4.2.7).
type Group uint16

// The groups that are implemented.
const (
	SECP256R1 Group = 0x0017
	SECP384R1 Group = 0x0018
	SECP521R1 Group = 0x0019
	X25519    Group = 0x001d
)

// Groups returns all groups there are here, in the default order.
func Groups() []Group { return []Group{X25519, SECP256R1, SECP384R1, SECP521R1} }

// String returns the RFC's name.
func (g Group) String() string {
	switch g {
	case SECP256R1:
		return "secp256r1"
	case SECP384R1:
		return "secp384r1"
	case SECP521R1:
		return "secp521r1"
	case X25519:
		return "x25519"
	}
	return fmt.Sprintf("group 0x%04x", uint16(g))
}

// curve returns the group's arithmetic, or nil if it is not implemented.
func (g Group) curve() ecdh.Curve {
	switch g {
	case SECP256R1:
		return ecdh.P256()
	case SECP384R1:
		return ecdh.P384()
	case SECP521R1:
		return ecdh.P521()
	case X25519:
		return ecdh.X25519()
	}
	return nil
}
