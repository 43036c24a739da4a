// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"crypto/hmac"
	"hash"
	"slices"
)

// pseudorandom is the PRF of TLS 1.2 with the suite's hash function (RFC 5246, section 5).
func pseudorandom(suite CipherSuite, secret []byte, label string, seed []byte, length int) []byte {
	seed = append([]byte(label), seed...)
	mac := hmac.New(suite.hash(), secret)
	sum := func(parts ...[]byte) []byte {
		mac.Reset()
		for _, part := range parts {
			mac.Write(part)
		}
		return mac.Sum(nil)
	}
	var out []byte
	for a := sum(seed); len(out) < length; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out[:length]
}

const masterSecretLength = 48

// masterSecret computes the master secret, bound to the handshake so far if the
// peer knows how (RFC 7627, section 4), or to the randoms alone (RFC 5246, section 8.1).
func (h *handshake12) masterSecret(preMaster []byte) []byte {
	suite := h.c.state.CipherSuite
	if h.extendedMasterSecret {
		return pseudorandom(suite, preMaster, "extended master secret", h.transcript.Sum(nil), masterSecretLength)
	}
	return pseudorandom(suite, preMaster, "master secret", slices.Concat(h.hello.random, h.serverRandom), masterSecretLength)
}

// verifyData12 computes the content of a Finished message (RFC 5246, section 7.4.9).
func verifyData12(suite CipherSuite, master []byte, label string, transcript hash.Hash) []byte {
	const verifyDataLength = 12
	return pseudorandom(suite, master, label, transcript.Sum(nil), verifyDataLength)
}

// keyBlock12 derives the keys of both directions (RFC 5246, section 6.3). There are no
// MAC keys, as all suites are AEADs.
func keyBlock12(suite CipherSuite, master, clientRandom, serverRandom []byte) (client, server trafficKeys, err error) {
	keyLength, ivLength := suite.keyLength(), suite.fixedIVLength()
	block := pseudorandom(suite, master, "key expansion", slices.Concat(serverRandom, clientRandom), 2*(keyLength+ivLength))
	take := func(n int) (taken []byte) {
		taken, block = block[:n], block[n:]
		return taken
	}
	clientKey, serverKey := take(keyLength), take(keyLength)
	if client, err = newTrafficKeys12(suite, clientKey, take(ivLength)); err != nil {
		return client, server, err
	}
	server, err = newTrafficKeys12(suite, serverKey, take(ivLength))
	return client, server, err
}
