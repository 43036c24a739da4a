// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"
)

// openPGPCertificate is a certificate with a primary key of that algorithm whose
// numbers have so many bits, and a user ID.
func openPGPCertificate(algorithm byte, bits ...uint16) []byte {
	body := []byte{4, 0, 0, 0, 1, algorithm}
	for _, n := range bits {
		number := slices.Repeat([]byte{0xff}, int(n+7)/8)
		number[0] >>= (8 - n%8) % 8
		body = append(binary.BigEndian.AppendUint16(body, n), number...)
	}
	return slices.Concat([]byte{0x99, byte(len(body) >> 8), byte(len(body))}, body, []byte{0xb4, 5, 'h', 'o', 's', 't', '1'})
}

var openPGPCertificates = [][]byte{
	openPGPCertificate(1, 2048, 17), openPGPCertificate(3, 4096, 17), openPGPCertificate(17, 2048, 256, 2047, 2047),
	openPGPCertificate(17, 1024, 160, 1023, 1023), openPGPCertificate(16, 2048, 3, 2047),
}

func FuzzServerHello12(f *testing.F) {
	f.Add([]byte{0, 10, 0, 9, 0, 1, 1, 0xff, 1, 0, 1, 0})
	f.Add([]byte{0, 20, 0, 23, 0, 0, 0, 9, 0, 1, 1, 0xff, 1, 0, 1, 0, 0, 11, 0, 2, 1, 0})
	f.Fuzz(func(t *testing.T, block []byte) {
		hello, err := parseServerHello(nil, slices.Concat(make([]byte, 2+32+1+2+1), block))
		checkRefusal(t, err)
		if err != nil {
			return
		}
		_, err = parseServerHello12(hello.extensions)
		checkRefusal(t, err)
		if err == nil && !bytes.Contains(block, []byte{0, 9, 0, 1, 1}) {
			t.Error("accepted without an OpenPGP certificate")
		}
	})
}

func FuzzOpenPGPKey(f *testing.F) {
	for _, certificate := range openPGPCertificates {
		f.Add(certificate)
		n := int(binary.BigEndian.Uint16(certificate[1:])) - 192
		f.Add(slices.Concat([]byte{0xc6, byte(n>>8) + 192, byte(n)}, certificate[3:]))
		f.Add(slices.Concat([]byte{0xc6, 255, 0, 0}, certificate[1:]))
	}
	f.Fuzz(func(t *testing.T, certificate []byte) {
		key, err := parseOpenPGPKey(certificate)
		if err != nil {
			return
		}
		if key.identity.Kind != Fingerprint || len(key.identity.Hex) != 40 || len(key.schemes) == 0 || key.name == "" {
			t.Errorf("key %+v", key)
		}
		for _, scheme := range key.schemes {
			if key.validSignature(scheme, []byte("content"), []byte("no signature")) {
				t.Errorf("%s key accepts anything under %v", key.name, scheme)
			}
		}
		if again, err := parseOpenPGPKey(append(bytes.Clone(certificate), 0xb4, 1, 'x')); err != nil || again.identity != key.identity {
			t.Errorf("with another user ID it is %v, %v", again, err)
		}
	})
}

func FuzzCertificate12(f *testing.F) {
	for _, certificate := range openPGPCertificates {
		length := []byte{0, byte(len(certificate) >> 8), byte(len(certificate))}
		f.Add(slices.Concat([]byte{9, 9, 9, 1}, length, certificate))
		if key, err := parseOpenPGPKey(certificate); err == nil {
			fingerprint, _ := hex.DecodeString(key.identity.Hex)
			f.Add(slices.Concat([]byte{9, 9, 9, 2, 8}, fingerprint[12:], length, certificate))
		}
	}
	f.Add([]byte{0, 0, 4, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		key, err := parseCertificate12(body)
		checkRefusal(t, err)
		if err == nil && body[3] == descriptorSubkey && !isKeyIDOf(body[5:13], key.identity) {
			t.Errorf("%v with key ID % x", key.identity, body[5:13])
		}
	})
}

func FuzzServerKeyExchange(f *testing.F) {
	p := new(big.Int).Lsh(big.NewInt(1), minFieldBits-1)
	p.SetBit(p, 0, 1)
	field := binary.BigEndian.AppendUint16(nil, minFieldBits/8)
	field = append(append(field, p.Bytes()...), 0, 1, 2, 0, 1, 3)
	f.Add(append(field, 4, 2, 0, 1, 9), true)
	share, err := newKeyShare(X25519)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slices.Concat([]byte{3, 0, 0x1d, 32}, share.key.PublicKey().Bytes(), []byte{5, 1, 0, 1, 9}), false)
	f.Fuzz(func(t *testing.T, body []byte, isFiniteField bool) {
		suite := TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
		if isFiniteField {
			suite = TLS_DHE_DSS_WITH_AES_256_GCM_SHA384
		}
		message, err := parseServerKeyExchange(body, suite, Groups())
		checkRefusal(t, err)
		if err != nil {
			return
		}
		if len(message.parameters)+4+len(message.signature) != len(body) {
			t.Errorf("%d bytes of parameters and %d of signature in %d", len(message.parameters), len(message.signature), len(body))
		}
		if _, shared, err := message.exchange.agree(false); err != nil {
			checkRefusal(t, err)
		} else if len(shared) == 0 {
			t.Error("an empty shared secret")
		}
	})
}

func FuzzDSASignature(f *testing.F) {
	key, err := parseOpenPGPKey(openPGPCertificate(17, 2048, 256, 2047, 2047))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Add([]byte{0x30, 7, 2, 2, 0, 0x80, 2, 1, 0xff})
	f.Fuzz(func(t *testing.T, signature []byte) {
		if key.validSignature(DSA_SHA256, []byte("content"), signature) {
			t.Errorf("accepts % x", signature)
		}
	})
}

// FuzzSealAndOpen12 is FuzzSealAndOpen for TLS 1.2.
func FuzzSealAndOpen12(f *testing.F) {
	f.Add([]byte("content"), byte(23), uint16(0), uint16(3))
	f.Fuzz(func(t *testing.T, content []byte, typ byte, suite, flip uint16) {
		if len(content) > maxPlaintext {
			return
		}
		suites := ofVersion(VersionTLS12, CipherSuites())
		sender, _, err := keyBlock12(suites[int(suite)%len(suites)], make([]byte, masterSecretLength), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		receiver, attacked := sender, sender
		for range 2 { // the second has another nonce
			record := sender.seal(nil, recordType(typ), content)
			changed := bytes.Clone(record)
			i := int(flip) % len(changed)
			changed[i] ^= 1
			_, _, err := attacked.open(changed[:recordHeaderLength], changed[recordHeaderLength:])
			if isLength := i == 3 || i == 4; err == nil && !isLength { // which the caller has obeyed
				t.Error("a changed record was opened")
			}
			gotType, got, err := receiver.open(record[:recordHeaderLength], record[recordHeaderLength:])
			if err != nil || gotType != recordType(typ) || !bytes.Equal(got, content) {
				t.Errorf("type %d, %d bytes, %v", gotType, len(got), err)
			}
		}
	})
}
