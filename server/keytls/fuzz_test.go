// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// checkRefusal makes sure that what a parser refuses can be told to the peer, in an
// alert that exists.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	alert, ok := errors.AsType[*AlertError](err)
	if err != nil && (!ok || alert.Received || alertNames[alert.Alert] == "" || alert.Reason == "") {
		t.Errorf("refused with %v", err)
	}
}

func FuzzServerHello(f *testing.F) {
	hello := fromHex(f, rfc8448ServerHello)[handshakeHeaderLength:]
	f.Add(hello)
	retry := bytes.Clone(hello)
	copy(retry[2:], helloRetryRequestRandom)
	f.Add(retry)
	f.Add(append(retry[:40:40], 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 23, 0, 44, 0, 3, 0, 1, 7))
	f.Fuzz(func(t *testing.T, body []byte) {
		hello, err := parseServerHello(nil, body)
		checkRefusal(t, err)
		if err != nil {
			return
		}
		version, err := hello.version()
		checkRefusal(t, err)
		if err != nil || version != VersionTLS13 {
			return
		}
		if hello.isHelloRetryRequest() {
			_, err = parseHelloRetryRequest(hello.extensions)
		} else {
			_, _, err = parseServerKeyShare(hello.extensions)
		}
		checkRefusal(t, err)
	})
}

func FuzzEncryptedExtensions(f *testing.F) {
	f.Add([]byte{0, 5, 0, 20, 0, 1, 2})
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		err := parseEncryptedExtensions(body)
		checkRefusal(t, err)
		if err == nil && !bytes.Contains(body, []byte{0, 20, 0, 1, 2}) {
			t.Error("accepted without a raw public key")
		}
	})
}

func FuzzCertificateRequest(f *testing.F) {
	f.Add([]byte{0, 0, 8, 0, 13, 0, 4, 0, 2, 8, 7})
	f.Fuzz(func(t *testing.T, body []byte) { checkRefusal(t, parseCertificateRequest(body)) })
}

func FuzzCertificate(f *testing.F) {
	for _, spki := range []string{ed25519SPKI, p256SPKI, "3043300506032b6571033a00" + strings.Repeat("07", 57)} {
		der := fromHex(f, spki)
		n := byte(len(der))
		f.Add(append(append([]byte{0, 0, 0, n + 5, 0, 0, n}, der...), 0, 0))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		key, err := parseCertificate(body)
		checkRefusal(t, err)
		if err == nil && (len(key.identity.Hex) != 64 || len(key.schemes) == 0 || key.name == "") {
			t.Errorf("key %+v", key)
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	for _, spki := range []string{ed25519SPKI, p256SPKI, "3043300506032b6571033a00" + strings.Repeat("07", 57)} {
		f.Add(fromHex(f, spki))
	}
	modulus := rsaKey(f, minRSABits)
	f.Add(marshalPSSKey(modulus, nil, false))
	for hash := range oidsOfPSSHashes {
		f.Add(marshalPSSKey(modulus, &pssParameters{hash: hash, saltLength: 20}, false))
		f.Add(marshalPSSKey(modulus, &pssParameters{hash: hash, saltLength: 32}, true))
	}
	f.Fuzz(func(t *testing.T, spki []byte) {
		key, err := parsePublicKey(spki)
		if err != nil {
			return
		}
		for _, scheme := range key.schemes {
			if key.validSignature(scheme, []byte("content"), []byte("no signature")) {
				t.Errorf("%s key accepts anything under %v", key.name, scheme)
			}
		}
		if again, err := parsePublicKey(append(bytes.Clone(spki), 0)); err == nil {
			t.Errorf("the same with a byte more is %v", again.identity)
		}
	})
}

func FuzzCertificateVerify(f *testing.F) {
	f.Add([]byte{8, 7, 0, 2, 1, 2})
	f.Fuzz(func(t *testing.T, body []byte) {
		verify, err := parseCertificateVerify(body)
		checkRefusal(t, err)
		if err == nil && len(verify.signature) != len(body)-4 {
			t.Errorf("signature of %d bytes in a body of %d", len(verify.signature), len(body))
		}
	})
}

func FuzzKeyUpdate(f *testing.F) {
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, body []byte) {
		_, err := parseKeyUpdate(body)
		checkRefusal(t, err)
	})
}

func FuzzAlert(f *testing.F) {
	f.Add([]byte{2, 40})
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, record []byte) {
		err := parseAlert(record, generations{rawKeys: true})
		if alert, ok := errors.AsType[*AlertError](err); ok && !alert.Received {
			checkRefusal(t, err)
		}
	})
}

// FuzzRecords feeds bytes to the record layer, before and after keys and the
// handshake, and whatever is in the records to the messages after the handshake.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("SSH-2.0-OpenSSH_9.2\r\n"), false)
	f.Add([]byte{22, 3, 3, 0, 1, 0, 20, 3, 3, 0, 1, 1, 21, 3, 3, 0, 2, 2, 40}, false)
	f.Add([]byte{23, 3, 3, 0, 5, 24, 0, 0, 1, 0}, true)
	f.Fuzz(func(t *testing.T, wire []byte, established bool) {
		c := &Conn{in: receiver{reader: bufio.NewReaderSize(bytes.NewReader(wire), readAhead), established: established}}
		for {
			typ, content, err := c.readRecord()
			if err != nil {
				if err != io.ErrUnexpectedEOF && err != errCloseNotify {
					if alert, ok := errors.AsType[*AlertError](err); !ok || !alert.Received {
						checkRefusal(t, err)
					}
				}
				return
			}
			if len(content) == 0 || len(content) > maxPlaintext || typ != recordHandshake && typ != recordApplicationData {
				t.Fatalf("a record of type %d with %d bytes", typ, len(content))
			}
		}
	})
}

// FuzzSealAndOpen: what is sealed can be opened, and nothing that was changed.
func FuzzSealAndOpen(f *testing.F) {
	f.Add([]byte("content"), byte(23), uint16(0), uint16(3))
	f.Fuzz(func(t *testing.T, content []byte, typ byte, suite, flip uint16) {
		if len(content) > maxPlaintext || typ == 0 {
			return
		}
		var sender, receiver, attacked trafficKeys
		secret := make([]byte, 48)
		suites := ofVersion(VersionTLS13, CipherSuites())
		for _, keys := range []*trafficKeys{&sender, &receiver, &attacked} {
			if err := keys.install(suites[int(suite)%len(suites)], secret); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // the second has another nonce
			record := sender.seal(nil, recordType(typ), content)
			changed := bytes.Clone(record)
			changed[int(flip)%len(changed)] ^= 1
			if _, _, err := attacked.open(changed[:recordHeaderLength], changed[recordHeaderLength:]); err == nil {
				t.Error("a changed record was opened")
			}
			gotType, got, err := receiver.open(record[:recordHeaderLength], record[recordHeaderLength:])
			if err != nil || gotType != recordType(typ) || !bytes.Equal(got, content) {
				t.Errorf("type %d, %d bytes, %v", gotType, len(got), err)
			}
		}
	})
}
