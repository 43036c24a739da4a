// SPDX-License-Identifier: Apache-2.0

package keytls

import "fmt"

// receive reads until there is application data, obeying the messages that may
// come after the handshake (RFC 8446, section 4.6).
func (c *Conn) receive() error {
	for {
		message, err := c.in.nextHandshake(typeNewSessionTicket, typeKeyUpdate)
		if err != nil {
			return err
		}
		if message != nil {
			if err := c.obey(message); err != nil {
				return err
			}
			continue
		}
		typ, content, err := c.readRecord()
		if err != nil {
			return err
		}
		if typ == recordApplicationData {
			c.in.data, c.in.useless = content, 0
			return nil
		}
		if c.in.tls12 {
			return fatal(AlertUnexpectedMessage, "peer sent a record of type %d after the handshake; nothing is ever renegotiated", uint8(typ))
		}
		c.in.handshake = append(c.in.handshake, content...)
	}
}

// obey acts on a message after the handshake. A NewSessionTicket is dropped:
// nothing is ever resumed.
func (c *Conn) obey(message *handshakeMessage) error {
	if err := c.countUseless(); err != nil {
		return err
	}
	if message.typ == typeNewSessionTicket {
		return nil
	}
	requested, err := parseKeyUpdate(message.body)
	if err != nil {
		return err
	}
	if err := c.in.endsRecord("KeyUpdate"); err != nil {
		return err
	}
	if requested {
		c.peerWantsKeyUpdate.Store(true)
	}
	return c.in.keys.update()
}

// updateWriteKeysIfDue sends a KeyUpdate if the peer has asked for one or the keys
// have protected enough (RFC 8446, sections 4.6.3 and 5.5). The caller holds c.out.mu.
func (c *Conn) updateWriteKeysIfDue() error {
	if !c.peerWantsKeyUpdate.Swap(false) && c.out.keys.sequence < maxRecordsPerKey-1 {
		return nil
	}
	if c.out.keys.suite.Version() == VersionTLS12 {
		return fmt.Errorf("no more than %d records can be sent over one connection in TLS 1.2", maxRecordsPerKey)
	}
	if err := c.writeRecord(recordHandshake, marshalKeyUpdate()); err != nil {
		return err
	}
	return c.out.keys.update()
}
