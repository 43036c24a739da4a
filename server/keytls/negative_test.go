// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// Hooks for keytlstest.Peer.

type messageHook = func(keytlstest.Message) []keytlstest.Message
type recordHook = func(keytlstest.Record) []keytlstest.Record

// replace replaces the message of that name.
func replace(name string, with ...keytlstest.Message) messageHook {
	return func(m keytlstest.Message) []keytlstest.Message {
		if m.Name == name {
			return with
		}
		return []keytlstest.Message{m}
	}
}

// edit changes the body of the message of that name; its header stays true.
func edit(name string, change func(body []byte) []byte) messageHook {
	return func(m keytlstest.Message) []keytlstest.Message {
		if m.Name == name {
			m = keytlstest.NewMessage(name, m.Raw[0], change(bytes.Clone(m.Raw[4:])))
		}
		return []keytlstest.Message{m}
	}
}

// repeat sends the message of that name twice.
func repeat(name string) messageHook {
	return func(m keytlstest.Message) []keytlstest.Message {
		if m.Name == name {
			return []keytlstest.Message{m, m}
		}
		return []keytlstest.Message{m}
	}
}

// swap sends the message of that name after the one that follows it.
func swap(name string) messageHook {
	var held []keytlstest.Message
	return func(m keytlstest.Message) []keytlstest.Message {
		if m.Name == name {
			held = []keytlstest.Message{m}
			return nil
		}
		sent := append([]keytlstest.Message{m}, held...)
		held = nil
		return sent
	}
}

// before puts records before the nth record (from 0) of the flight.
func before(n int, records ...keytlstest.Record) recordHook {
	count := -1
	return func(r keytlstest.Record) []keytlstest.Record {
		if count++; count == n {
			return append(slices.Clone(records), r)
		}
		return []keytlstest.Record{r}
	}
}

// repeatFirst sends the first record twice.
func repeatFirst() recordHook {
	count := 0
	return func(r keytlstest.Record) []keytlstest.Record {
		if count++; count == 1 {
			return []keytlstest.Record{r, r}
		}
		return []keytlstest.Record{r}
	}
}

// Changes of a message's body.

func cutLastByte(body []byte) []byte { return body[:len(body)-1] }
func addAByte(body []byte) []byte    { return append(body, 0) }
func flipLastBit(body []byte) []byte { body[len(body)-1] ^= 1; return body }

func set(offset int, value string) func([]byte) []byte {
	return func(body []byte) []byte { copy(body[offset:], value); return body }
}

func constant(body string) func([]byte) []byte { return func([]byte) []byte { return []byte(body) } }

// addExtension adds an extension at the end of EncryptedExtensions.
func addExtension(typ byte, data string) func([]byte) []byte {
	return func(body []byte) []byte {
		body = append(append(body, 0, typ, 0, byte(len(data))), data...)
		body[1] = byte(len(body) - 2)
		return body
	}
}

// Offsets in the body of a ServerHello, which has a session ID of 32 bytes.
const (
	offsetRandom           = 2
	offsetSessionID        = offsetRandom + 32 + 1
	offsetCipherSuite      = offsetSessionID + 32
	offsetCompression      = offsetCipherSuite + 2
	offsetExtensions       = offsetCompression + 1 + 2
	offsetSupportedVersion = offsetExtensions + 4
	offsetGroup            = offsetExtensions + 6 + 4 // key_share comes second
	offsetKeyExchange      = offsetGroup + 4
)

// withoutKeyShare cuts key_share, the last extension, off a ServerHello.
func withoutKeyShare(body []byte) []byte {
	body = body[:offsetExtensions+6]
	copy(body[offsetExtensions-2:], "\x00\x06")
	return body
}

// onlyKeyShare cuts supported_versions, the first extension, out of a ServerHello, and
// sets its legacy version.
func onlyKeyShare(legacyVersion string) func([]byte) []byte {
	return func(body []byte) []byte {
		body = append(body[:offsetExtensions], body[offsetExtensions+6:]...)
		body[offsetExtensions-1] -= 6
		return set(0, legacyVersion)(body)
	}
}

// certificateList is the body of a Certificate message.
func certificateList(context string, entries ...[]byte) func([]byte) []byte {
	return func([]byte) []byte {
		list := bytes.Join(entries, nil)
		body := append([]byte{byte(len(context))}, context...)
		return append(append(body, 0, byte(len(list)>>8), byte(len(list))), list...)
	}
}

func certificateEntry(data []byte, extensions string) []byte {
	entry := append([]byte{0, byte(len(data) >> 8), byte(len(data))}, data...)
	return append(append(entry, 0, byte(len(extensions))), extensions...)
}

func fromHex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

var (
	ccs       = keytlstest.Record{Type: keytlstest.ChangeCipherSpec, Content: []byte{1}}
	retryWith = func(extensions string) func([]byte) []byte {
		return func(body []byte) []byte {
			body = append(body[:offsetExtensions-2], 0, byte(len(extensions)))
			return append(body, extensions...)
		}
	}
	signWith = func(key *keytlstest.Key, scheme keytls.SignatureScheme, context string) func([]byte) (keytls.SignatureScheme, []byte) {
		return func(transcriptHash []byte) (keytls.SignatureScheme, []byte) {
			signature, err := key.Sign(scheme, keytlstest.SignedContent(context, transcriptHash))
			if err != nil {
				panic(err)
			}
			return scheme, signature
		}
	}
)

// x509Certificate returns a self-signed certificate.
func x509Certificate(t *testing.T) []byte {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestMisbehaviourEndsInTheRightAlert(t *testing.T) {
	messages := []string{"ServerHello", "EncryptedExtensions", "Certificate", "CertificateVerify", "Finished"}
	p256 := keytlstest.NewKey(keytlstest.ECDSAP256)
	rsa := keytlstest.NewKey(keytlstest.RSA2048)
	anotherKey := keytlstest.NewKey(keytlstest.Ed25519)
	spki := anEd25519Key.SPKI()
	ticket := keytlstest.NewMessage("NewSessionTicket", 4, make([]byte, 20))
	certificateRequest := keytlstest.NewMessage("CertificateRequest", 13, fromHex("00 0008 000d 0004 0002 0807"))

	type misbehaviour struct {
		peer   keytlstest.Peer
		config keytls.Config
		want   keytls.Alert
		says   string // part of the error
	}
	tests := map[string]misbehaviour{
		// Hellos.
		"a cipher suite that was not offered": {
			peer:   keytlstest.Peer{Message: edit("ServerHello", set(offsetCipherSuite, "\x13\x03"))},
			config: keytls.Config{CipherSuites: []keytls.CipherSuite{keytls.TLS_AES_128_GCM_SHA256}},
			want:   keytls.AlertIllegalParameter, says: "TLS_CHACHA20_POLY1305_SHA256"},
		"a cipher suite that does not exist": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetCipherSuite, "\x13\x05"))}, want: keytls.AlertIllegalParameter},
		"a group other than the key share's": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetGroup, "\x00\x17"))}, want: keytls.AlertIllegalParameter, says: "secp256r1"},
		"another session ID": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetSessionID, "XX"))}, want: keytls.AlertIllegalParameter},
		"a session ID longer than there can be": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetSessionID-1, "\x21"))}, want: keytls.AlertDecodeError},
		"compression": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetCompression, "\x01"))}, want: keytls.AlertIllegalParameter},
		"a version that was not offered": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetSupportedVersion, "\x03\x05"))}, want: keytls.AlertIllegalParameter, says: "peer chose TLS version 0x0305 in supported_versions, where only TLS 1.3"},
		"TLS 1.2 in supported_versions": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetSupportedVersion, "\x03\x03"))}, want: keytls.AlertIllegalParameter, says: "peer chose TLS 1.2 in supported_versions, where only TLS 1.3"},
		"a legacy version that is newer than TLS 1.2": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(0, "\x03\x04"))}, want: keytls.AlertIllegalParameter, says: "peer chose TLS 1.3 with TLS 1.3 in legacy_version, which has to be TLS 1.2 then"},
		"a legacy version that is older than TLS 1.2": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(0, "\x03\x02"))}, want: keytls.AlertIllegalParameter, says: "peer chose TLS 1.3 with TLS 1.1 in legacy_version"},
		"TLS 1.3 in the legacy version alone": {
			peer: keytlstest.Peer{Message: edit("ServerHello", onlyKeyShare("\x03\x04"))}, want: keytls.AlertIllegalParameter, says: "peer chose TLS 1.3 in legacy_version, without supported_versions"},
		"a version after TLS 1.3 in the legacy version alone": {
			peer: keytlstest.Peer{Message: edit("ServerHello", onlyKeyShare("\x03\x05"))}, want: keytls.AlertIllegalParameter, says: "peer chose TLS version 0x0305 in legacy_version, without supported_versions"},
		"TLS 1.2": {
			peer: keytlstest.Peer{Message: edit("ServerHello", func(b []byte) []byte { return append(b[:offsetExtensions-2], 0, 0) })},
			want: keytls.AlertProtocolVersion, says: "peer chose TLS 1.2"},
		"TLS 1.1 without extensions": {
			peer: keytlstest.Peer{Message: edit("ServerHello", func(b []byte) []byte { b[1] = 2; return b[:offsetExtensions-2] })},
			want: keytls.AlertProtocolVersion, says: "peer chose TLS 1.1"},
		"a ServerHello without key_share": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withoutKeyShare)}, want: keytls.AlertMissingExtension},
		"an all-zero key share": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetKeyExchange, string(make([]byte, 32))))}, want: keytls.AlertIllegalParameter, says: "invalid key share"},
		"a point that is not on P-256": {
			peer:   keytlstest.Peer{Message: edit("ServerHello", flipLastBit)},
			config: keytls.Config{Groups: []keytls.Group{keytls.SECP256R1}}, want: keytls.AlertIllegalParameter, says: "invalid key share"},
		"an extension in its ServerHello that was not asked for": {
			peer: keytlstest.Peer{Message: edit("ServerHello", func(b []byte) []byte {
				b = append(b, 0, 41, 0, 2, 0, 0)
				b[offsetExtensions-1] += 6
				return b
			})}, want: keytls.AlertUnsupportedExtension},
		"an extension in its ServerHello that has no place there": {
			peer: keytlstest.Peer{Message: edit("ServerHello", func(b []byte) []byte {
				b = append(b, 0, 20, 0, 1, 2)
				b[offsetExtensions-1] += 5
				return b
			})}, want: keytls.AlertIllegalParameter},
		// HelloRetryRequest.
		"a second HelloRetryRequest": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: edit("ServerHello", set(offsetRandom, string(fromHex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"))))},
			want: keytls.AlertUnexpectedMessage, says: "second HelloRetryRequest"},
		"a HelloRetryRequest that asks for nothing": {
			peer: keytlstest.Peer{Cookie: []byte{}}, want: keytls.AlertIllegalParameter, says: "asks for nothing"},
		"a HelloRetryRequest for the group sent": {
			peer: keytlstest.Peer{Group: keytls.SECP256R1, Message: edit("HelloRetryRequest", retryWith("\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x02\x00\x1d"))},
			want: keytls.AlertIllegalParameter, says: "already"},
		"a HelloRetryRequest for a group that was not offered": {
			peer: keytlstest.Peer{Group: keytls.SECP256R1, Message: edit("HelloRetryRequest", retryWith("\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x02\x01\x00"))},
			want: keytls.AlertIllegalParameter, says: "group 0x0100"},
		"a HelloRetryRequest without a version": {
			peer: keytlstest.Peer{Group: keytls.SECP256R1, Message: edit("HelloRetryRequest", retryWith("\x00\x33\x00\x02\x00\x17"))},
			want: keytls.AlertMissingExtension, says: "HelloRetryRequest without supported_versions"},
		"TLS 1.3 in the legacy version alone after a HelloRetryRequest": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: edit("ServerHello", onlyKeyShare("\x03\x04"))},
			want: keytls.AlertIllegalParameter, says: "peer chose TLS 1.3 in legacy_version"},
		"a HelloRetryRequest with an unknown extension": {
			peer: keytlstest.Peer{Group: keytls.SECP256R1, Message: edit("HelloRetryRequest", retryWith("\x00\x2b\x00\x02\x03\x04\x12\x34\x00\x00"))},
			want: keytls.AlertUnsupportedExtension},
		"a HelloRetryRequest with an empty cookie": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: edit("HelloRetryRequest", retryWith("\x00\x2b\x00\x02\x03\x04\x00\x2c\x00\x02\x00\x00"))},
			want: keytls.AlertDecodeError},
		"a HelloRetryRequest with half a group": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: edit("HelloRetryRequest", retryWith("\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x01\x00"))},
			want: keytls.AlertDecodeError},
		"a HelloRetryRequest with more than a group": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: edit("HelloRetryRequest", retryWith("\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x03\x00\x17\x00"))},
			want: keytls.AlertDecodeError},
		"a HelloRetryRequest with more than a cookie": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: edit("HelloRetryRequest", retryWith("\x00\x2b\x00\x02\x03\x04\x00\x2c\x00\x04\x00\x01x\x00"))},
			want: keytls.AlertDecodeError},
		"a HelloRetryRequest with half a cookie": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: edit("HelloRetryRequest", retryWith("\x00\x2b\x00\x02\x03\x04\x00\x2c\x00\x03\x00\x02x"))},
			want: keytls.AlertDecodeError},
		"half a version": {
			peer: keytlstest.Peer{Message: edit("ServerHello", retryWith("\x00\x2b\x00\x01\x03"))}, want: keytls.AlertDecodeError},
		"more than a version": {
			peer: keytlstest.Peer{Message: edit("ServerHello", retryWith("\x00\x2b\x00\x03\x03\x04\x00"))}, want: keytls.AlertDecodeError},
		"a key share with half a group": {
			peer: keytlstest.Peer{Message: edit("ServerHello", retryWith("\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x01\x00"))}, want: keytls.AlertDecodeError},
		"a key share without a key": {
			peer: keytlstest.Peer{Message: edit("ServerHello", retryWith("\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x02\x00\x1d"))}, want: keytls.AlertDecodeError},
		"more than a key share": {
			peer: keytlstest.Peer{Message: edit("ServerHello", func(b []byte) []byte {
				b = append(b, 0)
				b[offsetExtensions-1]++
				b[offsetGroup-1]++
				return b
			})}, want: keytls.AlertDecodeError},
		"another cipher suite after a HelloRetryRequest": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: edit("ServerHello", set(offsetCipherSuite, "\x13\x03"))},
			want: keytls.AlertIllegalParameter, says: "changed the cipher suite"},
		"TLS 1.2 after a HelloRetryRequest": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: edit("ServerHello", func(b []byte) []byte { return append(b[:offsetExtensions-2], 0, 0) })},
			want: keytls.AlertIllegalParameter, says: "changed the protocol version"},
		"another group than its HelloRetryRequest's": {
			peer: keytlstest.Peer{Group: keytls.SECP256R1, Message: edit("ServerHello", set(offsetGroup, "\x00\x1d"))},
			want: keytls.AlertIllegalParameter, says: "x25519 instead of secp256r1"},
		"a ServerHello in the record of its HelloRetryRequest": {
			peer: keytlstest.Peer{Cookie: []byte("x"), Message: repeat("HelloRetryRequest"), Record: joinPlain()},
			want: keytls.AlertUnexpectedMessage, says: "record of its HelloRetryRequest"},
		// EncryptedExtensions.
		"X.509 by saying nothing": {
			peer: keytlstest.Peer{Message: edit("EncryptedExtensions", constant("\x00\x00"))},
			want: keytls.AlertUnsupportedCertificate, says: "peer presented an X.509 certificate, not a raw public key (RFC 7250)"},
		"X.509 by saying so": {
			peer: keytlstest.Peer{Message: edit("EncryptedExtensions", set(6, "\x00"))}, want: keytls.AlertUnsupportedCertificate, says: "X.509"},
		"OpenPGP certificates in TLS 1.3": {
			peer: keytlstest.Peer{Message: edit("EncryptedExtensions", flipLastBit)}, want: keytls.AlertIllegalParameter},
		"no certificate type where there should be one": {
			peer: keytlstest.Peer{Message: edit("EncryptedExtensions", constant("\x00\x04\x00\x14\x00\x00"))}, want: keytls.AlertDecodeError},
		"two certificate types": {
			peer: keytlstest.Peer{Message: edit("EncryptedExtensions", constant("\x00\x06\x00\x14\x00\x02\x02\x00"))}, want: keytls.AlertDecodeError},
		"an extension that was not asked for": {
			peer: keytlstest.Peer{Message: edit("EncryptedExtensions", addExtension(16, "\x00\x03\x02h2"))}, want: keytls.AlertUnsupportedExtension},
		"an extension twice": {
			peer: keytlstest.Peer{Message: edit("EncryptedExtensions", addExtension(20, "\x02"))}, want: keytls.AlertIllegalParameter, says: "repeated"},
		"an extension that belongs into its ServerHello": {
			peer: keytlstest.Peer{Message: edit("EncryptedExtensions", addExtension(51, "\x00\x1d"))}, want: keytls.AlertIllegalParameter},
		// CertificateRequest.
		"two CertificateRequests": {
			peer: keytlstest.Peer{RequestCertificate: true, Message: repeat("CertificateRequest")}, want: keytls.AlertUnexpectedMessage},
		"a CertificateRequest with a context": {
			peer: keytlstest.Peer{RequestCertificate: true, Message: edit("CertificateRequest", constant("\x01x\x00\x08\x00\x0d\x00\x04\x00\x02\x08\x07"))}, want: keytls.AlertIllegalParameter},
		"a CertificateRequest without signature_algorithms": {
			peer: keytlstest.Peer{RequestCertificate: true, Message: edit("CertificateRequest", constant("\x00\x00\x00"))}, want: keytls.AlertMissingExtension},
		"a truncated CertificateRequest": {
			peer: keytlstest.Peer{RequestCertificate: true, Message: edit("CertificateRequest", cutLastByte)}, want: keytls.AlertDecodeError},
		"a CertificateRequest with more behind it": {
			peer: keytlstest.Peer{RequestCertificate: true, Message: edit("CertificateRequest", addAByte)}, want: keytls.AlertDecodeError},
		"a CertificateRequest after its Certificate": {
			peer: keytlstest.Peer{Message: replace("CertificateVerify", certificateRequest)}, want: keytls.AlertUnexpectedMessage},
		// Certificate.
		"no certificate": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateList(""))}, want: keytls.AlertDecodeError, says: "no key at all"},
		"two keys": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateList("", certificateEntry(spki, ""), certificateEntry(spki, "")))},
			want: keytls.AlertIllegalParameter, says: "more than one key"},
		"half of an entry": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateList("", []byte{0, 0}))}, want: keytls.AlertDecodeError},
		"an entry without its extensions": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateList("", certificateEntry(spki, "")[:3+len(spki)]))}, want: keytls.AlertDecodeError},
		"a Certificate with a context": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateList("x", certificateEntry(spki, "")))}, want: keytls.AlertIllegalParameter},
		"a key with an extension": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateList("", certificateEntry(spki, "\x00\x05\x00\x00")))}, want: keytls.AlertUnsupportedExtension},
		"an empty key":         {peer: keytlstest.Peer{SPKI: []byte{}}, want: keytls.AlertBadCertificate},
		"an X.509 certificate": {peer: keytlstest.Peer{SPKI: x509Certificate(t)}, want: keytls.AlertUnsupportedCertificate, says: "X.509"},
		"a key in a non-canonical encoding": {
			peer: keytlstest.Peer{SPKI: append(spki, 0)}, want: keytls.AlertBadCertificate},
		"a P-224 key": {
			peer: keytlstest.Peer{Key: keytlstest.NewKey(keytlstest.ECDSAP224)}, want: keytls.AlertUnsupportedCertificate, says: "P-224"},
		"an RSA key of 1,024 bits": {
			peer: keytlstest.Peer{Key: keytlstest.NewKey(keytlstest.RSA1024)}, want: keytls.AlertUnsupportedCertificate, says: "RSA key of 1024 bits: make one of 2048 to 8192 bits"},
		// CertificateVerify.
		"a wrong signature": {
			peer: keytlstest.Peer{Message: edit("CertificateVerify", flipLastBit)}, want: keytls.AlertDecryptError, says: "does not own the key"},
		"an empty signature": {
			peer: keytlstest.Peer{Message: edit("CertificateVerify", constant("\x08\x07\x00\x00"))}, want: keytls.AlertDecryptError},
		"a signature by another key": {
			peer: keytlstest.Peer{Sign: signWith(anotherKey, keytls.ED25519, keytlstest.ServerContext)}, want: keytls.AlertDecryptError},
		"a client's context string": {
			peer: keytlstest.Peer{Sign: signWith(anEd25519Key, keytls.ED25519, "TLS 1.3, client CertificateVerify")}, want: keytls.AlertDecryptError},
		"a signature of another handshake": {
			peer: keytlstest.Peer{Sign: func([]byte) (keytls.SignatureScheme, []byte) {
				return signWith(anEd25519Key, keytls.ED25519, keytlstest.ServerContext)(make([]byte, 32))
			}}, want: keytls.AlertDecryptError},
		"a wrong ECDSA signature": {
			peer: keytlstest.Peer{Key: p256, Message: edit("CertificateVerify", flipLastBit)}, want: keytls.AlertDecryptError},
		"a wrong RSA signature": {
			peer: keytlstest.Peer{Key: rsa, Message: edit("CertificateVerify", flipLastBit)}, want: keytls.AlertDecryptError},
		"a scheme that was not offered": {
			peer:   keytlstest.Peer{SignatureScheme: keytls.ED25519},
			config: keytls.Config{SignatureSchemes: []keytls.SignatureScheme{keytls.ED448}},
			want:   keytls.AlertIllegalParameter, says: "ed25519, which we did not offer"},
		"a scheme that TLS 1.3 does not have": {
			peer: keytlstest.Peer{Key: rsa, Message: edit("CertificateVerify", set(0, "\x04\x01"))}, want: keytls.AlertIllegalParameter},
		"an ECDSA scheme with an Ed25519 key": {
			peer: keytlstest.Peer{Message: edit("CertificateVerify", set(0, "\x04\x03"))}, want: keytls.AlertIllegalParameter, says: "does not fit its Ed25519 key"},
		"SHA-384 with a P-256 key": {
			peer: keytlstest.Peer{Key: p256, SignatureScheme: keytls.ECDSA_SECP384R1_SHA384}, want: keytls.AlertIllegalParameter},
		"rsa_pss_pss with an rsaEncryption key": {
			peer: keytlstest.Peer{Key: rsa, SignatureScheme: keytls.RSA_PSS_PSS_SHA256}, want: keytls.AlertIllegalParameter, says: "RSA key"},
		"rsa_pss_rsae with an RSA-PSS key": {
			peer: keytlstest.Peer{Key: keytlstest.NewKey(keytlstest.RSAPSS2048), SignatureScheme: keytls.RSA_PSS_RSAE_SHA256}, want: keytls.AlertIllegalParameter},
		// Finished.
		"a wrong Finished": {
			peer: keytlstest.Peer{Message: edit("Finished", flipLastBit)}, want: keytls.AlertDecryptError, says: "Finished"},
		"a second message in the record of Finished": {
			peer: keytlstest.Peer{Coalesce: true, Message: repeat("Finished")}, want: keytls.AlertUnexpectedMessage},
		"a ticket instead of Finished": {
			peer: keytlstest.Peer{Message: replace("Finished", ticket)}, want: keytls.AlertUnexpectedMessage, says: "NewSessionTicket instead of Finished"},
		// Records.
		"application data before its ServerHello": {
			peer: keytlstest.Peer{Record: before(0, keytlstest.Record{Type: 23, Content: []byte("x")})}, want: keytls.AlertUnexpectedMessage},
		"application data before its Finished": {
			peer: keytlstest.Peer{Record: before(5, keytlstest.Record{Type: 23, Content: []byte("x"), Protected: true})}, want: keytls.AlertUnexpectedMessage, says: "application data before"},
		"a flood of ChangeCipherSpecs": {
			peer: keytlstest.Peer{Record: before(2, slices.Repeat([]keytlstest.Record{ccs}, 100)...)}, want: keytls.AlertUnexpectedMessage, says: "useless"},
		"a flood of user_canceled": {
			peer: keytlstest.Peer{Record: before(0, slices.Repeat([]keytlstest.Record{{Type: 21, Content: []byte{1, 90}}}, 100)...)}, want: keytls.AlertUnexpectedMessage, says: "useless"},
		"a ChangeCipherSpec of 2": {
			peer: keytlstest.Peer{Record: before(1, keytlstest.Record{Type: 20, Content: []byte{2}})}, want: keytls.AlertUnexpectedMessage},
		"a ChangeCipherSpec of two bytes": {
			peer: keytlstest.Peer{Record: before(1, keytlstest.Record{Type: 20, Content: []byte{1, 1}})}, want: keytls.AlertUnexpectedMessage},
		"an empty ChangeCipherSpec": {
			peer: keytlstest.Peer{Record: before(1, keytlstest.Record{Type: 20})}, want: keytls.AlertUnexpectedMessage},
		"a protected ChangeCipherSpec": {
			peer: keytlstest.Peer{Record: before(3, keytlstest.Record{Type: 20, Content: []byte{1}, Protected: true})}, want: keytls.AlertUnexpectedMessage},
		"a ChangeCipherSpec within a message": {
			peer: keytlstest.Peer{RecordSize: 40, Record: before(1, ccs)}, want: keytls.AlertUnexpectedMessage, says: "in the middle of a handshake message"},
		"an empty handshake record": {
			peer: keytlstest.Peer{Record: before(0, keytlstest.Record{Type: 22})}, want: keytls.AlertUnexpectedMessage, says: "empty record"},
		"an empty protected handshake record": {
			peer: keytlstest.Peer{Record: before(3, keytlstest.Record{Type: 22, Protected: true, Padding: 9})}, want: keytls.AlertUnexpectedMessage, says: "empty record"},
		"an empty alert": {
			peer: keytlstest.Peer{Record: before(0, keytlstest.Record{Type: 21})}, want: keytls.AlertUnexpectedMessage, says: "empty record"},
		"an alert of three bytes": {
			peer: keytlstest.Peer{Record: before(0, keytlstest.Record{Type: 21, Content: []byte{2, 40, 0}})}, want: keytls.AlertDecodeError},
		"nothing but padding": {
			peer: keytlstest.Peer{Record: before(3, keytlstest.Record{Type: 0, Padding: 30, Protected: true})}, want: keytls.AlertUnexpectedMessage, says: "nothing but padding"},
		"an unprotected record under keys": {
			peer: keytlstest.Peer{Record: before(3, keytlstest.Record{Type: 22, Content: []byte{8, 0, 0, 2, 0, 0}})}, want: keytls.AlertUnexpectedMessage, says: "unprotected"},
		"an unprotected alert under keys": {
			peer: keytlstest.Peer{Record: before(3, keytlstest.Record{Type: 21, Content: []byte{2, 40}})}, want: keytls.AlertUnexpectedMessage, says: "unprotected"},
		"a record of unknown type": {
			peer: keytlstest.Peer{Record: before(0, keytlstest.Record{Type: 24, Content: []byte("heartbeat")})}, want: keytls.AlertUnexpectedMessage, says: "unknown type 0x18"},
		"a protected record of unknown type": {
			peer: keytlstest.Peer{Record: before(3, keytlstest.Record{Type: 24, Content: []byte("heartbeat"), Protected: true})}, want: keytls.AlertUnexpectedMessage, says: "unknown type 0x18"},
		"no TLS at all": {
			peer: keytlstest.Peer{Wire: func([]byte) []byte { return []byte("SSH-2.0-OpenSSH_9.2\r\n") }}, want: keytls.AlertUnexpectedMessage, says: "may not speak TLS"},
		"a plain record that is too long": {
			peer: keytlstest.Peer{Record: before(0, keytlstest.Record{Type: 22, Content: make([]byte, 1<<14+1)})}, want: keytls.AlertRecordOverflow},
		"a protected record that is too long inside": {
			peer: keytlstest.Peer{Record: before(3, keytlstest.Record{Type: 22, Content: make([]byte, 1<<14+1), Protected: true})}, want: keytls.AlertRecordOverflow},
		"a protected record that is too long with its padding": {
			peer: keytlstest.Peer{Record: before(3, keytlstest.Record{Type: 22, Content: make([]byte, 1000), Padding: 1 << 14, Protected: true})}, want: keytls.AlertRecordOverflow},
		"a message in the record of its ServerHello": {
			peer: keytlstest.Peer{Message: repeat("ServerHello"), Record: joinPlain()}, want: keytls.AlertUnexpectedMessage, says: "record of its ServerHello"},
	}

	for i, name := range messages {
		tests["no "+name] = misbehaviour{peer: keytlstest.Peer{Message: replace(name), Tickets: 1}, want: keytls.AlertUnexpectedMessage}
		tests["two "+name] = misbehaviour{peer: keytlstest.Peer{Message: repeat(name)}, want: keytls.AlertUnexpectedMessage}
		if i+1 < len(messages) {
			tests[name+" after "+messages[i+1]] = misbehaviour{peer: keytlstest.Peer{Message: swap(name)}, want: keytls.AlertUnexpectedMessage}
		}
		tests["a "+name+" that lacks its last byte"] = misbehaviour{peer: keytlstest.Peer{Message: edit(name, cutLastByte)}, want: keytls.AlertDecodeError}
		tests["a "+name+" with a byte too many"] = misbehaviour{peer: keytlstest.Peer{Message: edit(name, addAByte)}, want: keytls.AlertDecodeError}
		tests["an empty "+name] = misbehaviour{peer: keytlstest.Peer{Message: edit(name, constant(""))}, want: keytls.AlertDecodeError}
		tests["a "+name+" of 16,385 bytes"] = misbehaviour{peer: keytlstest.Peer{Message: edit(name, constant(string(make([]byte, 1<<14+1))))}, want: keytls.AlertDecodeError}
		tests["a "+name+" that claims 16 MB"] = misbehaviour{peer: keytlstest.Peer{Message: func(m keytlstest.Message) []keytlstest.Message {
			if m.Name == name {
				m.Raw = append([]byte{m.Raw[0], 0xff, 0xff, 0xff}, m.Raw[4:]...)
			}
			return []keytlstest.Message{m}
		}}, want: keytls.AlertDecodeError}
	}
	// Without Finished the peer falls silent; a second one comes after the
	// handshake. Both are tested on their own.
	delete(tests, "no Finished")
	delete(tests, "two Finished")
	// A second ServerHello in the transcript would change the peer's keys, and
	// it could not read our alert.
	tests["two ServerHello"] = misbehaviour{peer: keytlstest.Peer{Record: repeatFirst()}, want: keytls.AlertUnexpectedMessage}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.peer.Key == nil {
				test.peer.Key = anEd25519Key
			}
			m := meet(t, &test.peer, &test.config)
			refused(t, m, test.want)
			if m.err != nil && !strings.Contains(m.err.Error(), test.says) {
				t.Errorf("error %q does not say %q", m.err, test.says)
			}
		})
	}
}

// refused checks that the handshake ended with an alert, on both sides, and that
// nothing can be handed out afterwards.
func refused(t *testing.T, m *meeting, want keytls.Alert) {
	t.Helper()
	if got := alertOf(m.err); got != want {
		t.Errorf("client: %v, want alert %v", m.err, want)
	}
	if received, ok := errors.AsType[*keytlstest.ReceivedAlert](m.serverErr); !ok || received.Alert != want {
		t.Errorf("server: %v, want alert %v", m.serverErr, want)
	}
	if n, err := m.client.Write([]byte("secret")); n != 0 || err == nil {
		t.Errorf("write afterwards: %d, %v", n, err)
	}
	if err := m.client.CloseWrite(); err == nil {
		t.Error("close_notify could be sent afterwards")
	}
	if _, err := m.client.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read afterwards: %v", err)
	}
}

// joinPlain joins each pair of unprotected handshake records into one.
func joinPlain() recordHook {
	var held []byte
	return func(r keytlstest.Record) []keytlstest.Record {
		if r.Type != keytlstest.Handshake || r.Protected {
			return []keytlstest.Record{r}
		}
		if held == nil {
			held = r.Content
			return nil
		}
		r.Content = append(held, r.Content...)
		held = nil
		return []keytlstest.Record{r}
	}
}

// TestPeerThatFlipsABit has the peer change each bit of each of its messages after
// it has signed and authenticated the right ones.
func TestPeerThatFlipsABit(t *testing.T) {
	t.Parallel()
	const records = 6 // ServerHello, ChangeCipherSpec, EncryptedExtensions, Certificate, CertificateVerify, Finished
	for record := range records {
		for bit := 0; ; bit++ {
			n, length := -1, 0
			peer := &keytlstest.Peer{Key: anEd25519Key, Record: func(r keytlstest.Record) []keytlstest.Record {
				if n++; n == record {
					length = 8 * len(r.Content)
					r.Content = bytes.Clone(r.Content)
					if bit < length {
						r.Content[bit/8] ^= 0x80 >> (bit % 8)
					}
				}
				return []keytlstest.Record{r}
			}}
			near, far := pipe()
			m := meetOver(t, near, oneFlight{far.(*pipeEnd)}, peer, &keytls.Config{})
			if bit == length {
				if m.err != nil {
					t.Fatalf("with no bit flipped: %v", m.err)
				}
				break
			}
			if alertOf(m.err) == 255 {
				// The message may have become longer than what comes.
				if errors.Is(m.err, io.ErrUnexpectedEOF) {
					continue
				}
				t.Errorf("bit %d of record %d: %v", bit, record, m.err)
			}
			if _, err := m.client.Write([]byte("secret")); err == nil {
				t.Errorf("bit %d of record %d: could write afterwards", bit, record)
			}
		}
	}
}

// oneFlight ends its direction after the first write, so that a message that has
// become longer than what comes is not waited for.
type oneFlight struct{ *pipeEnd }

func (c oneFlight) Write(p []byte) (int, error) {
	n, err := c.pipeEnd.Write(p)
	c.out.close(io.EOF)
	return n, err
}

func ExampleAlertError() {
	fmt.Println(&keytls.AlertError{Alert: keytls.AlertIllegalParameter, Reason: "peer chose compression"})
	fmt.Println(&keytls.AlertError{Alert: keytls.AlertInternalError, Received: true})
	// Output:
	// peer chose compression (we sent alert illegal_parameter)
	// peer sent alert internal_error
}
