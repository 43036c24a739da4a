// SPDX-License-Identifier: Apache-2.0

package listening

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// backlog is how many connections may wait to be accepted; the kernel has a limit
// of its own (net.core.somaxconn).
const backlog = 4096

// end is one socket that there should be.
type end struct {
	iface   string     // all if empty
	address netip.Addr // all if zero; a link-local one has no zone
}

// linkLocal reports whether the address means nothing without the interface.
func (e end) linkLocal() bool { return e.address.Is6() && e.address.IsLinkLocalUnicast() }

// socket is one that is open.
type socket struct {
	end
	index      int // of the interface that it is bound to; 0 is all
	listener   *net.TCPListener
	ipv6, ipv4 bool // what it serves
}

func (s *socket) port() uint16 { return uint16(s.listener.Addr().(*net.TCPAddr).Port) }

// open opens the socket, on the interface with that index if it is not 0. It does
// not matter whether the machine has the address.
func (e end) open(index int, port uint16, ipv4Only bool) (*socket, error) {
	if ipv4Only || e.address.Is4() {
		return e.openFamily(unix.AF_INET, index, port)
	}
	s, err := e.openFamily(unix.AF_INET6, index, port)
	if !e.address.IsValid() && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
		return e.openFamily(unix.AF_INET, index, port) // the kernel has no IPv6
	}
	return s, err
}

func (e end) openFamily(family, index int, port uint16) (*socket, error) {
	file, err := newSocket(family)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := e.bind(file, family, index, port); err != nil {
		return nil, err
	}
	s, err := listenOn(file)
	if err != nil {
		return nil, err
	}
	s.end, s.index = e, index
	s.ipv6 = family == unix.AF_INET6
	s.ipv4 = !s.ipv6 || !e.address.IsValid()
	return s, nil
}

// newSocket makes a socket that binds to a port where others are still closing.
func newSocket(family int) (*os.File, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) && family == unix.AF_INET6 {
		return nil, fmt.Errorf("cannot listen: this kernel has no IPv6: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", os.NewSyscallError("socket", err))
	}
	file := os.NewFile(uintptr(fd), "a socket")
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot listen: %w", os.NewSyscallError("setsockopt", err))
	}
	return file, nil
}

func (e end) bind(file *os.File, family, index int, port uint16) error {
	fd := int(file.Fd())
	// A link-local address is bound to the interface by the bind itself, which
	// needs no rights on any kernel.
	if index != 0 && !e.linkLocal() {
		if err := bindToInterface(fd, e.iface, index); err != nil {
			return err
		}
	}
	if err := e.bindAddress(fd, family, index, port); err != nil {
		return fmt.Errorf("cannot listen on %v: %w", e.addressPort(family, port), explainBind(err, port))
	}
	return nil
}

func (e end) bindAddress(fd, family, index int, port uint16) error {
	if family == unix.AF_INET {
		to := &unix.SockaddrInet4{Port: int(port)}
		if e.address.IsValid() {
			to.Addr = e.address.As4()
			if err := setOption(fd, unix.SOL_IP, unix.IP_FREEBIND, 1); err != nil {
				return err
			}
		}
		return unix.Bind(fd, to)
	}
	to := &unix.SockaddrInet6{Port: int(port)}
	option, value := unix.IPV6_V6ONLY, 0 // whatever net.ipv6.bindv6only says
	if e.address.IsValid() {
		to.Addr = e.address.As16()
		option, value = unix.IPV6_FREEBIND, 1
	}
	if e.linkLocal() {
		to.ZoneId = uint32(index)
	}
	if err := setOption(fd, unix.SOL_IPV6, option, value); err != nil {
		return err
	}
	return unix.Bind(fd, to)
}

// setOption does without an option that the kernel is too old for: then an
// address must be there.
func setOption(fd, level, option, value int) error {
	if err := unix.SetsockoptInt(fd, level, option, value); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return os.NewSyscallError("setsockopt", err)
	}
	return nil
}

func (e end) addressPort(family int, port uint16) netip.AddrPort {
	address := e.address
	switch {
	case address.IsValid():
	case family == unix.AF_INET:
		address = netip.IPv4Unspecified()
	default:
		address = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(address, port)
}

func explainBind(err error, port uint16) error {
	switch {
	case errors.Is(err, unix.EACCES) && port != 0 && port < 1024:
		return fmt.Errorf("a port below 1024 needs root or CAP_NET_BIND_SERVICE, which the server gives up once it has started; restart it, or use another port: %w", err)
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("another program has the port; end it, or use another port: %w", err)
	}
	return err
}

// bindError is why a socket cannot be bound to an interface.
type bindError struct {
	iface string
	err   error
}

func (e *bindError) Unwrap() error { return e.err }

func (e *bindError) Error() string {
	if errors.Is(e.err, unix.EPERM) {
		return fmt.Sprintf("no permission to bind to interface %s: before Linux 5.7 it takes root or CAP_NET_RAW, which the server gives up once it has started; restart it as root", e.iface)
	}
	return fmt.Sprintf("cannot bind to interface %s: %v", e.iface, e.err)
}

// bindToInterface prefers the index, for an interface has several names and a socket
// is bound by only one of them. The index needs Linux 5.1.
func bindToInterface(fd int, iface string, index int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, index)
	if errors.Is(err, unix.ENOPROTOOPT) {
		err = unix.BindToDevice(fd, iface)
	}
	if err != nil {
		return &bindError{iface, err}
	}
	return nil
}

// bindTo limits a socket that listens on all interfaces already.
func (s *socket) bindTo(iface string, index int) error {
	raw, err := s.listener.SyscallConn()
	if err != nil {
		return err
	}
	var bindErr error
	err = raw.Control(func(fd uintptr) { bindErr = bindToInterface(int(fd), iface, index) })
	if err = errors.Join(err, bindErr); err != nil {
		return err
	}
	s.iface, s.index = iface, index
	return nil
}

// reserve takes a free port, for good, for several sockets to share.
func reserve(ipv4Only bool) (*os.File, uint16, error) {
	family := unix.AF_INET6
	if ipv4Only {
		family = unix.AF_INET
	}
	file, err := newSocket(family)
	if err == nil {
		if err = (end{}).bind(file, family, 0, 0); err != nil {
			file.Close()
		}
	}
	if err != nil && !ipv4Only {
		return reserve(true)
	}
	if err != nil {
		return nil, 0, err
	}
	name, err := unix.Getsockname(int(file.Fd()))
	if err != nil {
		file.Close()
		return nil, 0, fmt.Errorf("cannot listen: %w", os.NewSyscallError("getsockname", err))
	}
	_, port := addressOf(name)
	return file, port, nil
}

// listenOn makes a bound socket listen. The file may be closed then.
func listenOn(file *os.File) (*socket, error) {
	err := unix.Listen(int(file.Fd()), backlog)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("cannot listen: %w", explainBind(err, 0))
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a socket to listen on: %w", file.Name(), err)
	}
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s: %w", file.Name(), err)
	}
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		listener.Close()
		return nil, fmt.Errorf("%s is not a TCP socket", file.Name())
	}
	return &socket{listener: tcp}, nil
}

// inherited takes over a socket that whoever started us has opened, whether it
// listens already or not, and finds out what it serves.
func inherited(file *os.File) (*socket, error) {
	defer file.Close()
	s, err := listenOn(file)
	if err != nil {
		return nil, err
	}
	fd := int(file.Fd())
	name, err := unix.Getsockname(fd)
	if err != nil {
		s.listener.Close()
		return nil, fmt.Errorf("cannot use %s: %w", file.Name(), os.NewSyscallError("getsockname", err))
	}
	address, _ := addressOf(name)
	only, err := unix.GetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY)
	s.ipv6 = address.Is6() && !address.Is4In6()
	s.ipv4 = !s.ipv6 || address.IsUnspecified() && err == nil && only == 0
	if !address.IsUnspecified() {
		s.address = address.Unmap()
	} else if address.Is4() {
		s.address = address
	}
	if index, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX); err == nil && index != 0 {
		s.index = index
		if link, err := net.InterfaceByIndex(index); err == nil {
			s.iface = link.Name
		}
	}
	return s, nil
}

// addressOf leaves the zone of a link-local address out.
func addressOf(name unix.Sockaddr) (netip.Addr, uint16) {
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(name.Addr), uint16(name.Port)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(name.Addr), uint16(name.Port)
	}
	return netip.Addr{}, 0
}
