// SPDX-License-Identifier: Apache-2.0

package keytlstest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"mandos/server/keytls"
)

// Conn is a connection in the TLS server role. Reading and writing may go on at the
// same time.
type Conn struct {
	peer   *Peer
	conn   net.Conn
	reader *bufio.Reader

	hello  *ClientHello
	keys   schedule
	in     protection
	out    protection
	queued []byte // records not yet sent
	data   []byte // application data not yet read
	eof    bool
}

// Hello is the last ClientHello received, nil before.
func (c *Conn) Hello() *ClientHello { return c.hello }

// Read reads application data; io.EOF is the client's close_notify. Any alert of
// another kind is a [ReceivedAlert].
func (c *Conn) Read(p []byte) (int, error) {
	for len(c.data) == 0 {
		if c.eof {
			return 0, io.EOF
		}
		typ, content, err := c.readRecord()
		if err != nil {
			return 0, err
		}
		switch typ {
		case ApplicationData:
			c.data = content
		case Handshake:
			if c.in.tls12 || len(content) != 5 || content[0] != 24 || content[4] > 1 {
				return 0, fmt.Errorf("client sent handshake message % x", content)
			}
			c.in = c.in.next(c.keys)
		default:
			return 0, fmt.Errorf("client sent a record of type %d", typ)
		}
	}
	n := copy(p, c.data)
	c.data = c.data[n:]
	return n, nil
}

// Write sends application data.
func (c *Conn) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		chunk := rest[:min(len(rest), c.recordSize())]
		c.queue(Record{Type: ApplicationData, Content: chunk, Padding: c.peer.Padding, Protected: true})
		rest = rest[len(chunk):]
	}
	return len(p), c.flush()
}

// CloseWrite sends close_notify.
func (c *Conn) CloseWrite() error { return c.SendAlert(keytls.AlertCloseNotify) }

// Close closes the connection beneath.
func (c *Conn) Close() error { return c.conn.Close() }

// SendAlert sends an alert.
func (c *Conn) SendAlert(alert keytls.Alert) error {
	level := byte(2)
	if alert == keytls.AlertCloseNotify || alert == keytls.AlertUserCanceled {
		level = 1
	}
	return c.SendRecord(Record{Type: AlertRecord, Content: []byte{level, byte(alert)}, Protected: c.out.aead != nil})
}

// SendRecord sends a record without asking the Record hook.
func (c *Conn) SendRecord(record Record) error {
	c.queued = c.out.seal(c.queued, record)
	return c.flush()
}

// SendMessage sends a handshake message after the handshake.
func (c *Conn) SendMessage(message Message) error {
	c.queueHandshake(message.Raw)
	return c.flush()
}

// SendTicket sends a NewSessionTicket.
func (c *Conn) SendTicket() error {
	c.queueHandshake(newSessionTicket().Raw)
	return c.flush()
}

// UpdateKeys sends a KeyUpdate, which may ask the client for one in return, and
// writes under new keys from then on.
func (c *Conn) UpdateKeys(request bool) error {
	body := []byte{0}
	if request {
		body[0] = 1
	}
	c.queueHandshake(NewMessage("KeyUpdate", 24, body).Raw)
	c.out = c.out.next(c.keys)
	return c.flush()
}

// recordSize is how much goes into one record.
func (c *Conn) recordSize() int {
	if c.peer.RecordSize > 0 {
		return c.peer.RecordSize
	}
	return 1 << 14
}

// queueHandshake splits messages into records.
func (c *Conn) queueHandshake(raw []byte) {
	for len(raw) > 0 {
		n := min(len(raw), c.recordSize())
		c.queue(Record{Type: Handshake, Content: raw[:n], Padding: c.peer.Padding, Protected: c.out.aead != nil})
		raw = raw[n:]
	}
}

// queue protects a record and keeps it for flush.
func (c *Conn) queue(record Record) {
	records := []Record{record}
	if c.peer.Record != nil {
		records = c.peer.Record(record)
	}
	for _, r := range records {
		c.queued = c.out.seal(c.queued, r)
	}
}

// flush sends what is queued in one write.
func (c *Conn) flush() error {
	out := c.queued
	c.queued = nil
	if len(out) == 0 {
		return nil
	}
	if c.peer.Wire != nil {
		out = c.peer.Wire(out)
	}
	_, err := c.conn.Write(out)
	return err
}

// readRecord returns the next record of the client's; alerts are errors and
// ChangeCipherSpec is dropped.
func (c *Conn) readRecord() (uint8, []byte, error) {
	for {
		header := make([]byte, 5)
		if _, err := io.ReadFull(c.reader, header); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, nil, err
		}
		length := int(binary.BigEndian.Uint16(header[3:]))
		if length > 1<<14+256 || header[1] != 3 {
			return 0, nil, fmt.Errorf("client sent a record with header % x", header)
		}
		content := make([]byte, length)
		if _, err := io.ReadFull(c.reader, content); err != nil {
			return 0, nil, io.ErrUnexpectedEOF
		}
		typ := header[0]
		if typ == ApplicationData || c.in.tls12 {
			var err error
			if typ, content, err = c.in.open(header, content); err != nil {
				return 0, nil, err
			}
		}
		switch {
		case typ == ChangeCipherSpec && len(content) == 1 && content[0] == 1 && c.peer.OpenPGP == nil:
		case typ == AlertRecord && len(content) == 2 && content[1] == 0:
			c.eof = true
			return 0, nil, io.EOF
		case typ == AlertRecord && len(content) == 2:
			return 0, nil, &ReceivedAlert{keytls.Alert(content[1])}
		case len(content) == 0:
			return 0, nil, fmt.Errorf("client sent an empty record of type %d", typ)
		default:
			return typ, content, nil
		}
	}
}
