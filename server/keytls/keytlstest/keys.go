// SPDX-License-Identifier: Apache-2.0

package keytlstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"

	"mandos/server/keytls"
)

// schedule derives keys (RFC 8446, section 7).
type schedule struct {
	suite   keytls.CipherSuite
	newHash func() hash.Hash
}

func newSchedule(suite keytls.CipherSuite) schedule {
	switch suite {
	case keytls.TLS_AES_128_GCM_SHA256, keytls.TLS_CHACHA20_POLY1305_SHA256, 0xcca8:
		return schedule{suite, sha256.New}
	}
	return schedule{suite, sha512.New384}
}

func (s schedule) hmac(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(s.newHash, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// extract is HKDF-Extract, which is HMAC.
func (s schedule) extract(salt, input []byte) []byte { return s.hmac(salt, input) }

// expandLabel is HKDF-Expand-Label for results of at most one hash's length, which
// is all that TLS wants: the first block of HKDF-Expand.
func (s schedule) expandLabel(secret []byte, label string, context []byte, length int) []byte {
	info := []byte{byte(length >> 8), byte(length), byte(len("tls13 ") + len(label))}
	info = append(append(info, "tls13 "...), label...)
	info = append(append(info, byte(len(context))), context...)
	return s.hmac(secret, info, []byte{1})[:length]
}

func (s schedule) derive(secret []byte, label string, transcriptHash []byte) []byte {
	return s.expandLabel(secret, label, transcriptHash, len(transcriptHash))
}

func (s schedule) zeros() []byte     { return make([]byte, s.newHash().Size()) }
func (s schedule) emptyHash() []byte { return s.newHash().Sum(nil) }

// finished computes verify_data (RFC 8446, section 4.4.4).
func (s schedule) finished(secret, transcriptHash []byte) []byte {
	return s.hmac(s.expandLabel(secret, "finished", nil, len(transcriptHash)), transcriptHash)
}

// protection is what protects one direction; the zero value protects nothing.
type protection struct {
	secret   []byte
	aead     cipher.AEAD
	iv       []byte
	sequence uint64
	// explicit is how many bytes of the nonce travel in each record of TLS 1.2,
	// of which tls12 says that this is one.
	explicit int
	tls12    bool
}

func (s schedule) protection(secret []byte) protection {
	p := protection{secret: secret, iv: s.expandLabel(secret, "iv", nil, 12)}
	switch s.suite {
	case keytls.TLS_CHACHA20_POLY1305_SHA256:
		p.aead = must(chacha20poly1305.New(s.expandLabel(secret, "key", nil, 32)))
	case keytls.TLS_AES_256_GCM_SHA384:
		p.aead = must(cipher.NewGCM(must(aes.NewCipher(s.expandLabel(secret, "key", nil, 32)))))
	default:
		p.aead = must(cipher.NewGCM(must(aes.NewCipher(s.expandLabel(secret, "key", nil, 16)))))
	}
	return p
}

// next is the protection after a KeyUpdate.
func (p protection) next(s schedule) protection {
	return s.protection(s.expandLabel(p.secret, "traffic upd", nil, len(p.secret)))
}

func (p *protection) nonce() []byte {
	nonce := bytes.Clone(p.iv)
	for i := range 8 {
		nonce[11-i] ^= byte(p.sequence >> (8 * i))
	}
	p.sequence++
	return nonce
}

// seal appends a record to dst.
func (p *protection) seal(dst []byte, r Record) []byte {
	if !r.Protected || p.aead == nil {
		dst = append(dst, r.Type, 3, 3, byte(len(r.Content)>>8), byte(len(r.Content)))
		return append(dst, r.Content...)
	}
	if p.tls12 {
		return p.seal12(dst, r)
	}
	inner := append(append(bytes.Clone(r.Content), r.Type), make([]byte, r.Padding)...)
	n := len(inner) + p.aead.Overhead()
	header := []byte{ApplicationData, 3, 3, byte(n >> 8), byte(n)}
	return p.aead.Seal(append(dst, header...), p.nonce(), inner, header)
}

// open undoes seal.
func (p *protection) open(header, content []byte) (uint8, []byte, error) {
	if p.aead == nil {
		return 0, nil, errors.New("client sent a protected record before there were keys")
	}
	if p.tls12 {
		return p.open12(header, content)
	}
	inner, err := p.aead.Open(nil, p.nonce(), content, header)
	if err != nil {
		return 0, nil, errors.New("client sent a record that cannot be decrypted")
	}
	inner = bytes.TrimRight(inner, "\x00")
	if len(inner) == 0 {
		return 0, nil, errors.New("client sent a record of nothing but padding")
	}
	return inner[len(inner)-1], inner[:len(inner)-1], nil
}
