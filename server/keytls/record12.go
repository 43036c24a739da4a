// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"encoding/binary"
	"slices"
)

// explicitNonceLength is how many bytes of the nonce travel in each record under
// AES-GCM (RFC 5288, section 3).
const explicitNonceLength = 8

// fixedIVLength is the length in bytes of the part of the nonce that comes out of
// the key block.
func (s CipherSuite) fixedIVLength() int {
	const nonceLength = 12
	if s.isChaCha20() {
		return nonceLength // RFC 7905, section 2
	}
	return nonceLength - explicitNonceLength
}

// newTrafficKeys12 returns keys for records of TLS 1.2. The part of the nonce that
// is not in iv stays zero, so that nextNonce fills it with the sequence number.
func newTrafficKeys12(suite CipherSuite, key, iv []byte) (trafficKeys, error) {
	aead, err := suite.newAEAD(key)
	k := trafficKeys{suite: suite, aead: aead}
	copy(k.iv[:], iv)
	return k, err
}

// additionalData12 is what is authenticated along with a record whose header is
// given: its number, and its header with the length of the content (RFC 5246,
// section 6.2.3.3).
func additionalData12(sequence uint64, header []byte, length int) []byte {
	data := binary.BigEndian.AppendUint64(make([]byte, 0, 8+recordHeaderLength), sequence)
	data = append(data, header[:recordHeaderLength-2]...)
	return binary.BigEndian.AppendUint16(data, uint16(length))
}

// seal12 appends a protected record of TLS 1.2 to dst. The explicit part of the nonce
// is the sequence number.
func (k *trafficKeys) seal12(dst []byte, typ recordType, payload []byte) []byte {
	sequence := k.sequence
	nonce := k.nextNonce()
	explicit := nonce[k.suite.fixedIVLength():]
	length := len(explicit) + len(payload) + k.aead.Overhead()
	dst = slices.Grow(dst, recordHeaderLength+length)
	dst = appendHeader(dst, typ, length)
	additional := additionalData12(sequence, dst[len(dst)-recordHeaderLength:], len(payload))
	dst = append(dst, explicit...)
	return k.aead.Seal(dst, nonce, payload, additional)
}

// open12 removes the protection of a record of TLS 1.2, in place.
func (k *trafficKeys) open12(header, record []byte) (recordType, []byte, error) {
	sequence := k.sequence
	nonce := k.nextNonce()
	explicit := nonce[k.suite.fixedIVLength():]
	length := len(record) - len(explicit) - k.aead.Overhead()
	if length < 0 {
		return 0, nil, errBadRecord()
	}
	copy(explicit, record)
	ciphertext := record[len(explicit):]
	content, err := k.aead.Open(ciphertext[:0], nonce, ciphertext, additionalData12(sequence, header, length))
	switch {
	case err != nil:
		return 0, nil, errBadRecord()
	case length > maxPlaintext:
		return 0, nil, errRecordOverflow(length)
	}
	return recordType(header[0]), content, nil
}
