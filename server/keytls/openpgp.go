// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"crypto/dsa" //lint:ignore SA1019 see dsaKey
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/cryptobyte"
)

var errBadOpenPGP = errors.New("damaged OpenPGP certificate")

// parseOpenPGPKey returns the primary key of a certificate, a Transferable Public
// Key (RFC 4880, section 11.1). Nothing after the primary key is looked at: the
// identity is the key that signs the handshake, and no other key, user ID or
// self-signature has a say in that.
func parseOpenPGPKey(certificate []byte) (*publicKey, error) {
	body, err := readPrimaryKeyPacket(certificate)
	if err != nil {
		return nil, err
	}
	if err := checkOpenPGPKind(body); err != nil {
		return nil, err
	}
	// The form under which the fingerprint is computed (RFC 4880, section 12.2)
	// is also a packet.
	framed := append([]byte{0x99, byte(len(body) >> 8), byte(len(body))}, body...)
	fingerprint := sha1.Sum(framed)
	parsed, err := packet.Read(bytes.NewReader(framed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadOpenPGP, err)
	}
	primary, ok := parsed.(*packet.PublicKey)
	if !ok || !bytes.Equal(primary.Fingerprint, fingerprint[:]) {
		return nil, errBadOpenPGP // there was more in the packet than the key
	}
	key, err := newOpenPGPKey(primary)
	if err != nil {
		return nil, err
	}
	key.identity = Identity{Kind: Fingerprint, Hex: fmt.Sprintf("%X", fingerprint)}
	return key, nil
}

// readPrimaryKeyPacket returns the body of the first packet, which must be a
// Public-Key packet (RFC 4880, sections 4.2 and 5.5.1.1). GnuTLS writes its header in
// the old format, others in the new one. Partial and indeterminate lengths are for data only.
func readPrimaryKeyPacket(certificate []byte) ([]byte, error) {
	const (
		always      = 0x80
		newFormat   = 0x40
		tagOfKey    = 6
		maxBodySize = 1<<16 - 1 // what the fingerprint can cover
	)
	in := cryptobyte.String(certificate)
	var header uint8
	if !in.ReadUint8(&header) || header&always == 0 {
		return nil, errBadOpenPGP
	}
	var tag uint8
	var length uint32
	var ok bool
	if header&newFormat != 0 {
		tag = header & 0x3f
		length, ok = readNewLength(&in)
	} else {
		tag = header >> 2 & 0x0f
		length, ok = readOldLength(&in, header&3)
	}
	if tag != tagOfKey {
		return nil, fmt.Errorf("OpenPGP certificate that begins with a packet of type %d instead of a public key", tag)
	}
	var body []byte
	if !ok || length > maxBodySize || !in.ReadBytes(&body, int(length)) {
		return nil, errBadOpenPGP
	}
	return body, nil
}

// readOldLength reads a length of RFC 4880, section 4.2.1.
func readOldLength(in *cryptobyte.String, lengthType uint8) (length uint32, ok bool) {
	const indeterminate = 3
	if lengthType == indeterminate {
		return 0, false
	}
	return readUint(in, 1<<lengthType)
}

// readNewLength reads a length of RFC 4880, section 4.2.2.
func readNewLength(in *cryptobyte.String) (length uint32, ok bool) {
	var first, second uint8
	switch {
	case !in.ReadUint8(&first):
		return 0, false
	case first < 192:
		return uint32(first), true
	case first < 224:
		ok = in.ReadUint8(&second)
		return uint32(first-192)<<8 + uint32(second) + 192, ok
	case first < 255:
		return 0, false // partial
	}
	return readUint(in, 4)
}

func readUint(in *cryptobyte.String, size int) (value uint32, ok bool) {
	var octets []byte
	if !in.ReadBytes(&octets, size) {
		return 0, false
	}
	for _, octet := range octets {
		value = value<<8 | uint32(octet)
	}
	return value, true
}

// checkOpenPGPKind lets only those kinds of keys through that clients have; go-crypto
// knows many more.
func checkOpenPGPKind(body []byte) error {
	const offsetAlgorithm = 1 + 4 // after the version and the time of creation
	if len(body) <= offsetAlgorithm {
		return errBadOpenPGP
	}
	if version := body[0]; version != 4 {
		return unsupportedKey("OpenPGP key of version %d: make one of version 4", version)
	}
	switch algorithm := packet.PublicKeyAlgorithm(body[offsetAlgorithm]); algorithm {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoDSA:
		return nil
	default:
		return unsupportedKey("OpenPGP key of algorithm %d: only RSA and DSA can sign in TLS", algorithm)
	}
}

func newOpenPGPKey(primary *packet.PublicKey) (*publicKey, error) {
	switch public := primary.PublicKey.(type) {
	case *rsa.PublicKey:
		if err := checkRSASize(public); err != nil {
			return nil, err
		}
		return &publicKey{name: "RSA", key: public, schemes: rsaPKCS1Schemes}, nil
	case *dsa.PublicKey:
		return newDSAKey(public)
	}
	return nil, errBadOpenPGP
}
