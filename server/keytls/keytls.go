// SPDX-License-Identifier: Apache-2.0

// Package keytls is TLS in the client role towards a peer that has only a key.
//
// In the Mandos protocol the roles are reversed: the Mandos server is the TLS
// client and has no certificate, while the Mandos client is the TLS server and
// proves possession of a bare public key. The key itself is the identity; there
// are no names, dates or authorities. Clients since 2019 present a raw public key
// (RFC 7250) in TLS 1.3 (RFC 8446), older ones an OpenPGP certificate (RFC 6091)
// in TLS 1.2 (RFC 5246), and one hello serves both. crypto/tls has neither,
// hence this package, which does that and nothing else: ephemeral key exchange
// and AEAD, no resumption, renegotiation, compression, early data, client
// certificates or X.509. Every message that is not expected is a fatal alert.
//
// A connection is used in this order:
//
//	conn := keytls.Client(tcp, &keytls.Config{Known: registered})
//	identity, err := conn.Handshake(ctx) // who is it?
//	conn.Write(secret)                   // refused unless the key is known and proved
//	conn.CloseWrite()                    // close_notify: the secret is whole
//	io.Copy(io.Discard, conn)            // wait for the peer's close_notify
//	conn.Close()
//
// The files follow the RFC: hello.go holds the first messages, which decide the
// protocol version; handshake13.go is the state machine of TLS 1.3 and
// messages13.go its messages, handshake12.go and messages12.go are those of TLS
// 1.2; record.go is the record protocol; spki.go and openpgp.go read keys.
package keytls

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUnknownKey is returned by [Conn.Handshake] when the handshake was completed
// with a peer whose key Config.Known does not know, and by [Conn.Write]
// afterwards.
var ErrUnknownKey = errors.New("the peer's key is not known here")

// ErrNotEstablished is returned by what needs a completed handshake.
var ErrNotEstablished = errors.New("no TLS handshake has been completed on this connection")

// Config says what to offer and whom to know. It must not be changed while a
// Conn uses it; many may share one.
type Config struct {
	// CipherSuites to offer, in order of preference; nil means [CipherSuites].
	CipherSuites []CipherSuite
	// Groups to offer, in order of preference; nil means [Groups]. A key share
	// is sent for the first one; a peer that wants another one asks for it
	// with a HelloRetryRequest.
	Groups []Group
	// SignatureSchemes to offer, in order of preference; nil means [SignatureSchemes].
	SignatureSchemes []SignatureScheme
	// OpenPGP, if not nil, is asked at the start of each handshake whether to
	// offer OpenPGP certificates, and with them TLS 1.2, as well as raw public
	// keys. Without them the cipher suites and signature schemes of TLS 1.2 are
	// left out; without a cipher suite of TLS 1.3 raw public keys are.
	OpenPGP func() bool
	// Known, if not nil, is asked once, right after the peer's Certificate
	// message. If it answers false no arithmetic is done with the peer's key:
	// the handshake is completed with the signature unchecked, and Handshake
	// returns [ErrUnknownKey]. If Known is nil every key is known.
	Known func(Identity) bool
}

// State describes an established connection, for logs.
type State struct {
	Version     Version
	CipherSuite CipherSuite
	// Group is that of the key exchange, or 0 if the peer made one of its own.
	Group           Group
	SignatureScheme SignatureScheme
	// Retried tells that the peer asked for another key share or for a cookie
	// with a HelloRetryRequest.
	Retried bool
}

// Conn is a TLS connection in the client role. Read may run at the same time as
// Write and CloseWrite; Handshake must have returned before any of them.
type Conn struct {
	conn   net.Conn
	config *Config
	state  State
	// offered is what the hello had for the peer.
	offered generations

	in  receiver
	out sender

	// peerWantsKeyUpdate is set by Read and obeyed by the next Write, so that a
	// reader never waits for a writer (RFC 8446, section 4.6.3, asks for the
	// answer before the next application data, not at once).
	peerWantsKeyUpdate atomic.Bool
}

// receiver is the reading side of a Conn.
type receiver struct {
	mu   sync.Mutex
	keys trafficKeys
	// reader spares system calls: the peer's whole flight fits into it.
	reader *bufio.Reader
	// record holds what has arrived of the record being read.
	record []byte
	// handshake holds received bytes of handshake messages not yet consumed.
	handshake []byte
	// data is received application data not yet handed out; it lies in record's array.
	data []byte
	// useless counts records that bring nothing, see countUseless.
	useless int
	// recordVersion is what the last record's header said. It means nothing to
	// the protocol but tells something of a peer that refuses us.
	recordVersion Version
	// tls12 is set once the peer has chosen TLS 1.2.
	tls12 bool
	// established is set once the peer's Finished has been verified.
	established bool
	// err ends reading for good.
	err error
}

// sender is the writing side of a Conn.
type sender struct {
	mu         sync.Mutex
	keys       trafficKeys
	permission permission
	// err, if not nil, is why nothing can be written any more.
	err error
}

// permission says what may be written; the zero value permits nothing.
type permission uint8

const (
	// mayNotWrite holds until the handshake is complete.
	mayNotWrite permission = iota
	// mayOnlyClose holds when the peer's key is unknown.
	mayOnlyClose
	// mayWrite holds once a known key has been proved and Finished verified.
	mayWrite
	// hasClosed holds after close_notify or a fatal alert.
	hasClosed
)

// Client returns a connection in the TLS client role over conn, which it then
// owns. Nothing is sent before [Conn.Handshake].
func Client(conn net.Conn, config *Config) *Conn {
	return &Conn{
		conn:   conn,
		config: config,
		in:     receiver{reader: bufio.NewReaderSize(conn, readAhead)},
	}
}

// ConnectionState tells what was negotiated; it is complete once Handshake has
// returned without an error or with [ErrUnknownKey].
func (c *Conn) ConnectionState() State { return c.state }

// Write sends application data. It is refused with [ErrNotEstablished] before
// the handshake is complete and with [ErrUnknownKey] if the peer's key is not known.
func (c *Conn) Write(p []byte) (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	switch c.out.permission {
	case mayNotWrite:
		return 0, ErrNotEstablished
	case mayOnlyClose:
		return 0, ErrUnknownKey
	case hasClosed:
		return 0, c.out.err
	}
	written := 0
	for len(p) > 0 {
		if err := c.updateWriteKeysIfDue(); err != nil {
			return written, err
		}
		chunk := p[:min(len(p), maxPlaintext)]
		if err := c.writeRecord(recordApplicationData, chunk); err != nil {
			return written, err
		}
		written += len(chunk)
		p = p[len(chunk):]
	}
	return written, nil
}

// CloseWrite sends close_notify: what was written is complete (RFC 8446, section
// 6.1). The peer's data can still be read. Further calls do nothing.
func (c *Conn) CloseWrite() error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	switch c.out.permission {
	case mayNotWrite:
		return ErrNotEstablished
	case hasClosed:
		if c.out.err == errWriteClosed {
			return nil
		}
		return c.out.err
	}
	return c.writeAlert(AlertCloseNotify, errWriteClosed)
}

// Read reads application data. It returns io.EOF after the peer's close_notify
// and io.ErrUnexpectedEOF if the connection ends without one. Session tickets are
// dropped and key updates obeyed on the way.
func (c *Conn) Read(p []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if !c.in.established {
		return 0, ErrNotEstablished
	}
	for len(c.in.data) == 0 && len(p) > 0 {
		if c.in.err != nil {
			return 0, c.in.err
		}
		err := c.receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		if err != nil {
			c.failRead(err)
		}
	}
	n := copy(p, c.in.data)
	c.in.data = c.in.data[n:]
	return n, nil
}

// failRead ends reading with err, and tells the peer if the fault is his.
func (c *Conn) failRead(err error) {
	if errors.Is(err, errCloseNotify) {
		err = io.EOF
	}
	c.in.err = err
	c.sendAlertFor(err)
}

// Close closes the connection beneath without a close_notify, see [Conn.CloseWrite].
func (c *Conn) Close() error { return c.conn.Close() }

// LocalAddr returns the local address of the connection beneath.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline sets the deadlines of the connection beneath. A Read that ran into
// one can be repeated; after a Write that did nothing more can be written.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// SetReadDeadline is SetDeadline for Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// SetWriteDeadline is SetDeadline for Write and CloseWrite.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }

var _ net.Conn = (*Conn)(nil)
