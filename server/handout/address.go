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
