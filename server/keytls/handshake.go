// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// handshakeType is the type of a handshake message (RFC 8446, section 4).
type handshakeType uint8

const (
	typeClientHello         handshakeType = 1
	typeServerHello         handshakeType = 2
	typeNewSessionTicket    handshakeType = 4
	typeEncryptedExtensions handshakeType = 8
	typeCertificate         handshakeType = 11
	typeServerKeyExchange   handshakeType = 12
	typeCertificateRequest  handshakeType = 13
	typeServerHelloDone     handshakeType = 14
	typeCertificateVerify   handshakeType = 15
	typeClientKeyExchange   handshakeType = 16
	typeFinished            handshakeType = 20
	typeKeyUpdate           handshakeType = 24
	typeMessageHash         handshakeType = 254
)

// String returns the RFC's name.
func (t handshakeType) String() string {
	switch t {
	case typeClientHello:
		return "ClientHello"
	case typeServerHello:
		return "ServerHello"
	case typeNewSessionTicket:
		return "NewSessionTicket"
	case typeEncryptedExtensions:
		return "EncryptedExtensions"
	case typeCertificate:
		return "Certificate"
	case typeServerKeyExchange:
		return "ServerKeyExchange"
	case typeCertificateRequest:
		return "CertificateRequest"
	case typeServerHelloDone:
		return "ServerHelloDone"
	case typeCertificateVerify:
		return "CertificateVerify"
	case typeFinished:
		return "Finished"
	case typeKeyUpdate:
		return "KeyUpdate"
	}
	return fmt.Sprintf("handshake message of type %d", uint8(t))
}

const (
	handshakeHeaderLength = 4
	// maxHandshakeMessage bounds a message's body in bytes. The largest honest
	// one is a Certificate with an RSA key of 8,192 bits, about 1 kB.
	maxHandshakeMessage = 1 << 14
	// maxOpenPGPCertificate bounds a Certificate with an OpenPGP certificate,
	// in which there may be any number of user IDs and signatures.
	maxOpenPGPCertificate = 1 << 16
)

// Handshake sends our ClientHello and runs the handshake. It must be called once.
//
// If ctx ends before it is done, the connection beneath is closed and the error
// wraps the context's cause. Faults of the peer are answered with an alert and
// returned as an [AlertError]. If the connection ends early the error wraps
// io.ErrUnexpectedEOF. The identity is returned together with any error that
// happens after it is known; the peer has proved it only if the error is nil.
//
// [ErrUnknownKey] means that the handshake was completed, and that nothing can be
// written to this peer: only CloseWrite, Read and Close remain.
func (c *Conn) Handshake(ctx context.Context) (Identity, error) {
	hello, err := apart(func() (*clientHello, error) { return newClientHello(c.config) })
	if err != nil {
		return Identity{}, err
	}
	return c.handshakeWith(ctx, hello)
}

// handshakeWith is Handshake with a hello that is given.
func (c *Conn) handshakeWith(ctx context.Context, hello *clientHello) (Identity, error) {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	identity, permission, err := c.greet(hello)
	if !stop() {
		if err == nil {
			err = net.ErrClosed // it was too late by a hair
		}
		err = fmt.Errorf("handshake given up: %w: %w", context.Cause(ctx), err)
	}
	if err != nil {
		c.sendAlertFor(err)
		return identity, err
	}
	c.in.established = true
	c.out.mu.Lock()
	c.out.permission = permission
	c.out.mu.Unlock()
	if permission != mayWrite {
		return identity, ErrUnknownKey
	}
	return identity, nil
}

// greet exchanges the hellos and goes on with the protocol version that the peer
// has chosen.
func (c *Conn) greet(hello *clientHello) (Identity, permission, error) {
	c.offered = hello.generations()
	raw := hello.marshal()
	if err := c.writeFlight(false, raw); err != nil {
		return Identity{}, mayNotWrite, err
	}
	answer, err := c.readServerHello()
	if err != nil {
		return Identity{}, mayNotWrite, c.explainNoAnswer(err)
	}
	version, err := answer.version()
	if err != nil {
		return Identity{}, mayNotWrite, err
	}
	switch {
	case version == VersionTLS13 && len(hello.suites) > 0:
		h := &handshake13{c: c, hello: hello, rawHello: raw}
		permission, err := h.run(answer)
		return h.identity, permission, err
	case version == VersionTLS12 && hello.openPGP != nil:
		h := &handshake12{c: c, hello: hello, rawHello: raw}
		permission, err := h.run(answer)
		return h.identity, permission, err
	}
	return Identity{}, mayNotWrite, hello.errVersion(version)
}

func (c *Conn) readServerHello() (*serverHello, error) {
	message, err := c.readHandshake(typeServerHello)
	if err != nil {
		return nil, err
	}
	return parseServerHello(message.raw, message.body)
}

// errVersion refuses a protocol version. The downgrade sentinel (section 4.1.3)
// needs no look: the version is refused with it and without.
func (h *clientHello) errVersion(version Version) error {
	switch {
	case version >= VersionTLS13:
		return fatal(AlertIllegalParameter, "peer chose %v, which we did not offer", version)
	case h.openPGP == nil:
		return fatal(AlertProtocolVersion, "peer chose %v and only TLS 1.3 is spoken here: upgrade the peer", version)
	}
	return fatal(AlertProtocolVersion, "peer chose %v, which RFC 8996 forbids: %s", version, upgradeOldClient)
}

// What to do about clients that nothing in our hello is for.
const (
	// upgradeOldClient is for those without TLS 1.2 and AES-256-GCM.
	upgradeOldClient = "upgrade it to a mandos-client with GnuTLS 3.1 or later"
	// cureDSAClient is for those with a DSA key, which refuse by themselves what
	// their key needs.
	cureDSAClient = "if its OpenPGP key is a DSA key, give it an RSA key, or run its mandos-client, with GnuTLS 3.2.5 to 3.5, " +
		"with --dh-bits=2048 and its --priority followed by :+DHE-DSS:+SIGN-DSA-SHA256"
)

// explainNoAnswer adds to the error of a peer that does not answer our hello what
// is known of such peers. A Mandos client closes the connection without an alert.
func (c *Conn) explainNoAnswer(err error) error {
	alert, isAlert := errors.AsType[*AlertError](err)
	refused := isAlert && alert.Received && (alert.Alert == AlertHandshakeFailure || alert.Alert == AlertProtocolVersion)
	switch {
	case !refused && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case refused && c.in.recordVersion < VersionTLS12:
		return fmt.Errorf("peer speaks %v, which RFC 8996 forbids: %s: %w", c.in.recordVersion, upgradeOldClient, err)
	case c.offered.openPGP:
		return fmt.Errorf("%w; if it is a client of before 2013, without TLS 1.2 and AES-256-GCM, %s; %s", err, upgradeOldClient, cureDSAClient)
	case c.config.OpenPGP == nil:
		return fmt.Errorf("%w; if it is a client with an OpenPGP key, as those of before 2019 are, it cannot be served: the priority leaves no OpenPGP certificates", err)
	}
	return fmt.Errorf("%w; if it is a client with an OpenPGP key, as those of before 2019 are, it needs an entry with its fingerprint and without key_id", err)
}

// handshakeMessage is a received message: raw is the whole, body what follows
// the header.
type handshakeMessage struct {
	typ  handshakeType
	raw  []byte
	body []byte
}

// readHandshake returns the next message, which must be of one of the types
// expected. It stays valid.
func (c *Conn) readHandshake(expected ...handshakeType) (*handshakeMessage, error) {
	for {
		message, err := c.in.nextHandshake(expected...)
		if message != nil || err != nil {
			return message, err
		}
		typ, content, err := c.readRecord()
		if err != nil {
			return nil, waitingFor(expected, err)
		}
		if typ != recordHandshake {
			return nil, fatal(AlertUnexpectedMessage, "peer sent a record of type %d instead of %s", uint8(typ), oneOf(expected))
		}
		c.in.handshake = append(c.in.handshake, content...)
	}
}

// nextHandshake takes a message from what has been received, or returns nil if it
// is not complete yet. What is not expected, or too long, is refused as soon as
// its header is here.
func (r *receiver) nextHandshake(expected ...handshakeType) (*handshakeMessage, error) {
	in := cryptobyte.String(r.handshake)
	var typ uint8
	if in.ReadUint8(&typ) && !slices.Contains(expected, handshakeType(typ)) {
		return nil, fatal(AlertUnexpectedMessage, "peer sent %v instead of %s", handshakeType(typ), oneOf(expected))
	}
	var length uint32
	if !in.ReadUint24(&length) {
		return nil, nil
	}
	limit := uint32(maxHandshakeMessage)
	if r.tls12 && handshakeType(typ) == typeCertificate {
		limit = maxOpenPGPCertificate
	}
	if length > limit {
		return nil, fatal(AlertDecodeError, "peer sent a %v of %d bytes, more than %d", handshakeType(typ), length, limit)
	}
	if int(length) > len(in) {
		return nil, nil
	}
	size := handshakeHeaderLength + int(length)
	message := &handshakeMessage{typ: handshakeType(typ), raw: r.handshake[:size:size], body: r.handshake[handshakeHeaderLength:size:size]}
	if r.handshake = r.handshake[size:]; len(r.handshake) == 0 {
		r.handshake = nil
	}
	return message, nil
}

// endsRecord makes sure that nothing follows a message in its record: messages
// before a key change "MUST align with a record boundary" (section 5.1), and
// nothing can follow a HelloRetryRequest before we have answered it.
func (r *receiver) endsRecord(name string) error {
	if len(r.handshake) > 0 {
		return fatal(AlertUnexpectedMessage, "peer sent more in the record of its %s, of which that must be the end", name)
	}
	return nil
}

// waitingFor adds to an error of the connection what we were waiting for.
func waitingFor(expected []handshakeType, err error) error {
	if errors.Is(err, errCloseNotify) {
		return fmt.Errorf("peer sent close_notify instead of %s: %w", oneOf(expected), io.ErrUnexpectedEOF)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("peer closed the connection instead of sending %s; its own log may say why: %w", oneOf(expected), err)
	}
	if _, alert := errors.AsType[*AlertError](err); alert {
		return err
	}
	return fmt.Errorf("waiting for %s: %w", oneOf(expected), err)
}

// oneOf lists message types for people.
func oneOf(types []handshakeType) string {
	names := make([]string, len(types))
	for i, typ := range types {
		names[i] = typ.String()
	}
	return strings.Join(names, " or ")
}

// marshalHandshake encodes a handshake message.
func marshalHandshake(typ handshakeType, body cryptobyte.BuilderContinuation) []byte {
	var b cryptobyte.Builder
	b.AddUint8(uint8(typ))
	b.AddUint24LengthPrefixed(body)
	return b.BytesOrPanic()
}

// writeFlight sends handshake messages in as few writes and records as possible.
// "The client sends a dummy change_cipher_spec record immediately before its second
// flight" (appendix D.4): secondFlight says whether this is it.
func (c *Conn) writeFlight(secondFlight bool, messages []byte) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	var records []byte
	if secondFlight {
		records = append(appendHeader(records, recordChangeCipherSpec, 1), 1)
	}
	for chunk := range slices.Chunk(messages, maxPlaintext) {
		records = c.out.keys.seal(records, recordHandshake, chunk)
	}
	return c.writeRaw(records)
}

// apart runs arithmetic on a goroutine of its own. It needs several kilobytes of
// stack, which the calling goroutine would keep while it waits for the peer;
// this one gives them back at once.
func apart[T any](arithmetic func() (T, error)) (result T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		result, err = arithmetic()
	}()
	<-done
	return result, err
}
