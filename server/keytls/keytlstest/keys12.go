// SPDX-License-Identifier: Apache-2.0

package keytlstest

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// prf is the PRF of TLS 1.2 (RFC 5246, section 5).
func (s schedule) prf(secret []byte, label string, seed []byte, length int) (out []byte) {
	seed = append([]byte(label), seed...)
	a := seed
	for len(out) < length {
		a = s.hmac(secret, a)
		out = append(out, s.hmac(secret, a, seed)...)
	}
	return out[:length]
}

// keyBlock makes the keys of both directions (RFC 5246, section 6.3); randoms has the
// server's first.
func (s schedule) keyBlock(master, randoms []byte) (client, server protection) {
	newAEAD, ivLength := func(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }, 4
	if s.suite == 0xcca8 {
		newAEAD, ivLength = func(key []byte) cipher.AEAD { return must(chacha20poly1305.New(key)) }, 12
	}
	block := &scanner{rest: s.prf(master, "key expansion", randoms, 2*(32+ivLength))}
	client = protection{aead: newAEAD(block.bytes(32)), tls12: true, explicit: 12 - ivLength}
	server = protection{aead: newAEAD(block.bytes(32)), tls12: true, explicit: 12 - ivLength}
	client.iv, server.iv = make([]byte, 12), make([]byte, 12)
	copy(client.iv, block.bytes(ivLength))
	copy(server.iv, block.bytes(ivLength))
	return client, server
}

// additional is what is authenticated with a record (RFC 5246, section 6.2.3.3).
func (p *protection) additional(typ uint8, length int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, p.sequence), typ, 3, 3, byte(length>>8), byte(length))
}

func (p *protection) seal12(dst []byte, r Record) []byte {
	additional := p.additional(r.Type, len(r.Content))
	nonce := p.nonce()
	explicit := nonce[12-p.explicit:]
	n := len(explicit) + len(r.Content) + p.aead.Overhead()
	dst = append(append(dst, r.Type, 3, 3, byte(n>>8), byte(n)), explicit...)
	return p.aead.Seal(dst, nonce, r.Content, additional)
}

func (p *protection) open12(header, content []byte) (uint8, []byte, error) {
	n := len(content) - p.explicit - p.aead.Overhead()
	if n < 0 {
		return 0, nil, errors.New("client sent a record too short to be protected")
	}
	additional := p.additional(header[0], n)
	nonce := p.nonce()
	copy(nonce[12-p.explicit:], content)
	plain, err := p.aead.Open(nil, nonce, content[p.explicit:], additional)
	if err != nil {
		return 0, nil, errors.New("client sent a record that cannot be decrypted")
	}
	return header[0], plain, nil
}
