// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"math/big"

	//lint:ignore SA1019 DSA is deprecated for new keys, but the clients of 2008 to 2011 have no other, and there is no second implementation
	"crypto/dsa"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Sizes of DSA keys in bits (FIPS 186-4, section 4.2). With the smaller size of
// FIPS 186-2, 1,024 and 160 bits, a key is within reach of a wealthy attacker.
const (
	minDSABits     = 2048
	maxDSABits     = 3072
	minDSASubgroup = 224
	maxDSASubgroup = 256
)

// dsaKey is a DSA key of a size that can be trusted.
type dsaKey struct{ public *dsa.PublicKey }

func newDSAKey(public *dsa.PublicKey) (*publicKey, error) {
	if bits := public.P.BitLen(); bits < minDSABits || bits > maxDSABits {
		return nil, unsupportedKey("DSA key of %d bits: make a new key", bits)
	}
	if bits := public.Q.BitLen(); bits < minDSASubgroup || bits > maxDSASubgroup || bits%8 != 0 {
		return nil, unsupportedKey("DSA key with a subgroup of %d bits: make a new key", bits)
	}
	for _, element := range []*big.Int{public.G, public.Y} {
		if element.Cmp(one) <= 0 || element.Cmp(public.P) >= 0 {
			return nil, unsupportedKey("DSA key whose numbers are out of range: make a new key")
		}
	}
	return &publicKey{name: "DSA", key: &dsaKey{public}, schemes: dsaSchemes}, nil
}

// validSignature checks a DSA signature of a digest, of which as many bits count
// as the subgroup has (FIPS 186-4, section 4.6).
func (k *dsaKey) validSignature(digest, signature []byte) bool {
	in := cryptobyte.String(signature)
	var sequence, r, s cryptobyte.String
	if !in.ReadASN1(&sequence, cryptobyte_asn1.SEQUENCE) || !in.Empty() ||
		!sequence.ReadASN1(&r, cryptobyte_asn1.INTEGER) ||
		!sequence.ReadASN1(&s, cryptobyte_asn1.INTEGER) || !sequence.Empty() {
		return false
	}
	// GnuTLS leaves out the zero octet that tells a large number from a
	// negative one; so both are read as what they can only be, positive.
	digest = digest[:min(len(digest), k.public.Q.BitLen()/8)]
	return dsa.Verify(k.public, digest, new(big.Int).SetBytes(r), new(big.Int).SetBytes(s))
}
