// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"crypto/hkdf"
	"crypto/hmac"
	"hash"

	"golang.org/x/crypto/cryptobyte"
)

// keySchedule is the key schedule of RFC 8446, section 7.1, without pre-shared
// keys: it holds the secret reached last, first the Early Secret, then the
// Handshake Secret, then the Master Secret.
type keySchedule struct {
	suite  CipherSuite
	secret []byte
}

// newKeySchedule starts with the Early Secret.
func newKeySchedule(suite CipherSuite) *keySchedule {
	k := &keySchedule{suite: suite}
	k.secret = k.extract(nil, nil)
	return k
}

// mix moves on to the next secret: to the Handshake Secret with the (EC)DHE
// shared secret, then to the Master Secret with nil.
func (k *keySchedule) mix(input []byte) {
	k.secret = k.extract(k.derive("derived", k.suite.hash()()), input)
}

// extract is HKDF-Extract; a nil input stands for "a string of Hash.length bytes
// set to zeros".
func (k *keySchedule) extract(salt, input []byte) []byte {
	if input == nil {
		input = make([]byte, k.suite.hash()().Size())
	}
	secret, err := hkdf.Extract(k.suite.hash(), input, salt)
	if err != nil {
		panic(err) // it fails only in a FIPS 140 mode that forbids TLS's own inputs
	}
	return secret
}

// derive is Derive-Secret over the messages in transcript.
func (k *keySchedule) derive(label string, transcript hash.Hash) []byte {
	return expandLabel(k.suite, k.secret, label, transcript.Sum(nil), transcript.Size())
}

// verifyData computes the content of a Finished message whose sender's handshake
// traffic secret is baseKey (RFC 8446, section 4.4.4).
func verifyData(suite CipherSuite, baseKey []byte, transcript hash.Hash) []byte {
	finishedKey := expandLabel(suite, baseKey, "finished", nil, transcript.Size())
	mac := hmac.New(suite.hash(), finishedKey)
	mac.Write(transcript.Sum(nil))
	return mac.Sum(nil)
}

// expandLabel is HKDF-Expand-Label (RFC 8446, section 7.1).
func expandLabel(suite CipherSuite, secret []byte, label string, context []byte, length int) []byte {
	var info cryptobyte.Builder
	info.AddUint16(uint16(length))
	info.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte("tls13 " + label)) })
	info.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(context) })
	out, err := hkdf.Expand(suite.hash(), secret, string(info.BytesOrPanic()), length)
	if err != nil {
		panic(err) // it fails only for lengths far beyond TLS's
	}
	return out
}
