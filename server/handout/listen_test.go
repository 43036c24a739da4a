// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestListen(t *testing.T) {
	for sentence, c := range map[string]struct {
		socket    Socket
		reached   []string
		unreached []string
		warned    string
	}{
		"by default on both protocols": {reached: []string{"::1", "127.0.0.1"}},
		"on IPv4 only":                 {socket: Socket{IPv4Only: true}, reached: []string{"127.0.0.1"}, unreached: []string{"::1"}},
		"on one IPv6 address":          {socket: Socket{Address: netip.IPv6Loopback()}, reached: []string{"::1"}, unreached: []string{"127.0.0.1"}},
		"on one IPv4 address":          {socket: Socket{Address: netip.MustParseAddr("127.0.0.1")}, reached: []string{"127.0.0.1"}, unreached: []string{"::1"}},
		"on a mapped address":          {socket: Socket{Address: netip.MustParseAddr("::ffff:127.0.0.1")}, reached: []string{"127.0.0.1"}, unreached: []string{"::1"}},
		"on one interface":             {socket: Socket{Interface: "lo"}, reached: []string{"::1", "127.0.0.1"}},
		"on an interface that is not there, with a warning, on all": {
			socket: Socket{Interface: "nosuch0"}, reached: []string{"::1"}, warned: "interface nosuch0 does not exist"},
	} {
		t.Run(sentence, func(t *testing.T) {
			var warned error
			listener, err := c.socket.Listen(t.Context(), func(err error) { warned = errors.Join(warned, err) })
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			if c.warned == "" && warned != nil || c.warned != "" && (warned == nil || !strings.Contains(warned.Error(), c.warned)) {
				t.Errorf("warned of %v, want %q", warned, c.warned)
			}
			port := addressPort(listener)
			for _, host := range c.reached {
				if err := reach(host, port); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
			for _, host := range c.unreached {
				if reach(host, port) == nil {
					t.Errorf("%s is reached", host)
				}
			}
		})
	}
}

func addressPort(listener net.Listener) string {
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func reach(host, port string) error {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), 5*time.Second)
	if err == nil {
		conn.Close()
	}
	return err
}

func TestListenOnATakenPortSaysSo(t *testing.T) {
	first, err := Socket{}.Listen(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	port := uint16(first.Addr().(*net.TCPAddr).Port)
	if _, err := (Socket{Port: port}).Listen(t.Context(), nil); !errors.Is(err, unix.EADDRINUSE) {
		t.Error(err)
	}
}

func TestInheritedSocket(t *testing.T) {
	for sentence, c := range map[string]struct {
		domain       int
		bind, listen bool
		host         string
	}{
		"not bound":           {domain: unix.AF_INET6, host: "::1"},
		"bound":               {domain: unix.AF_INET6, bind: true, host: "::1"},
		"bound and listening": {domain: unix.AF_INET6, bind: true, listen: true, host: "::1"},
		"of IPv4":             {domain: unix.AF_INET, host: "127.0.0.1"},
	} {
		t.Run(sentence, func(t *testing.T) {
			fd, err := unix.Socket(c.domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			if c.bind {
				err = unix.Bind(fd, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()})
			}
			if c.listen && err == nil {
				err = unix.Listen(fd, 1)
			}
			if err != nil {
				t.Fatal(err)
			}
			listener, err := Socket{File: os.NewFile(uintptr(fd), "a socket")}.Listen(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			if err := reach(c.host, addressPort(listener)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("that is no socket", func(t *testing.T) {
		file, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (Socket{File: file}).Listen(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Error(err)
		}
	})
}
