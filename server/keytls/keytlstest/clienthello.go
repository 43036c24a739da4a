// SPDX-License-Identifier: Apache-2.0

package keytlstest

import (
	"encoding/binary"
	"fmt"

	"mandos/server/keytls"
)

// ClientHello is what the client offers (RFC 8446, section 4.1.2).
type ClientHello struct {
	Raw              []byte
	Random           []byte
	SessionID        []byte
	CipherSuites     []keytls.CipherSuite
	Groups           []keytls.Group
	SignatureSchemes []keytls.SignatureScheme
	Versions         []keytls.Version
	CertificateTypes []byte // extension 20, RFC 7250
	CertTypes        []byte // extension 9, RFC 6091
	PointFormats     []byte
	Shares           []Share
	Cookie           []byte
	// RenegotiationInfo is nil without the extension.
	RenegotiationInfo    []byte
	ExtendedMasterSecret bool
	// Extensions are the types of the extensions in their order.
	Extensions []uint16
}

// Share is one key share.
type Share struct {
	Group keytls.Group
	Key   []byte
}

// scanner takes fields off the front of a message. The first failure sticks.
type scanner struct {
	rest   []byte
	failed bool
}

func (s *scanner) bytes(n int) []byte {
	if s.failed || n > len(s.rest) {
		s.failed = true
		return nil
	}
	taken := s.rest[:n]
	s.rest = s.rest[n:]
	return taken
}

// vector takes a field that is preceded by its length in size bytes.
func (s *scanner) vector(size int) []byte {
	n := 0
	for _, b := range s.bytes(size) {
		n = n<<8 | int(b)
	}
	return s.bytes(n)
}

func (s *scanner) uint16() uint16 {
	if b := s.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// uint16s reads all of list as numbers.
func uint16s[T ~uint16](list []byte) (values []T) {
	for ; len(list) >= 2; list = list[2:] {
		values = append(values, T(binary.BigEndian.Uint16(list)))
	}
	return values
}

// parseClientHello reads a whole handshake message.
func parseClientHello(raw []byte) (*ClientHello, error) {
	h := &ClientHello{Raw: raw}
	s := &scanner{rest: raw}
	typ, length := s.bytes(1), s.vector(3)
	if s.failed || typ[0] != 1 || len(s.rest) > 0 {
		return nil, fmt.Errorf("not a ClientHello: % .20x", raw)
	}
	s.rest = length
	version := s.uint16()
	h.Random = s.bytes(32)
	h.SessionID = s.vector(1)
	h.CipherSuites = uint16s[keytls.CipherSuite](s.vector(2))
	compression := s.vector(1)
	extensions := &scanner{rest: s.vector(2)}
	for len(extensions.rest) > 0 && !extensions.failed {
		typ := extensions.uint16()
		h.Extensions = append(h.Extensions, typ)
		h.readExtension(typ, &scanner{rest: extensions.vector(2)})
	}
	if s.failed || extensions.failed || len(s.rest) > 0 || version != 0x0303 || string(compression) != "\x00" {
		return nil, fmt.Errorf("malformed ClientHello: % x", raw)
	}
	return h, nil
}

func (h *ClientHello) readExtension(typ uint16, data *scanner) {
	switch typ {
	case 9:
		h.CertTypes = data.vector(1)
	case 11:
		h.PointFormats = data.vector(1)
	case 23:
		h.ExtendedMasterSecret = true
	case 0xff01:
		h.RenegotiationInfo = data.rest
	case 10:
		h.Groups = uint16s[keytls.Group](data.vector(2))
	case 13:
		h.SignatureSchemes = uint16s[keytls.SignatureScheme](data.vector(2))
	case 20:
		h.CertificateTypes = data.vector(1)
	case 43:
		h.Versions = uint16s[keytls.Version](data.vector(1))
	case 44:
		h.Cookie = data.vector(2)
	case 51:
		shares := &scanner{rest: data.vector(2)}
		for len(shares.rest) > 0 && !shares.failed {
			h.Shares = append(h.Shares, Share{keytls.Group(shares.uint16()), shares.vector(2)})
		}
	}
}

// share returns the client's key share for group.
func (h *ClientHello) share(group keytls.Group) ([]byte, bool) {
	for _, share := range h.Shares {
		if share.Group == group {
			return share.Key, true
		}
	}
	return nil, false
}
