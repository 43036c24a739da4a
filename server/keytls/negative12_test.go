// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// Changes of the bodies of TLS 1.2's messages.

// withExtensions puts other extensions into a ServerHello, given in hex.
func withExtensions(extensions string) func([]byte) []byte {
	return func(body []byte) []byte {
		data := fromHex(extensions)
		return slices.Concat(body[:offsetExtensions-2], []byte{0, byte(len(data))}, data)
	}
}

// goodExtensions are what GnuTLS 3.3 answers.
const goodExtensions = "0009 0001 01 ff01 0001 00"

// certificate12 makes a Certificate message of what follows the wrong length.
func certificate12(parts ...[]byte) func([]byte) []byte {
	return func([]byte) []byte { return append([]byte{0, 0, 0}, slices.Concat(parts...)...) }
}

func uint24(n int) []byte { return []byte{byte(n >> 16), byte(n >> 8), byte(n)} }

// withPrimary changes the body of the primary key's packet, without a subkey's ID
// in front that would not fit any more.
func withPrimary(key *keytlstest.OpenPGPKey, change func([]byte) []byte) func([]byte) []byte {
	certificate := key.Certificate()
	n := int(binary.BigEndian.Uint16(certificate[1:]))
	primary := change(bytes.Clone(certificate[3 : 3+n]))
	changed := slices.Concat([]byte{0x99, byte(len(primary) >> 8), byte(len(primary))}, primary, certificate[3+n:])
	return certificate12([]byte{1}, uint24(len(changed)), changed)
}

// withSubkey inserts another key's primary key as a subkey, right after the primary
// key, where nothing binds it.
func withSubkey(attacker *keytlstest.OpenPGPKey) func([]byte) []byte {
	return func(body []byte) []byte {
		certificate := body[offsetCertificate:]
		end := 3 + int(binary.BigEndian.Uint16(certificate[1:]))
		forged := attacker.Certificate()
		forged = forged[:3+int(binary.BigEndian.Uint16(forged[1:]))]
		forged[0] = 0x80 | 14<<2 | 1 // a Public-Subkey packet
		return certificateOf(slices.Concat(certificate[:end], forged, certificate[end:]))(body)
	}
}

// parameter changes the nth number (p, g, Ys) in the parameters of a finite field.
func parameter(n int, value *big.Int) func([]byte) []byte {
	return func(parameters []byte) (changed []byte) {
		for i := range 3 {
			length := 2 + int(binary.BigEndian.Uint16(parameters))
			number := parameters[:length]
			if i == n {
				number = append(binary.BigEndian.AppendUint16(nil, uint16(len(value.Bytes()))), value.Bytes()...)
			}
			changed, parameters = append(changed, number...), parameters[length:]
		}
		return changed
	}
}

func signed12By(key *keytlstest.OpenPGPKey, scheme keytls.SignatureScheme) func([]byte) (keytls.SignatureScheme, []byte) {
	return func(content []byte) (keytls.SignatureScheme, []byte) {
		signature, err := key.Sign(scheme, content)
		if err != nil {
			panic(err)
		}
		return scheme, signature
	}
}

func TestMisbehaviourOfOldPeersEndsInTheRightAlert(t *testing.T) {
	rsa, rsa4096 := openPGPKey(t, keytlstest.OpenPGPRSA2048), openPGPKey(t, keytlstest.OpenPGPRSA4096)
	dsa, dsa1024 := openPGPKey(t, keytlstest.OpenPGPDSA2048), openPGPKey(t, keytlstest.OpenPGPDSA1024)
	messages := []string{"ServerHello", "Certificate", "ServerKeyExchange", "ServerHelloDone", "Finished"}
	finiteField := keytls.TLS_DHE_RSA_WITH_AES_256_GCM_SHA384
	bigNumber := func(bits uint, plus int64) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return n.Add(n, big.NewInt(plus))
	}
	prime := new(big.Int)
	(&keytlstest.Peer{OpenPGP: rsa, CipherSuite: finiteField, Parameters: func(p []byte) []byte {
		prime.SetBytes(p[2 : 2+int(binary.BigEndian.Uint16(p))])
		return p
	}}).Server(meetingOf(t)).Handshake()
	subkeyID := rsa4096.Certificate()[100:108]

	type misbehaviour struct {
		peer   keytlstest.Peer
		config keytls.Config
		want   keytls.Alert
		says   string // part of the error
	}
	tests := map[string]misbehaviour{
		// ServerHello.
		"a downgrade of a peer that could do TLS 1.3": {
			peer: keytlstest.Peer{Random: endWith("DOWNGRD\x01")}, want: keytls.AlertIllegalParameter, says: "peer could do TLS 1.3"},
		"a downgrade of a peer that could do TLS 1.2": {
			peer: keytlstest.Peer{Random: endWith("DOWNGRD\x00")}, want: keytls.AlertIllegalParameter, says: "somebody changes the connection"},
		"TLS 1.1": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(0, "\x03\x02"))}, want: keytls.AlertProtocolVersion, says: "peer chose TLS 1.1, which RFC 8996 forbids: upgrade it to a mandos-client"},
		"TLS 1.0 without extensions": {
			peer: keytlstest.Peer{Message: edit("ServerHello", func(b []byte) []byte { b[1] = 1; return b[:offsetExtensions-2] })},
			want: keytls.AlertProtocolVersion, says: "peer chose TLS 1.0"},
		"SSL 3.0": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(0, "\x03\x00"))}, want: keytls.AlertProtocolVersion, says: "SSL 3.0"},
		"a version that does not exist": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(0, "\x03\x04"))}, want: keytls.AlertIllegalParameter, says: "peer chose TLS 1.3 in legacy_version, without supported_versions"},
		"TLS 1.2 in supported_versions": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions(goodExtensions+"002b 0002 0303"))}, want: keytls.AlertIllegalParameter, says: "where only TLS 1.3 can be chosen"},
		"TLS 1.3 where it was not offered": {
			peer:   keytlstest.Peer{Message: edit("ServerHello", withExtensions("002b 0002 0304"))},
			config: keytls.Config{CipherSuites: []keytls.CipherSuite{keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}},
			want:   keytls.AlertIllegalParameter, says: "peer chose TLS 1.3, which we did not offer"},
		"our session ID, to resume": {
			peer: keytlstest.Peer{Resume: true}, want: keytls.AlertIllegalParameter, says: "resume"},
		"a cipher suite that was not offered": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetCipherSuite, "\xc0\x2f"))}, want: keytls.AlertIllegalParameter, says: "0xc02f"},
		"a cipher suite of TLS 1.3": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetCipherSuite, "\x13\x02"))}, want: keytls.AlertIllegalParameter, says: "did not offer in TLS 1.2"},
		"CBC": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetCipherSuite, "\xc0\x14"))}, want: keytls.AlertIllegalParameter},
		"RSA without a key exchange": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetCipherSuite, "\x00\x9d"))}, want: keytls.AlertIllegalParameter},
		"compression": {
			peer: keytlstest.Peer{Message: edit("ServerHello", set(offsetCompression, "\x01"))}, want: keytls.AlertIllegalParameter},
		"no extensions": {
			peer: keytlstest.Peer{Message: edit("ServerHello", func(b []byte) []byte { return b[:offsetExtensions-2] })},
			want: keytls.AlertUnsupportedCertificate, says: "X.509"},
		"no certificate type, which means X.509": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions("ff01 0001 00"))}, want: keytls.AlertUnsupportedCertificate, says: "X.509"},
		"certificate type X.509": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions("0009 0001 00 ff01 0001 00"))}, want: keytls.AlertUnsupportedCertificate, says: "X.509"},
		"certificate type RawPublicKey, in TLS 1.2": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions("0009 0001 02 ff01 0001 00"))}, want: keytls.AlertIllegalParameter},
		"a malformed certificate type": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions("0009 0002 0101 ff01 0001 00"))}, want: keytls.AlertDecodeError},
		"no secure renegotiation": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions("0009 0001 01"))}, want: keytls.AlertHandshakeFailure, says: "RFC 5746"},
		"a renegotiation": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions("0009 0001 01 ff01 000d 0c 000102030405060708090a0b"))}, want: keytls.AlertHandshakeFailure},
		"an extended master secret with something in it": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions(goodExtensions+"0017 0001 00"))}, want: keytls.AlertDecodeError},
		"no uncompressed points": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions(goodExtensions+"000b 0002 0101"))}, want: keytls.AlertIllegalParameter},
		"malformed formats of points": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions(goodExtensions+"000b 0002 0200"))}, want: keytls.AlertDecodeError},
		"encrypt-then-mac, which we do not offer": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions(goodExtensions+"0016 0000"))}, want: keytls.AlertUnsupportedExtension},
		"a ticket, which we do not offer": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions(goodExtensions+"0023 0000"))}, want: keytls.AlertUnsupportedExtension},
		"a key share in TLS 1.2": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions(goodExtensions+"0033 0002 001d"))}, want: keytls.AlertIllegalParameter},
		"an extension twice": {
			peer: keytlstest.Peer{Message: edit("ServerHello", withExtensions(goodExtensions+"0009 0001 01"))}, want: keytls.AlertIllegalParameter},

		// Certificate.
		"a subkey's key ID": {
			peer: keytlstest.Peer{Message: edit("Certificate", set(offsetSubkeyID, string(subkeyID)))}, want: keytls.AlertBadCertificate, says: "says that it signs with subkey"},
		"an unbound subkey in a victim's certificate, which signs": {
			peer: keytlstest.Peer{OpenPGP: rsa, Message: edit("Certificate", withSubkey(rsa4096)), Sign: signed12By(rsa4096, keytls.RSA_PKCS1_SHA384)},
			want: keytls.AlertDecryptError, says: "does not own the primary key"},
		"an unbound subkey in a victim's certificate, with its key ID": {
			peer: keytlstest.Peer{OpenPGP: rsa, Sign: signed12By(rsa4096, keytls.RSA_PKCS1_SHA384), Message: edit("Certificate", func(body []byte) []byte {
				body = withSubkey(rsa4096)(body)
				copy(body[offsetSubkeyID:], fromHex(rsa4096.Fingerprint()[24:]))
				return body
			})}, want: keytls.AlertBadCertificate, says: rsa4096.Fingerprint()[24:]},
		"descriptor 00": {
			peer: keytlstest.Peer{Message: edit("Certificate", set(offsetDescriptor, "\x00"))}, want: keytls.AlertUnsupportedCertificate, says: "descriptor 0"},
		"descriptor 03": {
			peer: keytlstest.Peer{Message: edit("Certificate", set(offsetDescriptor, "\x03"))}, want: keytls.AlertUnsupportedCertificate, says: "descriptor 3"},
		"descriptor 04": {
			peer: keytlstest.Peer{Message: edit("Certificate", set(offsetDescriptor, "\x04"))}, want: keytls.AlertUnsupportedCertificate, says: "descriptor 4"},
		"a fingerprint instead of a certificate": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificate12([]byte{0, 20}, fromHex(rsa.Fingerprint())))}, want: keytls.AlertUnsupportedCertificate, says: "only the fingerprint"},
		"the empty certificate": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificate12([]byte{1, 0, 0, 0}))}, want: keytls.AlertBadCertificate, says: "no OpenPGP certificate at all"},
		"an empty certificate with a subkey's ID": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificate12([]byte{2, 8}, make([]byte, 8), []byte{0, 0, 0}))}, want: keytls.AlertBadCertificate},
		"a subkey's ID of nine bytes": {
			peer: keytlstest.Peer{Message: edit("Certificate", set(offsetDescriptor+1, "\x09"))}, want: keytls.AlertDecodeError},
		"the form of RFC 6091, without GnuTLS's length": {
			peer: keytlstest.Peer{Message: edit("Certificate", func(b []byte) []byte { return b[3:] })}, want: 255},
		"X.509": {
			peer: keytlstest.Peer{Message: edit("Certificate", func([]byte) []byte {
				der := x509Certificate(t)
				return slices.Concat(uint24(len(der)+3), uint24(len(der)), der)
			})}, want: keytls.AlertUnsupportedCertificate},
		"a certificate that begins with a user ID": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateOf([]byte{0xb4, 1, 'x'}))}, want: keytls.AlertBadCertificate, says: "packet of type 13"},
		"a secret key": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateOf(append([]byte{0x95}, rsa.Certificate()[1:]...)))}, want: keytls.AlertBadCertificate, says: "packet of type 5"},
		"a subkey alone": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateOf(append([]byte{0xb9}, rsa.Certificate()[1:]...)))}, want: keytls.AlertBadCertificate, says: "packet of type 14"},
		"a partial length": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateOf(slices.Concat([]byte{0xc6, 0xe0 | 9}, rsa.Certificate()[3:])))}, want: keytls.AlertBadCertificate},
		"an indeterminate length": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateOf(slices.Concat([]byte{0x9b}, rsa.Certificate()[3:])))}, want: keytls.AlertBadCertificate},
		"a length of 4 GB": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateOf(slices.Concat([]byte{0xc6, 255, 255, 255, 255, 255}, rsa.Certificate()[3:])))}, want: keytls.AlertBadCertificate},
		"text instead of packets": {
			peer: keytlstest.Peer{Message: edit("Certificate", certificateOf([]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----")))}, want: keytls.AlertBadCertificate},
		"a key of version 3": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, set(0, "\x03")))}, want: keytls.AlertUnsupportedCertificate, says: "version 3"},
		"a key of version 5": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, set(0, "\x05")))}, want: keytls.AlertUnsupportedCertificate, says: "version 5"},
		"a key of version 6": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, set(0, "\x06")))}, want: keytls.AlertUnsupportedCertificate, says: "version 6"},
		"a key that can only encrypt": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, set(5, "\x02")))}, want: keytls.AlertUnsupportedCertificate, says: "algorithm 2"},
		"an ElGamal key": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, set(5, "\x10")))}, want: keytls.AlertUnsupportedCertificate, says: "algorithm 16"},
		"an EdDSA key": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, set(5, "\x16")))}, want: keytls.AlertUnsupportedCertificate, says: "algorithm 22"},
		"an Ed25519 key": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, set(5, "\x1b")))}, want: keytls.AlertUnsupportedCertificate, says: "algorithm 27"},
		"a key with a byte too many": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, addAByte))}, want: keytls.AlertBadCertificate},
		"a key with a byte too few": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, cutLastByte))}, want: keytls.AlertBadCertificate},
		"a key that ends with its version": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, constant("\x04")))}, want: keytls.AlertBadCertificate},
		"an RSA key of 1,024 bits": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, constant("\x04\x00\x00\x00\x00\x01\x04\x00\x80"+strings.Repeat("\x01", 127)+"\x00\x11\x01\x00\x01")))},
			want: keytls.AlertUnsupportedCertificate, says: "RSA key of 1024 bits"},
		"an RSA key of 16,384 bits": {
			peer: keytlstest.Peer{Message: edit("Certificate", withPrimary(rsa, constant("\x04\x00\x00\x00\x00\x01\x40\x00\x80"+strings.Repeat("\x01", 2047)+"\x00\x11\x01\x00\x01")))},
			want: keytls.AlertUnsupportedCertificate, says: "RSA key of 16384 bits"},
		"a DSA key of 1,024 bits": {
			peer: keytlstest.Peer{OpenPGP: dsa1024}, want: keytls.AlertUnsupportedCertificate, says: "DSA key of 1024 bits: make a new key"},
		"a DSA key for a cipher suite with RSA": {
			peer: keytlstest.Peer{OpenPGP: dsa, CipherSuite: finiteField}, want: keytls.AlertIllegalParameter, says: "does not fit its DSA key"},
		"an RSA key for a cipher suite with DSS": {
			peer: keytlstest.Peer{OpenPGP: rsa, CipherSuite: keytls.TLS_DHE_DSS_WITH_AES_256_GCM_SHA384}, want: keytls.AlertIllegalParameter, says: "does not fit its RSA key"},
		"a certificate of more than 65,536 bytes": {
			peer: keytlstest.Peer{Message: edit("Certificate", withUserAttribute(65_500))}, want: keytls.AlertDecodeError, says: "more than 65536"},

		// ServerKeyExchange.
		"another key's signature": {
			peer: keytlstest.Peer{OpenPGP: rsa, Sign: signed12By(rsa4096, keytls.RSA_PKCS1_SHA384)}, want: keytls.AlertDecryptError, says: "its signature is wrong"},
		"a signature over other parameters": {
			peer: keytlstest.Peer{Message: edit("ServerKeyExchange", func(b []byte) []byte { b[2] = 0x19; return b })}, want: keytls.AlertIllegalParameter},
		"a signature with the last bit flipped": {
			peer: keytlstest.Peer{Message: edit("ServerKeyExchange", flipLastBit)}, want: keytls.AlertDecryptError},
		"a DSA signature of zeros": {
			peer: keytlstest.Peer{OpenPGP: dsa, Sign: func([]byte) (keytls.SignatureScheme, []byte) {
				return keytls.DSA_SHA256, []byte{0x30, 6, 2, 1, 0, 2, 1, 0}
			}}, want: keytls.AlertDecryptError},
		"a DSA signature that is no DER": {
			peer: keytlstest.Peer{OpenPGP: dsa, Sign: func([]byte) (keytls.SignatureScheme, []byte) { return keytls.DSA_SHA256, make([]byte, 70) }}, want: keytls.AlertDecryptError},
		"a DSA signature with a byte after it": {
			peer: keytlstest.Peer{OpenPGP: dsa, Sign: func(content []byte) (keytls.SignatureScheme, []byte) {
				scheme, signature := signed12By(dsa, keytls.DSA_SHA256)(content)
				return scheme, append(signature, 0)
			}}, want: keytls.AlertDecryptError},
		"SHA-1 with RSA":  {peer: keytlstest.Peer{SignatureScheme: 0x0201}, want: keytls.AlertIllegalParameter, says: "0x0201"},
		"SHA-1 with DSA":  {peer: keytlstest.Peer{OpenPGP: dsa, SignatureScheme: 0x0202}, want: keytls.AlertIllegalParameter, says: "0x0202"},
		"DSA with an RSA": {peer: keytlstest.Peer{SignatureScheme: keytls.DSA_SHA384}, want: keytls.AlertIllegalParameter, says: "does not fit its RSA key"},
		"RSA with a DSA": {
			peer: keytlstest.Peer{OpenPGP: dsa, SignatureScheme: keytls.RSA_PKCS1_SHA384}, want: keytls.AlertIllegalParameter, says: "does not fit its DSA key"},
		"a scheme of TLS 1.3": {
			peer: keytlstest.Peer{Sign: func([]byte) (keytls.SignatureScheme, []byte) { return keytls.RSA_PSS_RSAE_SHA384, make([]byte, 256) }},
			want: keytls.AlertIllegalParameter, says: "did not offer in TLS 1.2"},
		"a scheme that was not offered": {
			peer:   keytlstest.Peer{SignatureScheme: keytls.RSA_PKCS1_SHA256},
			config: keytls.Config{SignatureSchemes: []keytls.SignatureScheme{keytls.ED25519, keytls.RSA_PKCS1_SHA384}}, want: keytls.AlertIllegalParameter},
		"a curve that was not offered": {
			peer:   keytlstest.Peer{Group: keytls.SECP521R1},
			config: keytls.Config{Groups: []keytls.Group{keytls.X25519, keytls.SECP384R1}}, want: keytls.AlertIllegalParameter, says: "secp521r1"},
		"an explicit curve": {
			peer: keytlstest.Peer{Parameters: set(0, "\x01")}, want: keytls.AlertIllegalParameter, says: "without a name"},
		"a point that is not on the curve": {
			peer: keytlstest.Peer{Parameters: flipLastBit}, want: keytls.AlertIllegalParameter, says: "invalid key share"},
		"a point of another curve": {
			peer: keytlstest.Peer{Parameters: set(1, "\x00\x17")}, want: keytls.AlertIllegalParameter, says: "invalid key share"},
		"the point at infinity": {
			peer: keytlstest.Peer{Parameters: constant("\x03\x00\x18\x01\x00")}, want: keytls.AlertIllegalParameter, says: "invalid key share"},
		"an all-zero X25519 share": {
			peer: keytlstest.Peer{Parameters: constant("\x03\x00\x1d\x20" + string(make([]byte, 32)))}, want: keytls.AlertIllegalParameter, says: "invalid key share"},
		"a modulus of 1,024 bits": {
			peer: keytlstest.Peer{CipherSuite: finiteField, Parameters: parameter(0, bigNumber(1024, 7))}, want: keytls.AlertInsufficientSecurity, says: "1024 bits"},
		"a modulus of 2,047 bits": {
			peer: keytlstest.Peer{CipherSuite: finiteField, Parameters: parameter(0, bigNumber(2047, 7))}, want: keytls.AlertInsufficientSecurity, says: "--dh-bits"},
		"a modulus of 8,193 bits": {
			peer: keytlstest.Peer{CipherSuite: finiteField, Parameters: parameter(0, bigNumber(8193, 7))}, want: keytls.AlertInsufficientSecurity},
		"a modulus of 0": {
			peer: keytlstest.Peer{CipherSuite: finiteField, Parameters: parameter(0, new(big.Int))}, want: keytls.AlertInsufficientSecurity},
		"an even modulus": {
			peer: keytlstest.Peer{CipherSuite: finiteField, Parameters: parameter(0, bigNumber(2049, 0))}, want: keytls.AlertIllegalParameter, says: "not a prime"},
		"an odd modulus that is composite": {
			peer: keytlstest.Peer{CipherSuite: finiteField, Parameters: parameter(0, new(big.Int).Mul(prime, big.NewInt(3)))}, want: keytls.AlertIllegalParameter, says: "not a prime"},
		"a modulus of two primes": {
			peer: keytlstest.Peer{CipherSuite: finiteField, Parameters: parameter(0, new(big.Int).Mul(prime, prime))}, want: keytls.AlertIllegalParameter, says: "not a prime"},
	}
	for name, value := range map[string]*big.Int{
		"0": new(big.Int), "1": big.NewInt(1), "p-1": new(big.Int).Sub(prime, big.NewInt(1)), "p": prime, "p+1": new(big.Int).Add(prime, big.NewInt(1)),
	} {
		for i, number := range []string{"generator", "share"} {
			tests["the "+number+" "+name] = misbehaviour{peer: keytlstest.Peer{CipherSuite: finiteField, Field: &keytlstest.Field{P: prime, G: big.NewInt(5)},
				Parameters: parameter(i+1, value)}, want: keytls.AlertIllegalParameter, says: "degenerate"}
		}
	}

	// Records and their order.
	for name, test := range map[string]misbehaviour{
		"a ChangeCipherSpec before its time": {peer: keytlstest.Peer{Record: before(1, ccs)}, want: keytls.AlertUnexpectedMessage},
		"a ChangeCipherSpec after ServerKeyExchange": {
			peer: keytlstest.Peer{Record: before(3, ccs)}, want: keytls.AlertUnexpectedMessage, says: "instead of ServerHelloDone"},
		"a CertificateRequest": {
			peer: keytlstest.Peer{Message: repeatAs("ServerHelloDone", keytlstest.NewMessage("CertificateRequest", 13, []byte{1, 1, 0, 0, 0, 0}))},
			want: keytls.AlertUnexpectedMessage, says: "CertificateRequest instead of ServerHelloDone"},
		"a HelloRequest": {
			peer: keytlstest.Peer{Message: repeatAs("Certificate", keytlstest.NewMessage("HelloRequest", 0, nil))}, want: keytls.AlertUnexpectedMessage},
		"application data in the clear": {
			peer: keytlstest.Peer{Record: before(1, keytlstest.Record{Type: keytlstest.ApplicationData, Content: []byte("x")})}, want: keytls.AlertUnexpectedMessage},
		"a ServerHelloDone with something in it": {
			peer: keytlstest.Peer{Message: edit("ServerHelloDone", addAByte)}, want: keytls.AlertDecodeError},
		"more in the record of its ServerHelloDone": {
			peer: keytlstest.Peer{Coalesce: true, Message: repeat("ServerHelloDone")}, want: keytls.AlertUnexpectedMessage, says: "record of its ServerHelloDone"},
		"a record that is too long": {
			peer: keytlstest.Peer{Record: before(1, keytlstest.Record{Type: keytlstest.Handshake, Content: make([]byte, 1<<14+1)})}, want: keytls.AlertRecordOverflow},
	} {
		tests[name] = test
	}
	for i, name := range messages[:4] {
		tests["no "+name] = misbehaviour{peer: keytlstest.Peer{Message: replace(name)}, want: keytls.AlertUnexpectedMessage}
		tests[name+" twice"] = misbehaviour{peer: keytlstest.Peer{Message: repeat(name)}, want: keytls.AlertUnexpectedMessage}
		if i < 3 {
			tests[name+" after "+messages[i+1]] = misbehaviour{peer: keytlstest.Peer{Message: swap(name)}, want: keytls.AlertUnexpectedMessage}
			tests["a "+name+" that lacks its last byte"] = misbehaviour{peer: keytlstest.Peer{Message: edit(name, cutLastByte)}, want: keytls.AlertDecodeError}
			tests["a "+name+" with a byte too many"] = misbehaviour{peer: keytlstest.Peer{Message: edit(name, addAByte)}, want: keytls.AlertDecodeError}
			tests["an empty "+name] = misbehaviour{peer: keytlstest.Peer{Message: edit(name, constant(""))}, want: keytls.AlertDecodeError}
		}
	}
	for _, name := range []string{"ServerHello", "ServerKeyExchange", "ServerHelloDone"} {
		tests["a "+name+" of 16,385 bytes"] = misbehaviour{peer: keytlstest.Peer{Message: edit(name, constant(string(make([]byte, 1<<14+1))))}, want: keytls.AlertDecodeError}
	}
	// Without it the peer falls silent, and the second one comes when we are gone.
	delete(tests, "no ServerHelloDone")
	delete(tests, "ServerHelloDone twice")

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.peer.OpenPGP == nil {
				test.peer.OpenPGP = rsa
			}
			test.config.OpenPGP = always
			m := meet(t, &test.peer, &test.config)
			if test.want == 255 { // any
				test.want = alertOf(m.err)
			}
			refused(t, m, test.want)
			if m.err != nil && !strings.Contains(m.err.Error(), test.says) {
				t.Errorf("error %q does not say %q", m.err, test.says)
			}
		})
	}
}

// meetingOf returns the far end of a connection whose client does one handshake.
func meetingOf(t *testing.T) *pipeEnd {
	near, far := pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	go keytls.Client(near, &keytls.Config{OpenPGP: always}).Handshake(t.Context())
	return far.(*pipeEnd)
}

// repeatAs sends another message before the one of that name.
func repeatAs(name string, other keytlstest.Message) messageHook {
	return func(m keytlstest.Message) []keytlstest.Message {
		if m.Name == name {
			return []keytlstest.Message{other, m}
		}
		return []keytlstest.Message{m}
	}
}

// TestEndOfAnOldPeersHandshake is about what comes after our own Finished: the peer has
// all it needs, and learns of our refusal when it reads.
func TestEndOfAnOldPeersHandshake(t *testing.T) {
	key := openPGPKey(t, keytlstest.OpenPGPRSA2048)
	const flight = 4 // the records of the first flight
	type misbehaviour struct {
		peer keytlstest.Peer
		want keytls.Alert
		says string
	}
	for name, test := range map[string]misbehaviour{
		"a wrong Finished":                {keytlstest.Peer{Message: edit("Finished", flipLastBit)}, keytls.AlertDecryptError, "changed on its way"},
		"a Finished of 11 bytes":          {keytlstest.Peer{Message: edit("Finished", cutLastByte)}, keytls.AlertDecodeError, ""},
		"a Finished of 13 bytes":          {keytlstest.Peer{Message: edit("Finished", addAByte)}, keytls.AlertDecodeError, ""},
		"an empty Finished":               {keytlstest.Peer{Message: edit("Finished", constant(""))}, keytls.AlertDecodeError, ""},
		"our own Finished":                {keytlstest.Peer{Message: edit("Finished", set(0, "client finish"[:12]))}, keytls.AlertDecryptError, ""},
		"two Finished in one record":      {keytlstest.Peer{Coalesce: true, Message: repeat("Finished")}, keytls.AlertUnexpectedMessage, "record of its Finished"},
		"a ticket before Finished":        {keytlstest.Peer{Message: repeatAs("Finished", keytlstest.NewMessage("NewSessionTicket", 4, make([]byte, 6)))}, keytls.AlertUnexpectedMessage, "NewSessionTicket"},
		"no ChangeCipherSpec":             {keytlstest.Peer{Record: replaceRecord(flight)}, keytls.AlertUnexpectedMessage, "instead of ChangeCipherSpec"},
		"two ChangeCipherSpec":            {keytlstest.Peer{Record: before(flight, ccs)}, keytls.AlertBadRecordMAC, ""},
		"a ChangeCipherSpec of 2":         {keytlstest.Peer{Record: replaceRecord(flight, keytlstest.Record{Type: keytlstest.ChangeCipherSpec, Content: []byte{2}})}, keytls.AlertUnexpectedMessage, ""},
		"a long ChangeCipherSpec":         {keytlstest.Peer{Record: replaceRecord(flight, keytlstest.Record{Type: keytlstest.ChangeCipherSpec, Content: []byte{1, 1}})}, keytls.AlertUnexpectedMessage, ""},
		"an empty ChangeCipherSpec":       {keytlstest.Peer{Record: replaceRecord(flight, keytlstest.Record{Type: keytlstest.ChangeCipherSpec})}, keytls.AlertUnexpectedMessage, ""},
		"a protected ChangeCipherSpec":    {keytlstest.Peer{Record: before(flight+1, protected(keytlstest.ChangeCipherSpec, 1))}, keytls.AlertUnexpectedMessage, ""},
		"a Finished in the clear":         {keytlstest.Peer{Record: inTheClear(flight + 1)}, keytls.AlertBadRecordMAC, ""},
		"a record in the clear":           {keytlstest.Peer{Record: before(flight+1, keytlstest.Record{Type: keytlstest.Handshake, Content: []byte{0, 0, 0, 0}})}, keytls.AlertBadRecordMAC, ""},
		"an alert in the clear":           {keytlstest.Peer{Record: before(flight+1, keytlstest.Record{Type: keytlstest.AlertRecord, Content: []byte{2, 40}})}, keytls.AlertBadRecordMAC, ""},
		"application data before the end": {keytlstest.Peer{Record: before(flight+1, protected(keytlstest.ApplicationData, []byte("x")...))}, keytls.AlertUnexpectedMessage, "before the end of its handshake"},
		"an empty protected message":      {keytlstest.Peer{Record: before(flight+1, protected(keytlstest.Handshake))}, keytls.AlertUnexpectedMessage, "empty record"},
		"a protected record too long":     {keytlstest.Peer{Record: before(flight+1, protected(keytlstest.Handshake, make([]byte, 1<<14+1)...))}, keytls.AlertRecordOverflow, ""},
		"a record too short to be one":    {keytlstest.Peer{Record: before(flight+1, keytlstest.Record{Type: keytlstest.Handshake, Content: make([]byte, 23)})}, keytls.AlertBadRecordMAC, ""},
		"a record of unknown type":        {keytlstest.Peer{Record: before(flight+1, protected(24, []byte("heartbeat")...))}, keytls.AlertUnexpectedMessage, "unknown type 0x18"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.peer.OpenPGP = key
			m := meet(t, &test.peer, &keytls.Config{OpenPGP: always})
			if got := alertOf(m.err); got != test.want || !strings.Contains(m.err.Error(), test.says) {
				t.Errorf("client: %v, want alert %v and %q", m.err, test.want, test.says)
			}
			if received, ok := errors.AsType[*keytlstest.ReceivedAlert](readError(m.server)); !ok || received.Alert != test.want {
				t.Errorf("server: %v, want alert %v", received, test.want)
			}
			if n, err := m.client.Write([]byte("secret")); n != 0 || err == nil {
				t.Errorf("write afterwards: %d, %v", n, err)
			}
		})
	}
}

func readError(r io.Reader) error {
	_, err := r.Read(make([]byte, 1))
	return err
}

// replaceRecord sends other records instead of the nth (from 0).
func replaceRecord(n int, with ...keytlstest.Record) recordHook {
	count := -1
	return func(r keytlstest.Record) []keytlstest.Record {
		if count++; count == n {
			return with
		}
		return []keytlstest.Record{r}
	}
}

// inTheClear sends the nth record unprotected.
func inTheClear(n int) recordHook {
	count := -1
	return func(r keytlstest.Record) []keytlstest.Record {
		if count++; count == n {
			r.Protected = false
		}
		return []keytlstest.Record{r}
	}
}

// TestOldPeersAfterTheHandshake: nothing is renegotiated, and truncation is noticed.
func TestOldPeersAfterTheHandshake(t *testing.T) {
	key := openPGPKey(t, keytlstest.OpenPGPRSA2048)
	for name, test := range map[string]struct {
		do   func(m *meeting)
		want error
	}{
		"close_notify ends the connection": {do: func(m *meeting) { m.server.CloseWrite() }, want: io.EOF},
		"an end without close_notify is a truncation": {
			do: func(m *meeting) { m.server.Close() }, want: io.ErrUnexpectedEOF},
		"a HelloRequest is refused": {
			do: func(m *meeting) { m.server.SendMessage(keytlstest.NewMessage("HelloRequest", 0, nil)) }, want: &keytls.AlertError{Alert: keytls.AlertUnexpectedMessage}},
		"a KeyUpdate is refused": {
			do: func(m *meeting) { m.server.SendMessage(keytlstest.NewMessage("KeyUpdate", 24, []byte{1})) }, want: &keytls.AlertError{Alert: keytls.AlertUnexpectedMessage}},
		"a ticket is refused": {
			do: func(m *meeting) { m.server.SendTicket() }, want: &keytls.AlertError{Alert: keytls.AlertUnexpectedMessage}},
		"a ChangeCipherSpec is refused": {
			do: func(m *meeting) {
				m.server.SendRecord(protected(keytlstest.ChangeCipherSpec, 1))
			}, want: &keytls.AlertError{Alert: keytls.AlertUnexpectedMessage}},
		"records of nothing are counted": {
			do: func(m *meeting) {
				for range 17 {
					m.server.SendRecord(protected(keytlstest.ApplicationData))
				}
			}, want: &keytls.AlertError{Alert: keytls.AlertUnexpectedMessage}},
		"an unprotected record is refused": {
			do: func(m *meeting) {
				m.server.SendRecord(keytlstest.Record{Type: keytlstest.AlertRecord, Content: []byte{1, 0}})
			}, want: &keytls.AlertError{Alert: keytls.AlertBadRecordMAC}},
		"the read keys wear out": {
			do: func(m *meeting) { m.client.ExhaustReadKeys(); m.server.CloseWrite() }, want: &keytls.AlertError{Alert: keytls.AlertUnexpectedMessage}},
	} {
		t.Run(name, func(t *testing.T) {
			m := meet(t, &keytlstest.Peer{OpenPGP: key}, &keytls.Config{OpenPGP: always})
			if m.err != nil {
				t.Fatal(m.err)
			}
			test.do(m)
			err := readError(m.client)
			if want, ok := errors.AsType[*keytls.AlertError](test.want); ok {
				if alertOf(err) != want.Alert {
					t.Errorf("read: %v, want alert %v", err, want.Alert)
				}
				if received, ok := errors.AsType[*keytlstest.ReceivedAlert](readError(m.server)); !ok || received.Alert != want.Alert {
					t.Errorf("server: %v", received)
				}
			} else if !errors.Is(err, test.want) {
				t.Errorf("read: %v, want %v", err, test.want)
			}
		})
	}
}

func TestWriteKeysOfTLS12AreNotUsedForEver(t *testing.T) {
	m := meet(t, &keytlstest.Peer{OpenPGP: openPGPKey(t, keytlstest.OpenPGPRSA2048)}, &keytls.Config{OpenPGP: always})
	if m.err != nil {
		t.Fatal(m.err)
	}
	m.client.ExhaustWriteKeys()
	if n, err := m.client.Write([]byte("x")); n != 0 || err == nil || !strings.Contains(err.Error(), "in TLS 1.2") {
		t.Errorf("write: %d, %v", n, err)
	}
}

// TestOldPeersThatRefuseUsAreExplained is what the log says about clients that nobody
// can serve.
func TestOldPeersThatRefuseUsAreExplained(t *testing.T) {
	for name, test := range map[string]struct {
		config keytls.Config
		answer string
		says   []string
	}{
		"GnuTLS 2.8, with an alert in a record of TLS 1.1": {
			keytls.Config{OpenPGP: always}, "\x15\x03\x02\x00\x02\x02\x28", []string{"peer speaks TLS 1.1, which RFC 8996 forbids: upgrade it to a mandos-client", "GnuTLS 3.1 or later", "handshake_failure"}},
		"GnuTLS 2.8, with an alert that names the version": {
			keytls.Config{OpenPGP: always}, "\x15\x03\x02\x00\x02\x02\x46", []string{"peer speaks TLS 1.1, which RFC 8996 forbids: upgrade it to a mandos-client"}},
		"GnuTLS 2.8, where only raw public keys are offered": {
			keytls.Config{}, "\x15\x03\x02\x00\x02\x02\x28", []string{"peer speaks TLS 1.1, which RFC 8996 forbids: upgrade it to a mandos-client"}},
		"GnuTLS 2.12, with an alert in a record of TLS 1.2": {
			keytls.Config{OpenPGP: always}, "\x15\x03\x03\x00\x02\x02\x28", []string{"handshake_failure", "knows no TLS 1.3 with raw public keys (RFC 7250) or TLS 1.2 with OpenPGP certificates (RFC 6091)", "client of before 2013, without TLS 1.2 and AES-256-GCM, upgrade it"}},
		"one with a DSA key, at its defaults": {
			keytls.Config{OpenPGP: always}, "\x15\x03\x03\x00\x02\x02\x28", []string{
				"if its OpenPGP key is a DSA key, give it an RSA key",
				"with GnuTLS 3.2.5 to 3.5, with --dh-bits=2048 and its --priority followed by :+DHE-DSS:+SIGN-DSA-SHA256"}},
		"one that refuses both versions offered": {
			keytls.Config{OpenPGP: always}, "\x15\x03\x03\x00\x02\x02\x46", []string{"protocol_version: it does not speak TLS 1.3 or TLS 1.2, upgrade it"}},
		"one that refuses the only version offered, the old one": {
			keytls.Config{OpenPGP: always, CipherSuites: []keytls.CipherSuite{keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}},
			"\x15\x03\x03\x00\x02\x02\x46", []string{"protocol_version: it does not speak TLS 1.2, upgrade it"}},
		"a Mandos client, which closes without an alert": {
			keytls.Config{OpenPGP: always}, "", []string{"closed the connection", "client of before 2013"}},
		"one with an OpenPGP key, where none is needed": {
			keytls.Config{OpenPGP: func() bool { return false }}, "", []string{"closed the connection", "if it is a client with an OpenPGP key, as those of before 2019 are, it needs an entry with its fingerprint and without key_id"}},
		"one with an OpenPGP key, where none is ever offered": {
			keytls.Config{}, "", []string{"closed the connection", "cannot be served: the priority leaves no OpenPGP certificates"}},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := pipe()
			io.WriteString(far, test.answer)
			far.(*pipeEnd).out.close(io.EOF)
			_, err := keytls.Client(near, &test.config).Handshake(t.Context())
			for _, says := range test.says {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("error %v does not say %q", err, says)
				}
			}
		})
	}
}
