// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"context"
	"crypto/dsa" //lint:ignore SA1019 see dsaKey
	"crypto/ecdh"
	"crypto/rsa"
	"crypto/x509"
	"errors"

	"golang.org/x/crypto/cryptobyte"
)

// HandshakeAsAlways does a handshake with a hello that is always the same, so that
// a recorded answer fits it.
func (c *Conn) HandshakeAsAlways(ctx context.Context) (Identity, error) {
	key, err := ecdh.X25519().NewPrivateKey([]byte("the private key is no secret at "))
	if err != nil {
		return Identity{}, err
	}
	hello := &clientHello{
		random:    make([]byte, 32),
		sessionID: make([]byte, 32),
		suites:    ofVersion(VersionTLS13, CipherSuites()),
		groups:    Groups(),
		schemes:   ofVersion(VersionTLS13, SignatureSchemes()),
		share:     &keyShare{X25519, key},
	}
	if c.config.OpenPGP != nil && c.config.OpenPGP() {
		hello.openPGP = &openPGPOffer{ofVersion(VersionTLS12, CipherSuites()), ofVersion(VersionTLS12, SignatureSchemes())}
	}
	return c.handshakeWith(ctx, hello)
}

// HandshakeWithX509 does a handshake of TLS 1.2 with a peer that has an X.509
// certificate, of which only the key counts: such peers there are to test the
// rest of the handshake with. The configuration must not offer TLS 1.3.
func (c *Conn) HandshakeWithX509() error {
	hello, err := newClientHello(c.config)
	if err != nil {
		return err
	}
	h := &handshake12{c: c, hello: hello, rawHello: hello.marshal(), known: true}
	if err := c.writeFlight(false, h.rawHello); err != nil {
		return err
	}
	answer, err := c.readServerHello()
	if err != nil {
		return err
	}
	answer.extensions[extensionCertificateType] = []byte{certificateTypeOpenPGP}
	for _, step := range []func() error{
		func() error { return h.obeyServerHello(answer) },
		h.readX509Certificate,
		h.readServerKeyExchange,
		h.readServerHelloDone,
		h.agreeOnKeys,
		h.readFinished,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	c.in.established, c.out.permission = true, mayWrite
	return nil
}

func (h *handshake12) readX509Certificate() error {
	message, err := h.c.readHandshake(typeCertificate)
	if err != nil {
		return err
	}
	h.transcript.Write(message.raw)
	in := cryptobyte.String(message.body)
	var list, der cryptobyte.String
	if !in.ReadUint24LengthPrefixed(&list) || !list.ReadUint24LengthPrefixed(&der) {
		return errDecode("Certificate")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	switch public := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		h.key = &publicKey{name: "RSA", key: public, schemes: rsaPKCS1Schemes}
	case *dsa.PublicKey:
		h.key, err = newDSAKey(public)
	default:
		err = errors.New("neither RSA nor DSA")
	}
	return err
}

// ExhaustWriteKeys makes as if the write keys had protected all records but one that
// they may.
func (c *Conn) ExhaustWriteKeys() { c.out.keys.sequence = maxRecordsPerKey - 1 }

// ExhaustReadKeys makes as if the read keys had opened all records that they may.
func (c *Conn) ExhaustReadKeys() { c.in.keys.sequence = maxRecordsPerKey }
