// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"net"
	"net/netip"
	"testing"
)

func TestInterfaceThatAConnectionCameInBy(t *testing.T) {
	for sentence, c := range map[string]struct{ network, listen, dial string }{
		"a socket of IPv4":                  {"tcp4", "127.0.0.1:0", "127.0.0.1"},
		"a socket of IPv6":                  {"tcp6", "[::1]:0", "::1"},
		"an IPv4 peer at a socket of IPv6":  {"tcp", "[::]:0", "127.0.0.1"},
		"an IPv6 peer at a socket for both": {"tcp", "[::]:0", "::1"},
	} {
		t.Run(sentence, func(t *testing.T) {
			listener, err := net.Listen(c.network, c.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			_, port, _ := net.SplitHostPort(listener.Addr().String())
			peer, err := net.Dial("tcp", net.JoinHostPort(c.dial, port))
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if got := interfaceOf(conn); got != "lo" {
				t.Errorf("it came in by %q", got)
			}
		})
	}
	pipe, _ := net.Pipe()
	if got := interfaceOf(pipe); got != "" {
		t.Errorf("a pipe came in by %q", got)
	}
}

func TestInterfaceToAnAddress(t *testing.T) {
	for sentence, c := range map[string]struct{ address, want string }{
		"the machine itself, by IPv4": {"127.0.0.1", "lo"},
		"the machine itself, by IPv6": {"::1", "lo"},
		"a link-local address":        {"fe80::1%anything", "anything"},
	} {
		if got := InterfaceTo(netip.MustParseAddr(c.address)); got != c.want {
			t.Errorf("%s: %q, want %q", sentence, got, c.want)
		}
	}
	if got := InterfaceTo(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
}
