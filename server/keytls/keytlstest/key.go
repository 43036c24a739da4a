// SPDX-License-Identifier: Apache-2.0

package keytlstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/cloudflare/circl/sign/ed448"

	"mandos/server/keytls"
)

// KeyKind is a type and size of key.
type KeyKind string

// The kinds of keys that NewKey makes. The last two are too weak and not fit to
// sign, respectively.
const (
	Ed25519    KeyKind = "Ed25519"
	Ed448      KeyKind = "Ed448"
	ECDSAP256  KeyKind = "ECDSA P-256"
	ECDSAP384  KeyKind = "ECDSA P-384"
	ECDSAP521  KeyKind = "ECDSA P-521"
	RSA2048    KeyKind = "RSA 2048"
	RSAPSS2048 KeyKind = "RSA-PSS 2048"
	RSA1024    KeyKind = "RSA 1024"
	ECDSAP224  KeyKind = "ECDSA P-224"
)

// Signature schemes (RFC 8446, section 4.2.3) by the kind of key that they are for,
// the one a peer prefers first.
var schemesByKind = map[KeyKind][]keytls.SignatureScheme{
	Ed25519:    {0x0807},
	Ed448:      {0x0808},
	ECDSAP256:  {0x0403},
	ECDSAP384:  {0x0503},
	ECDSAP521:  {0x0603},
	RSA2048:    {0x0804, 0x0805, 0x0806},
	RSAPSS2048: {0x0809, 0x080a, 0x080b},
	RSA1024:    {0x0804},
	ECDSAP224:  {0x0403},
}

// Key is a peer's key pair.
type Key struct {
	kind  KeyKind
	priv  crypto.Signer
	spki  []byte
	pkcs8 []byte
}

// DER prefixes of what crypto/x509 does not write: everything before the key
// itself (RFC 8410, sections 4 and 7).
const (
	ed448SPKIPrefix  = "3043300506032b6571033a00"
	ed448PKCS8Prefix = "3047020100300506032b6571043b0439"
	rsaAlgorithm     = "300d06092a864886f70d0101010500"
	rsaPSSAlgorithm  = "300b06092a864886f70d01010a"
)

// NewKey makes a key. It panics if kind is none of the constants.
func NewKey(kind KeyKind) *Key {
	k := &Key{kind: kind}
	switch kind {
	case Ed25519:
		_, k.priv = must2(ed25519.GenerateKey(rand.Reader))
	case Ed448:
		_, priv := must2(ed448.GenerateKey(rand.Reader))
		k.priv = priv
		k.spki = append(unhex(ed448SPKIPrefix), priv.Public().(ed448.PublicKey)...)
		k.pkcs8 = append(unhex(ed448PKCS8Prefix), priv.Seed()...)
		return k
	case ECDSAP224, ECDSAP256, ECDSAP384, ECDSAP521:
		curves := map[KeyKind]elliptic.Curve{
			ECDSAP224: elliptic.P224(), ECDSAP256: elliptic.P256(),
			ECDSAP384: elliptic.P384(), ECDSAP521: elliptic.P521(),
		}
		k.priv = must(ecdsa.GenerateKey(curves[kind], rand.Reader))
	case RSA1024:
		k.priv = must(rsa.GenerateKey(rand.Reader, 1024))
	case RSA2048, RSAPSS2048:
		k.priv = must(rsa.GenerateKey(rand.Reader, 2048))
	default:
		panic("keytlstest: no such kind of key: " + string(kind))
	}
	k.spki = must(x509.MarshalPKIXPublicKey(k.priv.Public()))
	k.pkcs8 = must(x509.MarshalPKCS8PrivateKey(k.priv))
	if kind == RSAPSS2048 {
		k.spki = asRSAPSS(k.spki)
		k.pkcs8 = asRSAPSS(k.pkcs8)
	}
	return k
}

// asRSAPSS turns the encoding of an RSA key into that of an RSA-PSS key without
// parameters, which is two bytes shorter.
func asRSAPSS(der []byte) []byte {
	i := strings.Index(string(der), string(unhex(rsaAlgorithm)))
	out := slices.Replace(slices.Clone(der), i, i+len(rsaAlgorithm)/2, unhex(rsaPSSAlgorithm)...)
	length := len(out) - 4 // after the SEQUENCE's tag and its three bytes of length
	out[2], out[3] = byte(length>>8), byte(length)
	return out
}

// KeyID is the SHA-256 of the SubjectPublicKeyInfo in upper-case hex, as it stands
// in clients.conf.
func (k *Key) KeyID() string {
	sum := sha256.Sum256(k.spki)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// SPKI is the DER SubjectPublicKeyInfo.
func (k *Key) SPKI() []byte { return slices.Clone(k.spki) }

// PublicPEM is the public key as mandos-client's --tls-pubkey wants it.
func (k *Key) PublicPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.spki})
}

// PrivatePEM is the private key as mandos-client's --tls-privkey wants it.
func (k *Key) PrivatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k.pkcs8})
}

// Schemes are the signature schemes that the key is for.
func (k *Key) Schemes() []keytls.SignatureScheme { return slices.Clone(schemesByKind[k.kind]) }

// Sign signs content as scheme says, if the key's type can; it does not care
// whether TLS allows that scheme for this key.
func (k *Key) Sign(scheme keytls.SignatureScheme, content []byte) ([]byte, error) {
	var hash crypto.Hash
	switch scheme {
	case 0x0403, 0x0804, 0x0809:
		hash = crypto.SHA256
	case 0x0503, 0x0805, 0x080a:
		hash = crypto.SHA384
	case 0x0603, 0x0806, 0x080b:
		hash = crypto.SHA512
	}
	var options crypto.SignerOpts = hash
	switch k.priv.(type) {
	case ed25519.PrivateKey, ed448.PrivateKey:
		return k.priv.Sign(rand.Reader, content, crypto.Hash(0))
	case *rsa.PrivateKey:
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	digest := hash.New()
	digest.Write(content)
	return k.priv.Sign(rand.Reader, digest.Sum(nil), options)
}

func unhex(s string) []byte { return must(hex.DecodeString(s)) }

// must is for what can only fail if the program or the machine is broken.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func must2[T, U any](first T, second U, err error) (T, U) {
	if err != nil {
		panic(err)
	}
	return first, second
}
