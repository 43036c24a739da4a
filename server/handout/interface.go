// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// interfaceOf is the interface of this machine that the peer's connection came in by,
// empty if that cannot be found out. A machine answers at the addresses of all its
// interfaces on each of them, so that the address which the peer used does not tell.
func interfaceOf(conn net.Conn) string {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return ""
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return ""
	}
	index := 0
	if err := raw.Control(func(fd uintptr) { index = arrivalOf(fd) }); err != nil || index == 0 {
		return ""
	}
	found, err := net.InterfaceByIndex(index)
	if err != nil {
		return ""
	}
	return found.Name
}

// arrivalOf is the index of the interface that the connection of a TCP socket came in by,
// 0 if the kernel does not tell. It notes that as it does for datagrams, and tells it, as
// control messages, to who asks the socket (ip(7), ipv6(7): IP_PKTINFO, IPV6_PKTINFO).
func arrivalOf(fd uintptr) (index int) {
	level, wish, ask := unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, unix.IPV6_2292PKTOPTIONS
	if unix.SetsockoptInt(int(fd), level, wish, 1) != nil { // it is of IPv4
		level, wish, ask = unix.IPPROTO_IP, unix.IP_PKTINFO, unix.IP_PKTOPTIONS
		if unix.SetsockoptInt(int(fd), level, wish, 1) != nil {
			return 0
		}
	}
	var buffer [256]byte
	length := uint32(len(buffer))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, uintptr(level), uintptr(ask),
		uintptr(unsafe.Pointer(&buffer)), uintptr(unsafe.Pointer(&length)), 0); errno != 0 {
		return 0
	}
	messages, err := unix.ParseSocketControlMessage(buffer[:length])
	if err != nil {
		return 0
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			index = int(binary.NativeEndian.Uint32(m.Data[16:])) // after the address
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			index = int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return index
}

// InterfaceTo is the interface that this machine reaches an address by, as a peer's
// connection from there would most likely come in; empty if that cannot be found out.
// Nothing is sent.
func InterfaceTo(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	if zone := address.Zone(); zone != "" {
		return zone
	}
	const anyPort = 9
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, anyPort)))
	if err != nil {
		return ""
	}
	own, _ := conn.LocalAddr().(*net.UDPAddr)
	_ = conn.Close() // of which nothing was sent
	interfaces, err := net.Interfaces()
	if own == nil || err != nil {
		return ""
	}
	for _, candidate := range interfaces {
		addresses, err := candidate.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if network, is := a.(*net.IPNet); is && network.IP.Equal(own.IP) {
				return candidate.Name
			}
		}
	}
	return ""
}
