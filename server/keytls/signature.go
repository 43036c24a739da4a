// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384 and crypto.SHA512
	"fmt"
	"slices"

	"github.com/cloudflare/circl/sign/ed448"
)

// SignatureScheme is a way to sign CertificateVerify (RFC 8446, section 4.2.3) or
// ServerKeyExchange (RFC 5246, section 7.4.1.4.1).
type SignatureScheme uint16

// The schemes for raw public keys: all that TLS 1.3 allows in CertificateVerify.
const (
	ECDSA_SECP256R1_SHA256 SignatureScheme = 0x0403
	ECDSA_SECP384R1_SHA384 SignatureScheme = 0x0503
	ECDSA_SECP521R1_SHA512 SignatureScheme = 0x0603
	RSA_PSS_RSAE_SHA256    SignatureScheme = 0x0804
	RSA_PSS_RSAE_SHA384    SignatureScheme = 0x0805
	RSA_PSS_RSAE_SHA512    SignatureScheme = 0x0806
	ED25519                SignatureScheme = 0x0807
	ED448                  SignatureScheme = 0x0808
	RSA_PSS_PSS_SHA256     SignatureScheme = 0x0809
	RSA_PSS_PSS_SHA384     SignatureScheme = 0x080a
	RSA_PSS_PSS_SHA512     SignatureScheme = 0x080b
)

// The schemes for OpenPGP certificates, which TLS 1.3 has none of.
const (
	RSA_PKCS1_SHA256 SignatureScheme = 0x0401
	RSA_PKCS1_SHA384 SignatureScheme = 0x0501
	RSA_PKCS1_SHA512 SignatureScheme = 0x0601
	DSA_SHA256       SignatureScheme = 0x0402
	DSA_SHA384       SignatureScheme = 0x0502
	DSA_SHA512       SignatureScheme = 0x0602
)

var (
	rsaPKCS1Schemes = []SignatureScheme{RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PKCS1_SHA256}
	dsaSchemes      = []SignatureScheme{DSA_SHA256, DSA_SHA384, DSA_SHA512}
)

// SignatureSchemes returns all schemes there are here, in the default order.
func SignatureSchemes() []SignatureScheme {
	return []SignatureScheme{
		ED25519, ED448,
		ECDSA_SECP256R1_SHA256, ECDSA_SECP384R1_SHA384, ECDSA_SECP521R1_SHA512,
		RSA_PSS_PSS_SHA256, RSA_PSS_PSS_SHA384, RSA_PSS_PSS_SHA512,
		RSA_PSS_RSAE_SHA256, RSA_PSS_RSAE_SHA384, RSA_PSS_RSAE_SHA512,
		RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PKCS1_SHA256,
		DSA_SHA256, DSA_SHA384, DSA_SHA512,
	}
}

// Version is the protocol version that the scheme is for.
func (s SignatureScheme) Version() Version {
	if slices.Contains(rsaPKCS1Schemes, s) || slices.Contains(dsaSchemes, s) {
		return VersionTLS12
	}
	return VersionTLS13
}

// String returns the RFC's name.
func (s SignatureScheme) String() string {
	switch s {
	case ECDSA_SECP256R1_SHA256:
		return "ecdsa_secp256r1_sha256"
	case ECDSA_SECP384R1_SHA384:
		return "ecdsa_secp384r1_sha384"
	case ECDSA_SECP521R1_SHA512:
		return "ecdsa_secp521r1_sha512"
	case RSA_PSS_RSAE_SHA256:
		return "rsa_pss_rsae_sha256"
	case RSA_PSS_RSAE_SHA384:
		return "rsa_pss_rsae_sha384"
	case RSA_PSS_RSAE_SHA512:
		return "rsa_pss_rsae_sha512"
	case ED25519:
		return "ed25519"
	case ED448:
		return "ed448"
	case RSA_PSS_PSS_SHA256:
		return "rsa_pss_pss_sha256"
	case RSA_PSS_PSS_SHA384:
		return "rsa_pss_pss_sha384"
	case RSA_PSS_PSS_SHA512:
		return "rsa_pss_pss_sha512"
	case RSA_PKCS1_SHA256:
		return "rsa_pkcs1_sha256"
	case RSA_PKCS1_SHA384:
		return "rsa_pkcs1_sha384"
	case RSA_PKCS1_SHA512:
		return "rsa_pkcs1_sha512"
	case DSA_SHA256:
		return "dsa_sha256"
	case DSA_SHA384:
		return "dsa_sha384"
	case DSA_SHA512:
		return "dsa_sha512"
	}
	return fmt.Sprintf("signature scheme 0x%04x", uint16(s))
}

// hash returns the hash function of a scheme that signs a digest, or 0 for EdDSA,
// which signs the content itself.
func (s SignatureScheme) hash() crypto.Hash {
	switch s {
	case ECDSA_SECP256R1_SHA256, RSA_PSS_RSAE_SHA256, RSA_PSS_PSS_SHA256, RSA_PKCS1_SHA256, DSA_SHA256:
		return crypto.SHA256
	case ECDSA_SECP384R1_SHA384, RSA_PSS_RSAE_SHA384, RSA_PSS_PSS_SHA384, RSA_PKCS1_SHA384, DSA_SHA384:
		return crypto.SHA384
	case ECDSA_SECP521R1_SHA512, RSA_PSS_RSAE_SHA512, RSA_PSS_PSS_SHA512, RSA_PKCS1_SHA512, DSA_SHA512:
		return crypto.SHA512
	}
	return 0
}

// validSignature reports whether signature is key's signature of content under
// scheme, which must be one of the key's own schemes.
func (k *publicKey) validSignature(scheme SignatureScheme, content, signature []byte) bool {
	digest := content
	if hash := scheme.hash(); hash != 0 {
		h := hash.New()
		h.Write(content)
		digest = h.Sum(nil)
	}
	switch key := k.key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, signature)
	case ed448.PublicKey:
		return ed448.Verify(key, digest, signature, "")
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case *dsaKey:
		return key.validSignature(digest, signature)
	case *rsa.PublicKey:
		if scheme.Version() == VersionTLS12 {
			return rsa.VerifyPKCS1v15(key, scheme.hash(), digest, signature) == nil
		}
		// "The length of the Salt MUST be equal to the length of the digest
		// algorithm." (RFC 8446, section 4.2.3)
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(key, scheme.hash(), digest, signature, options) == nil
	}
	return false
}
