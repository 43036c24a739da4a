// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Socket says where to listen.
type Socket struct {
	// Interface limits the socket to a network interface, if not empty. Failing
	// to do so is reported to Warn and the socket is not limited.
	Interface string
	// Address is the local address; the zero Addr means any.
	Address netip.Addr
	// Port is the TCP port; 0 lets the kernel choose.
	Port uint16
	// IPv4Only leaves IPv6 aside. Otherwise the socket serves both.
	IPv4Only bool
	// File is an inherited socket to use instead, if not nil. Listen closes it.
	File *os.File
}

// Listen opens the socket. warn is told what is not fatal.
func (s Socket) Listen(ctx context.Context, warn func(error)) (*net.TCPListener, error) {
	if s.File != nil {
		return inherited(s.File)
	}
	network := "tcp"
	if s.IPv4Only {
		network = "tcp4"
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		if s.Interface == "" {
			return nil
		}
		return raw.Control(func(fd uintptr) {
			if err := unix.BindToDevice(int(fd), s.Interface); err != nil {
				warn(bindError(s.Interface, err))
			}
		})
	}}
	listener, err := config.Listen(ctx, network, s.hostPort())
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	return listener.(*net.TCPListener), nil
}

func (s Socket) hostPort() string {
	host := ""
	if s.Address.IsValid() {
		address := s.Address
		if address.IsLinkLocalUnicast() && address.Is6() && address.Zone() == "" {
			address = address.WithZone(s.Interface)
		}
		host = address.String()
	}
	return net.JoinHostPort(host, fmt.Sprint(s.Port))
}

func bindError(name string, err error) error {
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("interface %s does not exist, cannot bind to it; listening on all interfaces", name)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("no permission to bind to interface %s; listening on all interfaces: start as root or with CAP_NET_RAW", name)
	}
	return fmt.Errorf("cannot bind to interface %s; listening on all interfaces: %w", name, err)
}

// inherited takes over a socket that whoever started us has opened, whether it
// listens already or not.
func inherited(file *os.File) (*net.TCPListener, error) {
	defer file.Close()
	if err := unix.Listen(int(file.Fd()), unix.SOMAXCONN); err != nil {
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
	return tcp, nil
}
