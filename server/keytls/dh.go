// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"crypto/ecdh"
	"crypto/rand"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// keyExchange is the peer's half of an ephemeral key exchange of TLS 1.2, from its
// ServerKeyExchange.
type keyExchange interface {
	// agree makes our half, which goes into ClientKeyExchange, and the shared
	// secret. A peer that will be sent nothing costs as little as the
	// protocol allows, and its half is not worth much care.
	agree(known bool) (ours cryptobyte.BuilderContinuation, shared []byte, err error)
}

// Sizes of the prime of a finite field in bits. Below 2,048 the group is within
// reach of a wealthy attacker (RFC 9325, section 4.1).
const (
	minFieldBits = 2048
	maxFieldBits = 8192
)

// exponentBits is the size of our exponent in bits, twice the strength of the
// largest group and more (RFC 7919, appendix A.5, asks for 400). It is used once.
const exponentBits = 512

var one = big.NewInt(1)

// finiteField is a key exchange in a group of integers modulo p that the peer has
// made itself (RFC 5246, sections 7.4.3 and 8.1.2).
type finiteField struct{ p, g, ys *big.Int }

// parseFiniteField reads ServerDHParams and checks what costs nothing to check.
func parseFiniteField(in *cryptobyte.String) (*finiteField, error) {
	var p, g, ys cryptobyte.String
	if !in.ReadUint16LengthPrefixed(&p) || !in.ReadUint16LengthPrefixed(&g) || !in.ReadUint16LengthPrefixed(&ys) {
		return nil, errDecode("ServerKeyExchange")
	}
	f := &finiteField{new(big.Int).SetBytes(p), new(big.Int).SetBytes(g), new(big.Int).SetBytes(ys)}
	if bits := f.p.BitLen(); bits < minFieldBits || bits > maxFieldBits {
		return nil, fatal(AlertInsufficientSecurity,
			"peer chose a Diffie-Hellman group of %d bits, which must have %d to %d: give mandos-client a larger --dh-bits", bits, minFieldBits, maxFieldBits)
	}
	if f.p.Bit(0) == 0 {
		return nil, errNotPrime()
	}
	if f.isDegenerate(f.g) || f.isDegenerate(f.ys) {
		return nil, errDegenerate()
	}
	return f, nil
}

// isDegenerate reports whether element is none of 2 to p-2 (RFC 7919, section 5.1).
func (f *finiteField) isDegenerate(element *big.Int) bool {
	return element.Cmp(one) <= 0 || element.Cmp(new(big.Int).Sub(f.p, one)) >= 0
}

func errDegenerate() error {
	return fatal(AlertIllegalParameter, "peer sent a degenerate Diffie-Hellman generator or key share")
}

func errNotPrime() error {
	return fatal(AlertIllegalParameter, "peer chose a Diffie-Hellman group whose modulus is not a prime")
}

// agree uses the exponent 1 with a peer that will be sent nothing: there is no
// secret to keep, and the modulus is of a stranger's choosing.
//
// For the others the arithmetic is not in constant time; but an exponent serves
// once. The test for primes has no known exceptions, and whoever knows one can
// only fool himself, as the parameters are signed.
func (f *finiteField) agree(known bool) (cryptobyte.BuilderContinuation, []byte, error) {
	yc, z := f.g, f.ys
	if known {
		if !f.p.ProbablyPrime(0) {
			return nil, nil, errNotPrime()
		}
		exponent, err := rand.Int(rand.Reader, new(big.Int).Lsh(one, exponentBits))
		if err != nil {
			return nil, nil, err
		}
		yc, z = new(big.Int).Exp(f.g, exponent, f.p), new(big.Int).Exp(f.ys, exponent, f.p)
		if f.isDegenerate(z) {
			return nil, nil, errDegenerate()
		}
	}
	ours := func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(yc.Bytes()) })
	}
	// "Leading bytes of Z that contain all zero bits are stripped"
	return ours, z.Bytes(), nil
}

// ellipticCurve is a key exchange on a named curve (RFC 8422, sections 5.4 and 5.10).
type ellipticCurve struct {
	group Group
	point *ecdh.PublicKey
}

// parseEllipticCurve reads ServerECDHParams, whose curve must be one of groups.
func parseEllipticCurve(in *cryptobyte.String, groups []Group) (*ellipticCurve, error) {
	const namedCurve = 3
	var curveType uint8
	var group uint16
	var point cryptobyte.String
	if !in.ReadUint8(&curveType) || !in.ReadUint16(&group) || !in.ReadUint8LengthPrefixed(&point) {
		return nil, errDecode("ServerKeyExchange")
	}
	if curveType != namedCurve {
		return nil, fatal(AlertIllegalParameter, "peer chose a curve without a name")
	}
	if !slices.Contains(groups, Group(group)) {
		return nil, fatal(AlertIllegalParameter, "peer chose %v, which we did not offer", Group(group))
	}
	e := &ellipticCurve{group: Group(group)}
	var err error
	if e.point, err = e.group.curve().NewPublicKey(point); err != nil {
		return nil, fatal(AlertIllegalParameter, "peer sent an invalid key share for %v", e.group)
	}
	return e, nil
}

func (e *ellipticCurve) agree(bool) (cryptobyte.BuilderContinuation, []byte, error) {
	share, err := newKeyShare(e.group)
	if err != nil {
		return nil, nil, err
	}
	shared, err := share.sharedSecret(e.point.Bytes())
	if err != nil {
		return nil, nil, err
	}
	ours := func(b *cryptobyte.Builder) {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(share.key.PublicKey().Bytes()) })
	}
	return ours, shared, nil
}
