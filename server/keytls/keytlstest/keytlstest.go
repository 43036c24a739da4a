// SPDX-License-Identifier: Apache-2.0

// Package keytlstest is the other side of keytls, for tests: a TLS server that owns
// a bare key, as a Mandos client does; with an OpenPGP key it is a client of before
// 2019 and speaks TLS 1.2 as GnuTLS 3.1 to 3.5 did.
//
// It shares no code with keytls but the names of things, so that a
// misunderstanding of the RFC cannot hide on both sides. A peer that behaves
// is made and used in two lines:
//
//	peer := &keytlstest.Peer{Key: keytlstest.NewKey(keytlstest.Ed25519)}
//	secret, err := peer.Fetch(conn)
//
// One that misbehaves has one of its hooks set: Message to drop, repeat, change or
// reorder handshake messages, Record for records, Wire for the bytes on the wire.
package keytlstest

import (
	"bufio"
	"fmt"
	"io"
	"net"

	"mandos/server/keytls"
)

// Peer is a TLS server with a bare key. The zero values of all fields but the keys
// make it behave. It must not be changed while in use; any number of
// connections may use it at the same time, if its hooks can bear it.
type Peer struct {
	// Key is the key it presents and proves.
	Key *Key
	// OpenPGP, if not nil, is the key instead: the peer then speaks TLS 1.2.
	OpenPGP *OpenPGPKey

	// CipherSuite to choose; 0 is the first of the client's that we know.
	CipherSuite keytls.CipherSuite
	// Group to choose; 0 is that of the client's first key share. If the client
	// sent no share for it, a HelloRetryRequest asks for one.
	Group keytls.Group
	// SignatureScheme to sign with; 0 is the first of the key's own.
	SignatureScheme keytls.SignatureScheme
	// Cookie, if not nil, is sent in a HelloRetryRequest.
	Cookie []byte
	// RequestCertificate asks the client for a certificate.
	RequestCertificate bool
	// Tickets is how many NewSessionTicket messages follow the handshake.
	Tickets int
	// Padding is the number of zeros in each protected record.
	Padding int
	// RecordSize is how many bytes of a message go into a record; 0 is 16,384.
	RecordSize int
	// Coalesce puts the messages from EncryptedExtensions to Finished into as
	// few records as possible.
	Coalesce bool

	// SPKI, if not nil, is presented instead of the key's own.
	SPKI []byte
	// Sign, if not nil, makes the signature over the transcript hash, or in TLS
	// 1.2 over the randoms and parameters.
	Sign func(signed []byte) (keytls.SignatureScheme, []byte)
	// NoExtendedMasterSecret makes TLS 1.2 that of GnuTLS before 3.4.
	NoExtendedMasterSecret bool
	// NoSubkeyID presents the OpenPGP certificate as GnuTLS 2 did.
	NoSubkeyID bool
	// Field is the group for a key exchange in a finite field; nil is a new one
	// of 2,048 bits.
	Field *Field
	// Resume sends the client's session ID back in TLS 1.2, as if to resume that
	// session.
	Resume bool
	// Random, if not nil, changes the random of TLS 1.2.
	Random func([]byte)
	// Parameters, if not nil, changes those of ServerKeyExchange before they are
	// signed.
	Parameters func([]byte) []byte
	// Message, if not nil, sees each handshake message before it is sent and
	// returns those to send in its place; they enter the transcript as returned.
	Message func(Message) []Message
	// Record, if not nil, sees each record before it is protected and returns
	// those to send in its place; the transcript does not notice.
	Record func(Record) []Record
	// Wire, if not nil, sees what is about to be sent, one or more whole
	// records, and returns what is sent.
	Wire func([]byte) []byte
}

// Fetch is what a Mandos client does: it does the handshake on conn, reads until
// the client's close_notify, answers it, and returns what it has read. It does not
// close conn. The connection's deadlines bound it.
func (p *Peer) Fetch(conn net.Conn) ([]byte, error) {
	c := p.Server(conn)
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	secret, err := io.ReadAll(c)
	if err != nil {
		return secret, err
	}
	return secret, c.CloseWrite()
}

// Server returns a connection in the TLS server role over conn.
func (p *Peer) Server(conn net.Conn) *Conn {
	return &Conn{peer: p, conn: conn, reader: bufio.NewReader(conn)}
}

// Message is a handshake message as it is sent.
type Message struct {
	// Name is the RFC's name, such as "ServerHello"; a HelloRetryRequest is
	// called by its own.
	Name string
	// Raw is the whole message with its header.
	Raw []byte
}

// NewMessage encodes a handshake message.
func NewMessage(name string, typ uint8, body []byte) Message {
	n := len(body)
	return Message{name, append([]byte{typ, byte(n >> 16), byte(n >> 8), byte(n)}, body...)}
}

// Record is a record before it is protected.
type Record struct {
	Type    uint8
	Content []byte
	// Padding is the number of zeros after the content, if protected.
	Padding int
	// Protected reports whether it is to be encrypted.
	Protected bool
}

// Types of records (RFC 8446, section 5.1).
const (
	ChangeCipherSpec uint8 = 20
	AlertRecord      uint8 = 21
	Handshake        uint8 = 22
	ApplicationData  uint8 = 23
)

// ReceivedAlert is the error for an alert that the client sent, other than
// close_notify.
type ReceivedAlert struct{ Alert keytls.Alert }

// Error names the alert.
func (e *ReceivedAlert) Error() string { return fmt.Sprintf("client sent alert %v", e.Alert) }
