// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"github.com/cloudflare/circl/sign/ed448"
	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Kind tells name spaces of identities apart; identities of different kinds
// never match one another.
type Kind uint8

const (
	// KeyID is the kind whose Hex is the SHA-256 of the DER SubjectPublicKeyInfo
	// that the peer proved (RFC 7250): the same as `openssl pkey -pubin -outform
	// der | sha256sum` and `certtool --key-id --hash=sha256` print, in upper case.
	KeyID Kind = 1
	// Fingerprint is the kind whose Hex is the OpenPGP fingerprint of the primary
	// key that the peer proved (RFC 6091; RFC 4880, section 12.2).
	Fingerprint Kind = 2
)

// Identity names the key a peer has proved. It is comparable.
type Identity struct {
	Kind Kind
	Hex  string // upper case
}

// String names the kind and the value, for logs. The zero Identity is "no key".
func (i Identity) String() string {
	switch i.Kind {
	case KeyID:
		return "key ID " + i.Hex
	case Fingerprint:
		return "fingerprint " + i.Hex
	}
	return "no key"
}

// Sizes of RSA keys in bits. Below 2,048 a key is within reach of a wealthy
// attacker (NIST SP 800-131A disallows it since 2014) and mandos-keygen makes
// none; above 8,192 verification is a stranger's lever on our processor.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// publicKey is a peer's key with all that follows from its encoding.
type publicKey struct {
	identity Identity
	// name is the key's type, for errors.
	name string
	// key is an ed25519.PublicKey, ed448.PublicKey, *ecdsa.PublicKey,
	// *rsa.PublicKey or *dsaKey.
	key crypto.PublicKey
	// schemes are those this key can sign with; the type of the key decides,
	// not the peer (RFC 8446, section 4.2.3).
	schemes []SignatureScheme
}

// Object identifiers of keys that crypto/x509 does not parse (RFC 8410, section
// 3, and RFC 4055, sections 1.2 and 2.1).
var (
	oidEd448        = asn1.ObjectIdentifier{1, 3, 101, 113}
	oidRSASSAPSS    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidMGF1         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidsOfPSSHashes = map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
		crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
		crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
	}
)

var errNotCanonical = errors.New("SubjectPublicKeyInfo is not in its canonical DER encoding")

// parsePublicKey parses a DER SubjectPublicKeyInfo. Only the canonical encoding
// is accepted, so that one key has one key ID.
func parsePublicKey(spki []byte) (*publicKey, error) {
	algorithm, parameters, bits, err := splitSPKI(spki)
	if err != nil {
		return nil, err
	}
	var key *publicKey
	switch {
	case algorithm.Equal(oidEd448):
		key, err = newEd448Key(parameters, bits)
	case algorithm.Equal(oidRSASSAPSS):
		key, spki, err = newRSAPSSKey(spki, parameters, bits)
	default:
		key, err = newX509Key(spki)
	}
	if err != nil {
		return nil, err
	}
	key.identity = Identity{Kind: KeyID, Hex: fmt.Sprintf("%X", sha256.Sum256(spki))}
	return key, nil
}

// splitSPKI takes a SubjectPublicKeyInfo apart (RFC 5280, section 4.1).
func splitSPKI(spki []byte) (algorithm asn1.ObjectIdentifier, parameters cryptobyte.String, bits []byte, err error) {
	in := cryptobyte.String(spki)
	var info, identifier cryptobyte.String
	if !in.ReadASN1(&info, cryptobyte_asn1.SEQUENCE) || !in.Empty() ||
		!info.ReadASN1(&identifier, cryptobyte_asn1.SEQUENCE) ||
		!identifier.ReadASN1ObjectIdentifier(&algorithm) ||
		!info.ReadASN1BitStringAsBytes(&bits) || !info.Empty() {
		return nil, nil, nil, errors.New("not a DER SubjectPublicKeyInfo")
	}
	return algorithm, identifier, bits, nil
}

// looksLikeX509 reports whether der begins as an X.509 v3 certificate does: with the
// [0] of its version (RFC 5280, section 4.1).
func looksLikeX509(der []byte) bool {
	in := cryptobyte.String(der)
	var certificate, tbs cryptobyte.String
	return in.ReadASN1(&certificate, cryptobyte_asn1.SEQUENCE) &&
		certificate.ReadASN1(&tbs, cryptobyte_asn1.SEQUENCE) &&
		tbs.PeekASN1Tag(cryptobyte_asn1.Tag(0).Constructed().ContextSpecific())
}

// newX509Key makes a key of those types that crypto/x509 knows.
func newX509Key(spki []byte) (*publicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("public key damaged or of an unknown kind: %w", err)
	}
	key := &publicKey{key: parsed}
	switch parsed := parsed.(type) {
	case ed25519.PublicKey:
		key.name = "Ed25519"
		key.schemes = []SignatureScheme{ED25519}
	case *ecdsa.PublicKey:
		key.name = "ECDSA " + parsed.Params().Name
		switch parsed.Curve {
		case elliptic.P256():
			key.schemes = []SignatureScheme{ECDSA_SECP256R1_SHA256}
		case elliptic.P384():
			key.schemes = []SignatureScheme{ECDSA_SECP384R1_SHA384}
		case elliptic.P521():
			key.schemes = []SignatureScheme{ECDSA_SECP521R1_SHA512}
		default:
			return nil, unsupportedKey("%s keys cannot sign in TLS 1.3", key.name)
		}
	case *rsa.PublicKey:
		if err := checkRSASize(parsed); err != nil {
			return nil, err
		}
		key.name = "RSA"
		key.schemes = []SignatureScheme{RSA_PSS_RSAE_SHA256, RSA_PSS_RSAE_SHA384, RSA_PSS_RSAE_SHA512}
	default:
		return nil, unsupportedKey("a key of type %T cannot sign in TLS 1.3", parsed)
	}
	canonical, err := x509.MarshalPKIXPublicKey(parsed)
	if err != nil || !bytes.Equal(canonical, spki) {
		return nil, errNotCanonical
	}
	return key, nil
}

// newEd448Key makes an Ed448 key; "the parameters MUST be absent" (RFC 8410, section 3).
func newEd448Key(parameters cryptobyte.String, bits []byte) (*publicKey, error) {
	if !parameters.Empty() {
		return nil, errNotCanonical
	}
	if len(bits) != ed448.PublicKeySize {
		return nil, fmt.Errorf("Ed448 public key of %d bytes instead of %d", len(bits), ed448.PublicKeySize)
	}
	key := ed448.PublicKey(slices.Clone(bits))
	return &publicKey{name: "Ed448", key: key, schemes: []SignatureScheme{ED448}}, nil
}

// newRSAPSSKey makes a key that is restricted to RSASSA-PSS. It also returns the
// encoding that its key ID is computed from: RFC 4055, section 2.1, declares NULL
// and absent parameters of a hash function equivalent; OpenSSL writes NULL, while
// GnuTLS, and with it certtool and the key IDs in use, leaves them out.
func newRSAPSSKey(spki []byte, parameters cryptobyte.String, bits []byte) (*publicKey, []byte, error) {
	modulus, err := x509.ParsePKCS1PublicKey(bits)
	if err != nil {
		return nil, nil, fmt.Errorf("damaged RSA-PSS public key: %w", err)
	}
	if err := checkRSASize(modulus); err != nil {
		return nil, nil, err
	}
	key := &publicKey{
		name:    "RSA-PSS",
		key:     modulus,
		schemes: []SignatureScheme{RSA_PSS_PSS_SHA256, RSA_PSS_PSS_SHA384, RSA_PSS_PSS_SHA512},
	}
	pss, err := parsePSSParameters(parameters)
	if err != nil {
		return nil, nil, err
	}
	if pss != nil {
		key.schemes = slices.DeleteFunc(key.schemes, func(s SignatureScheme) bool { return s.hash() != pss.hash })
	}
	canonical := marshalPSSKey(modulus, pss, false)
	if !bytes.Equal(spki, canonical) && !bytes.Equal(spki, marshalPSSKey(modulus, pss, true)) {
		return nil, nil, errNotCanonical
	}
	return key, canonical, nil
}

// checkRSASize refuses keys that are too small to trust or too big to compute with.
func checkRSASize(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return unsupportedKey("RSA key of %d bits: make one of %d to %d bits", bits, minRSABits, maxRSABits)
	}
	return nil
}

// pssParameters restrict an RSA-PSS key to one hash function (RFC 4055, section
// 3.1). The mask generation function is always MGF1 with the same hash.
type pssParameters struct {
	hash       crypto.Hash
	saltLength int
}

// saltLengthDefault is what an absent saltLength means.
const saltLengthDefault = 20

// Tags of the fields of RSASSA-PSS-params.
var (
	tagPSSHash       = cryptobyte_asn1.Tag(0).Constructed().ContextSpecific()
	tagPSSMaskGen    = cryptobyte_asn1.Tag(1).Constructed().ContextSpecific()
	tagPSSSaltLength = cryptobyte_asn1.Tag(2).Constructed().ContextSpecific()
)

// parsePSSParameters reads the parameters of a key, nil if there are none. It
// looks only at what it understands; the caller compares the whole with what
// marshalPSSKey makes of it.
func parsePSSParameters(parameters cryptobyte.String) (*pssParameters, error) {
	if parameters.Empty() {
		return nil, nil
	}
	var params, hash, oid, maskGen, salt cryptobyte.String
	var hasMaskGen, hasSalt bool
	saltLength := saltLengthDefault
	if !parameters.ReadASN1(&params, cryptobyte_asn1.SEQUENCE) ||
		!params.ReadASN1(&hash, tagPSSHash) ||
		!hash.ReadASN1(&oid, cryptobyte_asn1.SEQUENCE) ||
		!params.ReadOptionalASN1(&maskGen, &hasMaskGen, tagPSSMaskGen) ||
		!params.ReadOptionalASN1(&salt, &hasSalt, tagPSSSaltLength) ||
		hasSalt && !salt.ReadASN1Integer(&saltLength) {
		return nil, unsupportedKey("RSA-PSS key with parameters that TLS 1.3 cannot use: make one for SHA-256, SHA-384 or SHA-512")
	}
	var id asn1.ObjectIdentifier
	if !oid.ReadASN1ObjectIdentifier(&id) {
		return nil, errNotCanonical
	}
	for h, known := range oidsOfPSSHashes {
		if !id.Equal(known) {
			continue
		}
		if !hasMaskGen {
			return nil, unsupportedKey("RSA-PSS key with MGF1 over SHA-1: TLS 1.3 needs MGF1 over %v", h)
		}
		// TLS salts with as many bytes as the hash has; the key's number is a
		// lower bound (RFC 4055, section 3.3).
		if saltLength < 0 || saltLength > h.Size() {
			return nil, unsupportedKey("RSA-PSS key that wants %d bytes of salt: TLS 1.3 with %v has %d", saltLength, h, h.Size())
		}
		return &pssParameters{hash: h, saltLength: saltLength}, nil
	}
	return nil, unsupportedKey("RSA-PSS key for hash function %v: TLS 1.3 needs SHA-256, SHA-384 or SHA-512", id)
}

// marshalPSSKey encodes an RSA-PSS key in DER, with the hash functions'
// parameters NULL or absent.
func marshalPSSKey(modulus *rsa.PublicKey, pss *pssParameters, null bool) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidRSASSAPSS)
			if pss != nil {
				pss.marshal(b, null)
			}
		})
		b.AddASN1BitString(x509.MarshalPKCS1PublicKey(modulus))
	})
	return b.BytesOrPanic()
}

func (p *pssParameters) marshal(b *cryptobyte.Builder, null bool) {
	addHash := func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidsOfPSSHashes[p.hash])
			if null {
				b.AddASN1NULL()
			}
		})
	}
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tagPSSHash, addHash)
		b.AddASN1(tagPSSMaskGen, func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidMGF1)
				addHash(b)
			})
		})
		if p.saltLength != saltLengthDefault {
			b.AddASN1(tagPSSSaltLength, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(int64(p.saltLength))
			})
		}
	})
}

// unsupportedKeyError is a well-formed key that cannot be used here.
type unsupportedKeyError string

func (e unsupportedKeyError) Error() string { return string(e) }

func unsupportedKey(format string, args ...any) error {
	return unsupportedKeyError(fmt.Sprintf(format, args...))
}
