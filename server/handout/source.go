// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"net"
	"net/netip"
)

// addressOf is the peer's address as we log and tell it: an IPv4 address that
// came in on an IPv6 socket is an IPv4 address.
func addressOf(conn net.Conn) netip.AddrPort {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	from := tcp.AddrPort()
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// sourceOf is what counts as one source of connections: an IPv4 address, a
// link-local address, or the /64 network of any other IPv6 address, since one host
// may use all of those.
func sourceOf(from netip.Addr) netip.Prefix {
	bits := from.BitLen()
	if from.Is6() && !from.IsLinkLocalUnicast() && !from.IsLoopback() {
		bits = 64
	}
	source, err := from.Prefix(bits) // without the zone
	if err != nil {
		return netip.Prefix{}
	}
	return source
}
