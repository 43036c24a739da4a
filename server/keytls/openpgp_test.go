// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// openPGPKeys are made by gpg once for all tests.
var openPGPKeys = func() map[keytlstest.OpenPGPKind]func() (*keytlstest.OpenPGPKey, error) {
	keys := make(map[keytlstest.OpenPGPKind]func() (*keytlstest.OpenPGPKey, error))
	for _, kind := range []keytlstest.OpenPGPKind{keytlstest.OpenPGPRSA2048, keytlstest.OpenPGPRSA4096, keytlstest.OpenPGPDSA2048, keytlstest.OpenPGPDSA1024} {
		keys[kind] = sync.OnceValues(func() (*keytlstest.OpenPGPKey, error) { return keytlstest.NewOpenPGPKey(kind) })
	}
	return keys
}()

func openPGPKey(t testing.TB, kind keytlstest.OpenPGPKind) *keytlstest.OpenPGPKey {
	t.Helper()
	key, err := openPGPKeys[kind]()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestOldPeersThatAreServed(t *testing.T) {
	type peer = keytlstest.Peer
	state := keytls.State{Version: keytls.VersionTLS12, CipherSuite: keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, Group: keytls.SECP384R1, SignatureScheme: keytls.RSA_PKCS1_SHA384}
	with := func(change func(*keytls.State)) keytls.State {
		changed := state
		change(&changed)
		return changed
	}
	chacha := with(func(s *keytls.State) { s.CipherSuite = keytls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 })
	dheRSA := with(func(s *keytls.State) { s.CipherSuite, s.Group = keytls.TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, 0 })
	dheDSS := with(func(s *keytls.State) {
		s.CipherSuite, s.Group, s.SignatureScheme = keytls.TLS_DHE_DSS_WITH_AES_256_GCM_SHA384, 0, keytls.DSA_SHA256
	})
	for name, test := range map[string]struct {
		kind   keytlstest.OpenPGPKind
		peer   peer
		config keytls.Config
		want   keytls.State
	}{
		"GnuTLS 3.5 with RSA-4096":                   {kind: keytlstest.OpenPGPRSA4096, want: state},
		"GnuTLS 3.5 with RSA-2048":                   {kind: keytlstest.OpenPGPRSA2048, want: state},
		"GnuTLS 3.3, without extended master secret": {kind: keytlstest.OpenPGPRSA2048, peer: peer{NoExtendedMasterSecret: true}, want: state},
		"a certificate without a subkey's ID":        {kind: keytlstest.OpenPGPRSA2048, peer: peer{NoSubkeyID: true}, want: state},
		"P-521":                                      {kind: keytlstest.OpenPGPRSA2048, peer: peer{Group: keytls.SECP521R1}, want: with(func(s *keytls.State) { s.Group = keytls.SECP521R1 })},
		"P-256":                                      {kind: keytlstest.OpenPGPRSA2048, peer: peer{Group: keytls.SECP256R1}, want: with(func(s *keytls.State) { s.Group = keytls.SECP256R1 })},
		"X25519":                                     {kind: keytlstest.OpenPGPRSA2048, peer: peer{Group: keytls.X25519}, want: with(func(s *keytls.State) { s.Group = keytls.X25519 })},
		"SHA-512":                                    {kind: keytlstest.OpenPGPRSA2048, peer: peer{SignatureScheme: keytls.RSA_PKCS1_SHA512}, want: with(func(s *keytls.State) { s.SignatureScheme = keytls.RSA_PKCS1_SHA512 })},
		"SHA-256":                                    {kind: keytlstest.OpenPGPRSA2048, peer: peer{SignatureScheme: keytls.RSA_PKCS1_SHA256}, want: with(func(s *keytls.State) { s.SignatureScheme = keytls.RSA_PKCS1_SHA256 })},
		"ChaCha20":                                   {kind: keytlstest.OpenPGPRSA2048, peer: peer{CipherSuite: chacha.CipherSuite}, want: chacha},
		"ChaCha20 without extended master secret":     {kind: keytlstest.OpenPGPRSA2048, peer: peer{CipherSuite: chacha.CipherSuite, NoExtendedMasterSecret: true}, want: chacha},
		"a group of its own":                          {kind: keytlstest.OpenPGPRSA2048, peer: peer{CipherSuite: dheRSA.CipherSuite}, want: dheRSA},
		"DSA":                                         {kind: keytlstest.OpenPGPDSA2048, peer: peer{NoExtendedMasterSecret: true}, want: dheDSS},
		"DSA with SHA-512, cut to its subgroup":       {kind: keytlstest.OpenPGPDSA2048, peer: peer{SignatureScheme: keytls.DSA_SHA512}, want: with(func(s *keytls.State) { *s = dheDSS; s.SignatureScheme = keytls.DSA_SHA512 })},
		"all messages in one record":                  {kind: keytlstest.OpenPGPRSA2048, peer: peer{Coalesce: true}, want: state},
		"one byte in each record":                     {kind: keytlstest.OpenPGPRSA2048, peer: peer{RecordSize: 1}, want: state},
		"a warning on the way":                        {kind: keytlstest.OpenPGPRSA2048, peer: peer{Record: before(0, keytlstest.Record{Type: keytlstest.AlertRecord, Content: []byte{1, 90}})}, want: state},
		"an old version in its first record":          {kind: keytlstest.OpenPGPRSA2048, peer: peer{Wire: oldRecordVersion()}, want: state},
		"when only OpenPGP certificates are wanted":   {kind: keytlstest.OpenPGPRSA2048, config: keytls.Config{CipherSuites: []keytls.CipherSuite{state.CipherSuite}}, want: state},
		"a peer that could do TLS 1.3 if asked":       {kind: keytlstest.OpenPGPRSA2048, peer: peer{Random: endWith("DOWNGRD\x01")}, config: keytls.Config{CipherSuites: []keytls.CipherSuite{state.CipherSuite}}, want: state},
		"no formats of points":                        {kind: keytlstest.OpenPGPRSA2048, peer: peer{Message: edit("ServerHello", withoutPointFormats)}, want: state},
		"a certificate that takes many records":       {kind: keytlstest.OpenPGPRSA2048, peer: peer{Message: edit("Certificate", withUserAttribute(60_000))}, want: state},
		"a primary key with a header in the new form": {kind: keytlstest.OpenPGPRSA2048, peer: peer{Message: edit("Certificate", withNewFormat)}, want: state},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.peer.OpenPGP = openPGPKey(t, test.kind)
			test.config.OpenPGP = always
			m := meet(t, &test.peer, &test.config)
			if m.err != nil || m.serverErr != nil {
				t.Fatalf("handshake: client %v, server %v", m.err, m.serverErr)
			}
			if want := (keytls.Identity{Kind: keytls.Fingerprint, Hex: test.peer.OpenPGP.Fingerprint()}); m.identity != want {
				t.Errorf("identity %v, want %v", m.identity, want)
			}
			if got := m.client.ConnectionState(); got != test.want {
				t.Errorf("state %+v, want %+v", got, test.want)
			}
			exchangeSecret(t, m)
		})
	}
}

func endWith(end string) func([]byte) {
	return func(b []byte) { copy(b[len(b)-len(end):], end) }
}

// withoutPointFormats cuts ec_point_formats, the last extension, off a ServerHello.
func withoutPointFormats(body []byte) []byte {
	body[offsetExtensions-1] -= 6
	return body[:len(body)-6]
}

// Offsets in the body of a Certificate message with a subkey's ID.
const (
	offsetDescriptor        = 3
	offsetSubkeyID          = offsetDescriptor + 2
	offsetCertificateLength = offsetSubkeyID + 8
	offsetCertificate       = offsetCertificateLength + 3
)

// certificateOf puts a certificate in place of that in a Certificate message.
func certificateOf(certificate []byte) func([]byte) []byte {
	return func(body []byte) []byte {
		n := len(certificate)
		return slices.Concat(body[:offsetCertificateLength], []byte{byte(n >> 16), byte(n >> 8), byte(n)}, certificate)
	}
}

// withUserAttribute adds a packet of n bytes, such as a portrait, to a certificate.
func withUserAttribute(n int) func([]byte) []byte {
	return func(body []byte) []byte {
		attribute := append([]byte{0xc0 | 17, 255, 0, 0, byte(n >> 8), byte(n)}, make([]byte, n)...)
		return certificateOf(append(body[offsetCertificate:], attribute...))(body)
	}
}

// withNewFormat writes the header of the primary key in the new format.
func withNewFormat(body []byte) []byte {
	n := int(body[offsetCertificate+1])<<8 + int(body[offsetCertificate+2]) - 192
	certificate := slices.Clone(body[offsetCertificate:])
	copy(certificate, []byte{0xc0 | 6, byte(n>>8) + 192, byte(n)})
	return certificateOf(certificate)(body)
}

// TestDSASignaturesOfAllShapes: one in two of a signature's numbers begins with a bit
// that GnuTLS makes look like a sign.
func TestDSASignaturesOfAllShapes(t *testing.T) {
	peer := &keytlstest.Peer{OpenPGP: openPGPKey(t, keytlstest.OpenPGPDSA2048)}
	for range 8 {
		if m := meet(t, peer, &keytls.Config{OpenPGP: always}); m.err != nil {
			t.Fatal(m.err)
		}
	}
}

func TestUnknownFingerprintGetsACompleteHandshakeAndNothingElse(t *testing.T) {
	composite := new(big.Int).Lsh(big.NewInt(1), 8191)
	composite.Add(composite, big.NewInt(15)) // of 8,192 bits
	for name, test := range map[string]struct {
		kind keytlstest.OpenPGPKind
		peer keytlstest.Peer
	}{
		"with a good signature": {kind: keytlstest.OpenPGPRSA2048},
		"with a bad signature, which is not looked at": {kind: keytlstest.OpenPGPRSA4096, peer: keytlstest.Peer{
			Sign: func([]byte) (keytls.SignatureScheme, []byte) { return keytls.RSA_PKCS1_SHA384, make([]byte, 512) }}},
		"with DSA":                          {kind: keytlstest.OpenPGPDSA2048},
		"with a modulus that is no prime":   {kind: keytlstest.OpenPGPDSA2048, peer: keytlstest.Peer{Field: &keytlstest.Field{P: composite, G: big.NewInt(2)}}},
		"without an extended master secret": {kind: keytlstest.OpenPGPDSA2048, peer: keytlstest.Peer{NoExtendedMasterSecret: true}},
	} {
		t.Run(name, func(t *testing.T) {
			test.peer.OpenPGP = openPGPKey(t, test.kind)
			var asked []keytls.Identity
			m := meet(t, &test.peer, &keytls.Config{OpenPGP: always, Known: func(i keytls.Identity) bool {
				asked = append(asked, i)
				return false
			}})
			if !errors.Is(m.err, keytls.ErrUnknownKey) || m.serverErr != nil {
				t.Fatalf("handshake: client %v, server %v", m.err, m.serverErr)
			}
			if m.identity.Hex != test.peer.OpenPGP.Fingerprint() || !slices.Equal(asked, []keytls.Identity{m.identity}) {
				t.Errorf("identity %v, asked for %v", m.identity, asked)
			}
			partsWithNothing(t, m.client, m.server)
		})
	}
}

// TestHelloByteForByte: without OpenPGP certificates there is nothing of TLS 1.2 in
// the hello; with them there is all that GnuTLS 3.1 to 3.5 needs to see.
func TestHelloByteForByte(t *testing.T) {
	const (
		random    = "0000000000000000000000000000000000000000000000000000000000000000"
		sessionID = "20 0000000000000000000000000000000000000000000000000000000000000000"
		rawKeys   = "0014 0002 01 02"
		groups    = "000a 000a 0008 001d 0017 0018 0019"
		schemes13 = "0807 0808 0403 0503 0603 0809 080a 080b 0804 0805 0806"
		keyShare  = "0033 0026 0024 001d 0020 4cd48ecabf738ba8ae2ee88b192c349abaa6f6b46afeb67c9b89bc44a5e69724"
	)
	for name, test := range map[string]struct {
		config keytls.Config
		want   []string
	}{
		"raw public keys alone": {keytls.Config{}, []string{
			"16 0303 00b4 01 0000b0 0303", random, sessionID,
			"0006 1301 1302 1303", "01 00",
			"0061", rawKeys, groups,
			"000d 0018 0016", schemes13,
			"002b 0003 02 0304",
			keyShare,
		}},
		"raw public keys and OpenPGP certificates": {keytls.Config{OpenPGP: always}, []string{
			"16 0303 00df 01 0000db 0303", random, sessionID,
			"000e 1301 1302 1303 c030 cca8 009f 00a3", "01 00",
			"0084", rawKeys, groups,
			"000d 0024 0022", schemes13, "0501 0601 0401 0402 0502 0602",
			"002b 0005 04 0304 0303",
			"0009 0002 01 01", // cert_type: OpenPGP
			"000b 0002 01 00", // ec_point_formats: uncompressed
			"0017 0000",       // extended_master_secret
			"ff01 0001 00",    // renegotiation_info
			keyShare,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			wire := replayOf(nil)
			if _, err := keytls.Client(wire, &test.config).HandshakeAsAlways(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(err)
			}
			if want := fromHex(strings.Join(test.want, "")); !bytes.Equal(wire.written.Bytes(), want) {
				t.Errorf("sent % x\nwant % x", wire.written.Bytes(), want)
			}
		})
	}
}

func TestHelloWithoutRawPublicKeys(t *testing.T) {
	config := &keytls.Config{CipherSuites: []keytls.CipherSuite{keytls.TLS_DHE_DSS_WITH_AES_256_GCM_SHA384}, OpenPGP: always}
	m := meet(t, &keytlstest.Peer{OpenPGP: openPGPKey(t, keytlstest.OpenPGPDSA2048)}, config)
	if m.err != nil {
		t.Fatal(m.err)
	}
	hello := m.server.Hello()
	if want := []uint16{10, 13, 43, 9, 11, 23, 0xff01}; !slices.Equal(hello.Extensions, want) {
		t.Errorf("extensions %v, want %v", hello.Extensions, want)
	}
	if !slices.Equal(hello.Versions, []keytls.Version{keytls.VersionTLS12}) || hello.CertificateTypes != nil || hello.Shares != nil {
		t.Errorf("versions %v, certificate types %v, shares %v", hello.Versions, hello.CertificateTypes, hello.Shares)
	}
}
