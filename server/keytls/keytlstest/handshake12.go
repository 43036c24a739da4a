// SPDX-License-Identifier: Apache-2.0

package keytlstest

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"

	"mandos/server/keytls"
)

// choose12 settles what an old GnuTLS settles: it follows the order of the client's
// hello and takes what fits its key, but not RSA with SHA-256, X25519 or P-256.
func (h *handshake) choose12() error {
	if !bytes.Contains(h.hello.CertTypes, []byte{1}) {
		return errors.New("client offers no OpenPGP certificates")
	}
	if h.hello.RenegotiationInfo == nil {
		return errors.New("client knows no secure renegotiation")
	}
	suites := []keytls.CipherSuite{0xc030, 0xcca8, 0x009f}
	schemes := []keytls.SignatureScheme{0x0501, 0x0601}
	if h.peer.OpenPGP.isDSA() {
		suites, schemes = []keytls.CipherSuite{0x00a3}, []keytls.SignatureScheme{0x0402}
	}
	h.suite = firstOf(h.peer.CipherSuite, h.hello.CipherSuites, suites)
	h.group = firstOf(h.peer.Group, h.hello.Groups, []keytls.Group{0x0018, 0x0019})
	h.scheme = firstOf(h.peer.SignatureScheme, h.hello.SignatureSchemes, schemes)
	if h.suite == 0 || h.group == 0 && !isDHE(h.suite) || h.scheme == 0 {
		return fmt.Errorf("client offers nothing that this peer accepts: %v, %v, %v", h.suite, h.group, h.scheme)
	}
	h.keys = newSchedule(h.suite)
	return nil
}

// firstOf returns fixed, if there is such, or else the first of offered that is accepted.
func firstOf[T ~uint16](fixed T, offered, accepted []T) T {
	if fixed != 0 {
		return fixed
	}
	for _, candidate := range offered {
		if slices.Contains(accepted, candidate) {
			return candidate
		}
	}
	return 0
}

func isDHE(suite keytls.CipherSuite) bool { return suite == 0x009f || suite == 0x00a3 }

// serve12 is the server's side of a handshake of TLS 1.2 (RFC 5246, section 7.3).
func (h *handshake) serve12() error {
	h.random = make([]byte, 32)
	rand.Read(h.random)
	if h.peer.Random != nil {
		h.peer.Random(h.random)
	}
	h.send(h.serverHello12())
	h.send(NewMessage("Certificate", 11, h.openPGPCertificate()))
	agree, parameters, err := h.keyExchange()
	if err != nil {
		return err
	}
	if h.peer.Parameters != nil {
		parameters = h.peer.Parameters(parameters)
	}
	signature, err := h.sign12(slices.Concat(h.hello.Random, h.random, parameters))
	if err != nil {
		return err
	}
	h.send(NewMessage("ServerKeyExchange", 12, slices.Concat(parameters, signature)))
	h.send(NewMessage("ServerHelloDone", 14, nil))
	h.queueHandshake(h.flight)
	if err := h.flush(); err != nil {
		return err
	}

	clientKeyExchange, err := h.readMessage(16)
	if err != nil {
		return err
	}
	preMaster, err := agree(clientKeyExchange[4:])
	if err != nil {
		return err
	}
	h.transcript.Write(clientKeyExchange)
	seed, label := slices.Concat(h.hello.Random, h.random), "master secret"
	if h.extended() {
		seed, label = h.transcript.Sum(nil), "extended master secret"
	}
	master := h.keys.prf(preMaster, label, seed, 48)
	clientKeys, serverKeys := h.keys.keyBlock(master, slices.Concat(h.random, h.hello.Random))
	if typ, _, err := h.readRecord(); err != nil || typ != ChangeCipherSpec {
		return fmt.Errorf("client sent a record of type %d instead of ChangeCipherSpec: %w", typ, err)
	}
	h.in = clientKeys
	verify := h.keys.prf(master, "client finished", h.transcript.Sum(nil), 12)
	finished, err := h.readMessage(20)
	if err != nil {
		return err
	}
	if !bytes.Equal(finished[4:], verify) {
		return errors.New("client's Finished is wrong")
	}
	h.transcript.Write(finished)

	h.queue(Record{Type: ChangeCipherSpec, Content: []byte{1}})
	h.out = serverKeys
	h.flight = nil
	h.send(NewMessage("Finished", 20, h.keys.prf(master, "server finished", h.transcript.Sum(nil), 12)))
	h.queueHandshake(h.flight)
	return h.flush()
}

// readMessage reads the client's next handshake message, which must be of that type.
func (h *handshake) readMessage(typ byte) ([]byte, error) {
	var raw []byte
	for len(raw) < 4 || len(raw) < 4+int(raw[1])<<16+int(raw[2])<<8+int(raw[3]) {
		recordType, content, err := h.readRecord()
		if err != nil {
			return nil, err
		}
		if recordType != Handshake {
			return nil, fmt.Errorf("client sent a record of type %d instead of handshake message %d", recordType, typ)
		}
		raw = append(raw, content...)
	}
	if raw[0] != typ || len(raw) != 4+int(raw[1])<<16+int(raw[2])<<8+int(raw[3]) {
		return nil, fmt.Errorf("client sent % .20x instead of handshake message %d", raw, typ)
	}
	return raw, nil
}

func (h *handshake) extended() bool {
	return h.hello.ExtendedMasterSecret && !h.peer.NoExtendedMasterSecret
}

func (h *handshake) serverHello12() Message {
	var extensions []byte
	if h.extended() {
		extensions = append(extensions, 0, 23, 0, 0)
	}
	extensions = append(extensions, 0, 9, 0, 1, 1, 0xff, 1, 0, 1, 0)
	if !isDHE(h.suite) {
		extensions = append(extensions, 0, 11, 0, 2, 1, 0)
	}
	sessionID := make([]byte, 32)
	rand.Read(sessionID)
	if h.peer.Resume {
		sessionID = h.hello.SessionID
	}
	body := slices.Concat([]byte{3, 3}, h.random, []byte{32}, sessionID,
		[]byte{byte(h.suite >> 8), byte(h.suite), 0, 0, byte(len(extensions))}, extensions)
	return NewMessage("ServerHello", 2, body)
}

// openPGPCertificate is the body of a Certificate message as GnuTLS writes it: with a
// length in front that is wrong by seven, and with the signing key's ID or, as
// GnuTLS 2 has it, without.
func (h *handshake) openPGPCertificate() []byte {
	key := h.peer.OpenPGP
	descriptor := append([]byte{2, 8}, key.fingerprint[len(key.fingerprint)-8:]...)
	if h.peer.NoSubkeyID {
		descriptor = []byte{1}
	}
	descriptor = append(descriptor, uint24(len(key.certificate))...)
	wrong := len(descriptor) + len(key.certificate) - 7
	return slices.Concat(uint24(wrong), descriptor, key.certificate)
}

func uint24(n int) []byte { return []byte{byte(n >> 16), byte(n >> 8), byte(n)} }

// sign12 is the signature in a ServerKeyExchange.
func (h *handshake) sign12(content []byte) ([]byte, error) {
	scheme := h.scheme
	var signature []byte
	var err error
	if h.peer.Sign != nil {
		scheme, signature = h.peer.Sign(content)
	} else {
		signature, err = h.peer.OpenPGP.Sign(scheme, content)
	}
	header := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, uint16(scheme)), uint16(len(signature)))
	return append(header, signature...), err
}

// keyExchange returns the parameters to send, and what makes the secret of the body
// of the client's ClientKeyExchange.
func (h *handshake) keyExchange() (agree func(body []byte) ([]byte, error), parameters []byte, err error) {
	if isDHE(h.suite) {
		return h.finiteField()
	}
	curve := curves[h.group]
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	point := key.PublicKey().Bytes()
	parameters = append([]byte{3, byte(h.group >> 8), byte(h.group), byte(len(point))}, point...)
	return func(body []byte) ([]byte, error) { return agreeOnCurve(key, body) }, parameters, nil
}

func agreeOnCurve(key *ecdh.PrivateKey, body []byte) ([]byte, error) {
	s := &scanner{rest: body}
	public, err := key.Curve().NewPublicKey(s.vector(1))
	if err != nil || s.failed || len(s.rest) > 0 {
		return nil, fmt.Errorf("client sent ClientKeyExchange % x: %w", body, err)
	}
	return key.ECDH(public)
}

// Field is a group for a key exchange in a finite field.
type Field struct{ P, G *big.Int }

// field2048 is a group as GnuTLS makes them: its prime is not a safe one.
var field2048 = sync.OnceValue(func() *Field {
	return &Field{P: must(rand.Prime(rand.Reader, 2048)), G: big.NewInt(5)}
})

func (h *handshake) finiteField() (func([]byte) ([]byte, error), []byte, error) {
	field := h.peer.Field
	if field == nil {
		field = field2048()
	}
	exponent, err := rand.Int(rand.Reader, field.P)
	if err != nil {
		return nil, nil, err
	}
	var parameters []byte
	for _, number := range []*big.Int{field.P, field.G, new(big.Int).Exp(field.G, exponent, field.P)} {
		parameters = binary.BigEndian.AppendUint16(parameters, uint16(len(number.Bytes())))
		parameters = append(parameters, number.Bytes()...)
	}
	return func(body []byte) ([]byte, error) {
		s := &scanner{rest: body}
		public := new(big.Int).SetBytes(s.vector(2))
		if s.failed || len(s.rest) > 0 || public.Cmp(big.NewInt(1)) <= 0 || public.Cmp(field.P) >= 0 {
			return nil, fmt.Errorf("client sent ClientKeyExchange % x", body)
		}
		return public.Exp(public, exponent, field.P).Bytes(), nil
	}, parameters, nil
}
