// SPDX-License-Identifier: Apache-2.0

package client

import "net/netip"

// SourceOf is what counts as one source of connections, and of what they make the
// server write: an IPv4 address, a link-local address, the host itself, or the /64
// network of any other IPv6 address, since one host may use all of those. The zero
// Addr is a source like others.
func SourceOf(address netip.Addr) netip.Prefix {
	address = address.Unmap()
	bits := address.BitLen()
	if address.Is6() && !address.IsLinkLocalUnicast() && !address.IsLoopback() {
		bits = 64
	}
	source, _ := address.Prefix(bits) // without the zone
	return source
}
