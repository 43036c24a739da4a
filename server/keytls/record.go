// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// recordType is the ContentType of a record (RFC 8446, section 5.1).
type recordType uint8

const (
	recordChangeCipherSpec recordType = 20
	recordAlert            recordType = 21
	recordHandshake        recordType = 22
	recordApplicationData  recordType = 23
)

// Limits of the record protocol (RFC 8446, sections 5.1, 5.2 and 5.5).
const (
	recordHeaderLength = 5
	maxPlaintext       = 1 << 14
	maxCiphertext      = maxPlaintext + 256
	// maxRecordsPerKey keeps AES-GCM within its safety margin.
	maxRecordsPerKey = 1 << 24
	// maxUseless is how many records that bring nothing may come in a row:
	// ChangeCipherSpec, empty data, tickets, key updates. Honest peers send
	// five at most.
	maxUseless = 16
	// readAhead is the size of the read buffer in bytes. A peer that stalls
	// holds it, so it is just big enough for the flight of a peer with an
	// elliptic key.
	readAhead = 1024
)

// trafficKeys protects the records of one direction (RFC 8446, section 5.2). The
// zero value is the time before there are keys.
type trafficKeys struct {
	suite  CipherSuite
	secret []byte
	aead   cipher.AEAD
	iv     [12]byte
	nonce  [12]byte
	// sequence is the number of the next record under these keys.
	sequence uint64
}

// install makes secret the traffic secret and starts to count records anew.
func (k *trafficKeys) install(suite CipherSuite, secret []byte) error {
	aead, err := suite.newAEAD(expandLabel(suite, secret, "key", nil, suite.keyLength()))
	if err != nil {
		return err
	}
	*k = trafficKeys{suite: suite, secret: secret, aead: aead}
	copy(k.iv[:], expandLabel(suite, secret, "iv", nil, len(k.iv)))
	return nil
}

// update moves on to the next traffic secret (RFC 8446, section 7.2).
func (k *trafficKeys) update() error {
	return k.install(k.suite, expandLabel(k.suite, k.secret, "traffic upd", nil, len(k.secret)))
}

// nextNonce returns the nonce of the next record (RFC 8446, section 5.3).
func (k *trafficKeys) nextNonce() []byte {
	k.nonce = k.iv
	counter := k.nonce[4:]
	binary.BigEndian.PutUint64(counter, binary.BigEndian.Uint64(counter)^k.sequence)
	k.sequence++
	return k.nonce[:]
}

// seal appends a record that carries payload to dst, protected once there are keys.
func (k *trafficKeys) seal(dst []byte, typ recordType, payload []byte) []byte {
	if k.aead == nil {
		dst = appendHeader(dst, typ, len(payload))
		return append(dst, payload...)
	}
	if k.suite.Version() == VersionTLS12 {
		return k.seal12(dst, typ, payload)
	}
	length := len(payload) + 1 + k.aead.Overhead()
	dst = slices.Grow(dst, recordHeaderLength+length)
	dst = appendHeader(dst, recordApplicationData, length)
	header, inner := dst[len(dst)-recordHeaderLength:], len(dst)
	dst = append(dst, payload...)
	dst = append(dst, byte(typ))
	return k.aead.Seal(dst[:inner], k.nextNonce(), dst[inner:], header)
}

func appendHeader(dst []byte, typ recordType, length int) []byte {
	dst = append(dst, byte(typ), byte(VersionTLS12>>8), byte(VersionTLS12&0xff))
	return binary.BigEndian.AppendUint16(dst, uint16(length))
}

// open removes the protection of a record, in place, and returns its real type
// and its content without padding (RFC 8446, section 5.4).
func (k *trafficKeys) open(header, ciphertext []byte) (recordType, []byte, error) {
	if k.sequence >= maxRecordsPerKey {
		return 0, nil, fatal(AlertUnexpectedMessage, "peer sent more than %d records without a key update", maxRecordsPerKey)
	}
	if k.suite.Version() == VersionTLS12 {
		return k.open12(header, ciphertext)
	}
	inner, err := k.aead.Open(ciphertext[:0], k.nextNonce(), ciphertext, header)
	if err != nil {
		return 0, nil, errBadRecord()
	}
	if len(inner) > maxPlaintext+1 {
		return 0, nil, errRecordOverflow(len(inner))
	}
	for i := len(inner) - 1; i >= 0; i-- {
		if inner[i] != 0 {
			return recordType(inner[i]), inner[:i], nil
		}
	}
	return 0, nil, fatal(AlertUnexpectedMessage, "peer sent a record of nothing but padding")
}

func errBadRecord() error {
	return fatal(AlertBadRecordMAC, "a record was changed on its way or is not from this peer")
}

func errRecordOverflow(length int) error {
	return fatal(AlertRecordOverflow, "peer sent a record of %d bytes, more than %d", length, maxPlaintext)
}

// writeRecord sends one record. The caller holds c.out.mu.
func (c *Conn) writeRecord(typ recordType, payload []byte) error {
	return c.writeRaw(c.out.keys.seal(nil, typ, payload))
}

// writeRaw sends sealed records. A failure ends writing for good, because part of
// a record may be on its way. The caller holds c.out.mu.
func (c *Conn) writeRaw(records []byte) error {
	if _, err := c.conn.Write(records); err != nil {
		c.out.permission, c.out.err = hasClosed, fmt.Errorf("writing to peer: %w", err)
		return c.out.err
	}
	return nil
}

// readRecord returns the next record that means something to the handshake or to
// Read; alerts, ChangeCipherSpec and the rules about what may stand between
// records are dealt with here. The content is valid until the next call.
func (c *Conn) readRecord() (recordType, []byte, error) {
	for {
		typ, content, protected, err := c.readAnyRecord()
		if err != nil {
			return 0, nil, err
		}
		// "if a handshake message is split over two or more records, there
		// MUST NOT be any other records between them" (section 5.1). An alert
		// is the end in any case.
		if len(c.in.handshake) > 0 && typ != recordHandshake && typ != recordAlert {
			return 0, nil, fatal(AlertUnexpectedMessage, "peer sent a record of another type in the middle of a handshake message")
		}
		switch typ {
		case recordChangeCipherSpec:
			if c.in.tls12 {
				return typ, content, nil
			}
			// Dropped during the handshake if it is the one that middleboxes
			// want to see (section 5).
			if protected || c.in.established || len(content) != 1 || content[0] != 1 {
				return 0, nil, fatal(AlertUnexpectedMessage, "peer sent a ChangeCipherSpec where TLS 1.3 has none")
			}
		case recordAlert:
			if len(content) == 0 {
				return 0, nil, errEmptyRecord(typ)
			}
			if err := parseAlert(content, c.offered); err != nil {
				return 0, nil, err
			}
		case recordHandshake:
			if len(content) == 0 {
				return 0, nil, errEmptyRecord(typ)
			}
			return typ, content, nil
		case recordApplicationData:
			if !c.in.established {
				return 0, nil, fatal(AlertUnexpectedMessage, "peer sent application data before the end of its handshake")
			}
			if len(content) > 0 {
				return typ, content, nil
			}
		default:
			return 0, nil, fatal(AlertUnexpectedMessage, "peer sent a record of unknown type 0x%02x; it may not speak TLS at all", uint8(typ))
		}
		if err := c.countUseless(); err != nil {
			return 0, nil, err
		}
	}
}

// errEmptyRecord is for handshake and alert records without content, which
// sections 5.1 and 5.4 forbid.
func errEmptyRecord(typ recordType) error {
	return fatal(AlertUnexpectedMessage, "peer sent an empty record of type %d", uint8(typ))
}

// countUseless limits what a peer can make us do without getting anywhere.
func (c *Conn) countUseless() error {
	c.in.useless++
	if c.in.useless > maxUseless {
		return fatal(AlertUnexpectedMessage, "peer sent more than %d useless records in a row", maxUseless)
	}
	return nil
}

// readAnyRecord reads one record and removes its protection. What has arrived when
// a deadline passes is kept, so that the next call goes on from there.
func (c *Conn) readAnyRecord() (typ recordType, content []byte, protected bool, err error) {
	if err := c.in.fill(recordHeaderLength); err != nil {
		return 0, nil, false, err
	}
	typ = recordType(c.in.record[0])
	c.in.recordVersion = Version(binary.BigEndian.Uint16(c.in.record[1:]))
	length := int(binary.BigEndian.Uint16(c.in.record[3:]))
	// In TLS 1.3 ChangeCipherSpec is never protected (section 5).
	protected = c.in.keys.aead != nil && (c.in.tls12 || typ != recordChangeCipherSpec)
	limit := maxPlaintext
	if protected {
		limit = maxCiphertext
	}
	switch {
	case typ < recordChangeCipherSpec || typ > recordApplicationData:
		return 0, nil, false, fatal(AlertUnexpectedMessage, "peer sent a record of unknown type 0x%02x; it may not speak TLS at all", uint8(typ))
	case length > limit:
		return 0, nil, false, fatal(AlertRecordOverflow, "peer sent a record of %d bytes, more than %d", length, limit)
	case protected && !c.in.tls12 && typ != recordApplicationData:
		return 0, nil, false, fatal(AlertUnexpectedMessage, "peer sent an unprotected record of type %d after the keys were agreed", uint8(typ))
	}
	if err := c.in.fill(recordHeaderLength + length); err != nil {
		return 0, nil, false, err
	}
	header, content := c.in.record[:recordHeaderLength], c.in.record[recordHeaderLength:]
	c.in.record = c.in.record[:0]
	if protected {
		typ, content, err = c.in.keys.open(header, content)
	}
	return typ, content, protected, err
}

// fill reads until the record buffer holds n bytes. The buffer grows with what has
// arrived: a peer that announces much and sends little holds little.
func (r *receiver) fill(n int) error {
	for len(r.record) < n {
		r.record = slices.Grow(r.record, min(n-len(r.record), readAhead))
		m, err := r.reader.Read(r.record[len(r.record):min(n, cap(r.record))])
		r.record = r.record[:len(r.record)+m]
		if err != nil {
			return errEnded(err)
		}
	}
	return nil
}

// errEnded turns the end of the connection beneath into the truncation that it
// is: TLS ends with close_notify.
func errEnded(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading from peer: %w", err)
}
