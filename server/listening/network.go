// SPDX-License-Identifier: Apache-2.0

package listening

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// network is what this machine is connected to at one moment (rtnetlink(7)).
type network []link

// link is one network interface.
type link struct {
	index        int
	name         string
	otherNames   []string
	up, loopback bool // up is with a cable, or what stands for it
	addresses    []linkAddress
}

// linkAddress is one of a link's addresses. A link-local one has no zone.
type linkAddress struct {
	netip.Addr
	// tentative: it is still being found out whether another host has it.
	tentative bool
}

// named finds an interface, or nil.
func (n network) named(name string) *link {
	for i := range n {
		if n[i].isNamed(name) {
			return &n[i]
		}
	}
	return nil
}

func (l *link) isNamed(name string) bool {
	return l.name == name || slices.Contains(l.otherNames, name)
}

// has reports whether an address is one of this machine's, on that link if the
// index is not 0.
func (n network) has(address netip.Addr, index int) bool {
	for _, l := range n {
		if (index == 0 || l.index == index) && l.has(address) {
			return true
		}
	}
	return false
}

// isLocal reports whether only this machine can connect to a socket.
func (n network) isLocal(o *socket) bool {
	if o.address.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(n, func(l link) bool { return l.loopback && l.index == o.index })
}

// has reports whether the link has the address. All of 127.0.0.0/8 is the loopback
// interface's.
func (l *link) has(address netip.Addr) bool {
	if l.loopback && address.Is4() && address.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(l.addresses, func(a linkAddress) bool { return a.Addr == address.WithZone("") })
}

// uses reports whether the link has an address of that family that can be used.
func (l *link) uses(family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(l.addresses, func(a linkAddress) bool { return family(a.Addr) && !a.tentative })
}

// readNetwork asks the kernel.
func readNetwork() (network, error) {
	links, err := dump(unix.RTM_GETLINK)
	if err != nil {
		return nil, err
	}
	addresses, err := dump(unix.RTM_GETADDR)
	if err != nil {
		return nil, err
	}
	var n network
	for _, message := range links {
		if l, ok := parseLink(message); ok {
			n = append(n, l)
		}
	}
	for _, message := range addresses {
		index, address, ok := parseAddress(message)
		if i := slices.IndexFunc(n, func(l link) bool { return l.index == index }); ok && i >= 0 {
			n[i].addresses = append(n[i].addresses, address)
		}
	}
	return n, nil
}

func dump(what int) ([]syscall.NetlinkMessage, error) {
	answer, err := syscall.NetlinkRIB(what, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("cannot see the network interfaces: %w", os.NewSyscallError("netlink", err))
	}
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return nil, fmt.Errorf("cannot see the network interfaces: %w", err)
	}
	return messages, nil
}

// parseLink reads a struct ifinfomsg and what follows it.
func parseLink(message syscall.NetlinkMessage) (l link, ok bool) {
	if message.Header.Type != unix.RTM_NEWLINK || len(message.Data) < unix.SizeofIfInfomsg {
		return link{}, false
	}
	flags := binary.NativeEndian.Uint32(message.Data[8:])
	l = link{
		index:    int(int32(binary.NativeEndian.Uint32(message.Data[4:]))),
		up:       flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0,
		loopback: flags&unix.IFF_LOOPBACK != 0,
	}
	for kind, value := range attributes(message.Data[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.name = unix.ByteSliceToString(value)
		case unix.IFLA_PROP_LIST:
			for kind, value := range attributes(value) {
				if kind == unix.IFLA_ALT_IFNAME {
					l.otherNames = append(l.otherNames, unix.ByteSliceToString(value))
				}
			}
		}
	}
	return l, true
}

// parseAddress reads a struct ifaddrmsg and what follows it. An address that
// another host has is none.
func parseAddress(message syscall.NetlinkMessage) (index int, a linkAddress, ok bool) {
	if message.Header.Type != unix.RTM_NEWADDR || len(message.Data) < unix.SizeofIfAddrmsg {
		return 0, linkAddress{}, false
	}
	flags := message.Data[2]
	if flags&unix.IFA_F_DADFAILED != 0 {
		return 0, linkAddress{}, false
	}
	a.tentative = flags&unix.IFA_F_TENTATIVE != 0 && flags&unix.IFA_F_OPTIMISTIC == 0
	for kind, value := range attributes(message.Data[unix.SizeofIfAddrmsg:]) {
		// On a point-to-point link IFA_ADDRESS is the other end's.
		if kind == unix.IFA_LOCAL || kind == unix.IFA_ADDRESS && !ok {
			a.Addr, ok = netip.AddrFromSlice(value)
		}
	}
	return int(binary.NativeEndian.Uint32(message.Data[4:])), a, ok
}

// attributes are a sequence of struct rtattr: kind and value.
func attributes(data []byte) func(yield func(kind uint16, value []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(data) >= unix.SizeofRtAttr {
			length := int(binary.NativeEndian.Uint16(data))
			kind := binary.NativeEndian.Uint16(data[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if length < unix.SizeofRtAttr || length > len(data) || !yield(kind, data[unix.SizeofRtAttr:length]) {
				return
			}
			data = data[min((length+3)&^3, len(data)):]
		}
	}
}

// watchNetwork yields whenever interfaces or addresses may have changed, until ctx
// ends.
func watchNetwork(ctx context.Context) (<-chan struct{}, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "rtnetlink")
	const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		file.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	changes := make(chan struct{}, 1)
	context.AfterFunc(ctx, func() { file.Close() })
	go func() {
		// What is read does not matter, nor whether some of it was lost: the
		// kernel is asked anew.
		for buf := make([]byte, 1<<15); ; {
			if _, err := file.Read(buf); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return // closed
			}
			select {
			case changes <- struct{}{}:
			default:
			}
		}
	}()
	return changes, nil
}
