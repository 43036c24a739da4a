// SPDX-License-Identifier: Apache-2.0

package keytlstest

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"mandos/server/keytls"
)

var curves = map[keytls.Group]ecdh.Curve{
	keytls.X25519: ecdh.X25519(), keytls.SECP256R1: ecdh.P256(),
	keytls.SECP384R1: ecdh.P384(), keytls.SECP521R1: ecdh.P521(),
}

var suites = []keytls.CipherSuite{
	keytls.TLS_AES_128_GCM_SHA256, keytls.TLS_AES_256_GCM_SHA384, keytls.TLS_CHACHA20_POLY1305_SHA256,
}

// handshake is the state of the server's side of a handshake.
type handshake struct {
	*Conn
	suite      keytls.CipherSuite
	group      keytls.Group
	scheme     keytls.SignatureScheme // of TLS 1.2
	random     []byte                 // of TLS 1.2
	transcript hash.Hash
	flight     []byte // messages waiting to be put into records together
}

// Handshake does the server's side of a handshake. It fails if the client sends an
// alert or does not keep to the RFC.
func (c *Conn) Handshake() error {
	h := &handshake{Conn: c}
	if err := h.readHello(); err != nil {
		return err
	}
	if c.peer.OpenPGP != nil {
		if err := h.choose12(); err != nil {
			return err
		}
		h.transcript = c.keys.newHash()
		h.transcript.Write(c.hello.Raw)
		return h.serve12()
	}
	if err := h.choose(); err != nil {
		return err
	}
	h.transcript = c.keys.newHash()
	if err := h.retry(); err != nil {
		return err
	}
	h.transcript.Write(c.hello.Raw)
	return h.serve()
}

// readHello reads a ClientHello, which may span records.
func (h *handshake) readHello() error {
	raw, err := h.readMessage(1)
	if err != nil {
		return err
	}
	hello, err := parseClientHello(raw)
	if err != nil {
		return err
	}
	h.hello = hello
	return nil
}

// choose settles the cipher suite and the group.
func (h *handshake) choose() error {
	if !slices.Contains(h.hello.Versions, keytls.VersionTLS13) || !slices.Contains(h.hello.CertificateTypes, 2) {
		return errors.New("client offers no TLS 1.3 with raw public keys")
	}
	h.suite = h.peer.CipherSuite
	for _, suite := range h.hello.CipherSuites {
		if h.suite == 0 && slices.Contains(suites, suite) {
			h.suite = suite
		}
	}
	if !slices.Contains(h.hello.CipherSuites, h.suite) {
		return fmt.Errorf("client does not offer %v", h.suite)
	}
	h.group = h.peer.Group
	if h.group == 0 && len(h.hello.Shares) > 0 {
		h.group = h.hello.Shares[0].Group
	}
	if !slices.Contains(h.hello.Groups, h.group) {
		return fmt.Errorf("client does not offer %v", h.group)
	}
	h.keys = newSchedule(h.suite)
	return nil
}

// retry sends a HelloRetryRequest if one is needed, and reads the second hello.
func (h *handshake) retry() error {
	_, shared := h.hello.share(h.group)
	if shared && h.peer.Cookie == nil {
		return nil
	}
	extensions := []byte{0, 43, 0, 2, 3, 4}
	if !shared {
		extensions = append(extensions, 0, 51, 0, 2, byte(h.group>>8), byte(h.group))
	}
	if n := len(h.peer.Cookie); n > 0 {
		extensions = append(extensions, 0, 44, byte((n+2)>>8), byte(n+2), byte(n>>8), byte(n))
		extensions = append(extensions, h.peer.Cookie...)
	}
	first := h.hello
	digest := h.keys.newHash()
	digest.Write(first.Raw)
	h.transcript.Write([]byte{254, 0, 0, byte(digest.Size())})
	h.transcript.Write(digest.Sum(nil))
	random := sha256.Sum256([]byte("HelloRetryRequest"))
	h.send(h.serverHello("HelloRetryRequest", random[:], extensions))
	h.queueCCS()
	if err := h.flush(); err != nil {
		return err
	}
	if err := h.readHello(); err != nil {
		return err
	}
	return h.checkSecondHello(first)
}

// checkSecondHello holds the second hello against the first (RFC 8446, section 4.1.2).
func (h *handshake) checkSecondHello(first *ClientHello) error {
	second := h.hello
	switch {
	case !bytes.Equal(first.Random, second.Random), !bytes.Equal(first.SessionID, second.SessionID),
		!slices.Equal(first.CipherSuites, second.CipherSuites), !slices.Equal(first.Groups, second.Groups),
		!slices.Equal(first.SignatureSchemes, second.SignatureSchemes),
		!bytes.Equal(first.CertificateTypes, second.CertificateTypes):
		return errors.New("client changed its offer after a HelloRetryRequest")
	case !bytes.Equal(second.Cookie, h.peer.Cookie):
		return fmt.Errorf("client returned the cookie % x", second.Cookie)
	case len(second.Shares) != 1 || second.Shares[0].Group != h.group:
		return fmt.Errorf("client sent other key shares than one for %v", h.group)
	}
	return nil
}

// serverHello makes a ServerHello or HelloRetryRequest (RFC 8446, section 4.1.3).
func (h *handshake) serverHello(name string, random, extensions []byte) Message {
	body := append([]byte{3, 3}, random...)
	body = append(append(body, byte(len(h.hello.SessionID))), h.hello.SessionID...)
	body = append(body, byte(h.suite>>8), byte(h.suite), 0, byte(len(extensions)>>8), byte(len(extensions)))
	return NewMessage(name, 2, append(body, extensions...))
}

// serve sends the server's flight and reads the client's answer.
func (h *handshake) serve() error {
	key, err := curves[h.group].GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	share, _ := h.hello.share(h.group)
	public, err := curves[h.group].NewPublicKey(share)
	if err != nil {
		return fmt.Errorf("client sent a bad key share: %w", err)
	}
	shared, err := key.ECDH(public)
	if err != nil {
		return fmt.Errorf("client sent a bad key share: %w", err)
	}
	point := key.PublicKey().Bytes()
	n := len(point)
	extensions := []byte{0, 43, 0, 2, 3, 4, 0, 51, 0, byte(n + 4), byte(h.group >> 8), byte(h.group), 0, byte(n)}
	random := make([]byte, 32)
	rand.Read(random)
	h.send(h.serverHello("ServerHello", random, append(extensions, point...)))
	h.queueCCS()

	k := h.keys
	early := k.extract(nil, k.zeros())
	secret := k.extract(k.derive(early, "derived", k.emptyHash()), shared)
	client := k.derive(secret, "c hs traffic", h.transcript.Sum(nil))
	server := k.derive(secret, "s hs traffic", h.transcript.Sum(nil))
	h.in, h.out = k.protection(client), k.protection(server)

	h.send(NewMessage("EncryptedExtensions", 8, []byte{0, 5, 0, 20, 0, 1, 2}))
	if h.peer.RequestCertificate {
		h.send(NewMessage("CertificateRequest", 13, []byte{0, 0, 8, 0, 13, 0, 4, 0, 2, 8, 7}))
	}
	h.send(NewMessage("Certificate", 11, h.certificate()))
	verify, err := h.certificateVerify()
	if err != nil {
		return err
	}
	h.send(verify)
	h.send(NewMessage("Finished", 20, k.finished(server, h.transcript.Sum(nil))))
	h.queueHandshake(h.flight)

	master := k.extract(k.derive(secret, "derived", k.emptyHash()), k.zeros())
	clientApplication := k.derive(master, "c ap traffic", h.transcript.Sum(nil))
	h.out = k.protection(k.derive(master, "s ap traffic", h.transcript.Sum(nil)))
	if err := h.flush(); err != nil {
		return err
	}
	if err := h.readClientFlight(client); err != nil {
		return err
	}
	h.in = k.protection(clientApplication)
	for range h.peer.Tickets {
		h.queueHandshake(newSessionTicket().Raw)
	}
	return h.flush()
}

// certificate is the body of a Certificate message with one raw public key.
func (h *handshake) certificate() []byte {
	spki := h.peer.SPKI
	if spki == nil {
		spki = h.peer.Key.spki
	}
	n := len(spki)
	body := []byte{0, byte((n + 5) >> 16), byte((n + 5) >> 8), byte(n + 5), byte(n >> 16), byte(n >> 8), byte(n)}
	return append(append(body, spki...), 0, 0)
}

// SignedContent is what CertificateVerify signs (RFC 8446, section 4.4.3).
func SignedContent(context string, transcriptHash []byte) []byte {
	return append([]byte(strings.Repeat("\x20", 64)+context+"\x00"), transcriptHash...)
}

// ServerContext is the context string of a server's CertificateVerify.
const ServerContext = "TLS 1.3, server CertificateVerify"

func (h *handshake) certificateVerify() (Message, error) {
	scheme, signature, err := h.sign(h.transcript.Sum(nil))
	if err != nil {
		return Message{}, err
	}
	n := len(signature)
	body := append([]byte{byte(scheme >> 8), byte(scheme), byte(n >> 8), byte(n)}, signature...)
	return NewMessage("CertificateVerify", 15, body), nil
}

func (h *handshake) sign(transcriptHash []byte) (keytls.SignatureScheme, []byte, error) {
	if h.peer.Sign != nil {
		scheme, signature := h.peer.Sign(transcriptHash)
		return scheme, signature, nil
	}
	scheme := h.peer.SignatureScheme
	for _, own := range h.peer.Key.Schemes() {
		if scheme == 0 && slices.Contains(h.hello.SignatureSchemes, own) {
			scheme = own
		}
	}
	if scheme == 0 {
		return 0, nil, errors.New("client offers no signature scheme for this key")
	}
	signature, err := h.peer.Key.Sign(scheme, SignedContent(ServerContext, transcriptHash))
	return scheme, signature, err
}

// send lets the Message hook see a message, notes in the transcript what comes of
// it, and queues that.
func (h *handshake) send(message Message) {
	messages := []Message{message}
	if h.peer.Message != nil {
		messages = h.peer.Message(message)
	}
	for _, m := range messages {
		h.transcript.Write(m.Raw)
		if h.peer.Coalesce && (h.out.aead != nil || h.peer.OpenPGP != nil) {
			h.flight = append(h.flight, m.Raw...)
		} else {
			h.queueHandshake(m.Raw)
		}
	}
}

// queueCCS adds the record that middleboxes want to see.
func (h *handshake) queueCCS() {
	if len(h.hello.SessionID) > 0 {
		h.queue(Record{Type: ChangeCipherSpec, Content: []byte{1}})
	}
}

// readClientFlight reads the client's Finished, and before it the empty
// Certificate if one was asked for.
func (h *handshake) readClientFlight(secret []byte) error {
	var want []byte
	if h.peer.RequestCertificate {
		want = NewMessage("Certificate", 11, []byte{0, 0, 0, 0}).Raw
		h.transcript.Write(want)
	}
	verify := h.keys.finished(secret, h.transcript.Sum(nil))
	want = append(want, NewMessage("Finished", 20, verify).Raw...)
	var got []byte
	for len(got) < len(want) {
		typ, content, err := h.readRecord()
		if err != nil {
			return err
		}
		if typ != Handshake {
			return fmt.Errorf("client sent a record of type %d instead of Finished", typ)
		}
		got = append(got, content...)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("client's last flight is % x instead of % x", got, want)
	}
	return nil
}

func newSessionTicket() Message {
	// lifetime, age_add, nonce, ticket, no extensions (RFC 8446, section 4.6.1)
	return NewMessage("NewSessionTicket", 4, []byte{0, 0, 0, 60, 1, 2, 3, 4, 1, 0, 0, 3, 7, 7, 7, 0, 0})
}
