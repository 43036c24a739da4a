// SPDX-License-Identifier: Apache-2.0

package listening_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"mandos/server/listening"
	"mandos/server/zeroconf/lantest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, wish listening.Wish) *listening.Sockets {
	t.Helper()
	sockets, err := listening.Open(wish, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serve(t, sockets)
	return sockets
}

// serve accepts until the test ends.
func serve(t *testing.T, sockets *listening.Sockets) {
	go func() {
		for {
			conn, err := sockets.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				conn.Close()
			}
		}
	}()
	t.Cleanup(func() { sockets.Close() })
}

func reach(host string, port uint16) error {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, fmt.Sprint(port)), 5*time.Second)
	if err == nil {
		conn.Close()
	}
	return err
}

func addresses(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

func TestWhereItListens(t *testing.T) {
	for sentence, c := range map[string]struct {
		wish      listening.Wish
		reached   []string
		unreached []string
		where     string // with PORT
		problem   string
	}{
		"by default on both protocols": {reached: []string{"::1", "127.0.0.1"}, where: "[::]:PORT"},
		"on IPv4 only": {
			wish: listening.Wish{IPv4Only: true}, reached: []string{"127.0.0.1"}, unreached: []string{"::1"}, where: "0.0.0.0:PORT"},
		"on one IPv6 address": {
			wish: listening.Wish{Addresses: addresses("::1")}, reached: []string{"::1"}, unreached: []string{"127.0.0.1"}, where: "[::1]:PORT"},
		"on one IPv4 address": {
			wish: listening.Wish{Addresses: addresses("127.0.0.1")}, reached: []string{"127.0.0.1"}, unreached: []string{"::1", "127.0.0.2"}, where: "127.0.0.1:PORT"},
		"on all IPv4 addresses": {
			wish: listening.Wish{Addresses: addresses("0.0.0.0")}, reached: []string{"127.0.0.1", "127.0.0.2"}, unreached: []string{"::1"}, where: "0.0.0.0:PORT"},
		"on a list of addresses, on one port": {
			wish:    listening.Wish{Addresses: addresses("127.0.0.1", "::1", "127.0.0.3")},
			reached: []string{"::1", "127.0.0.1", "127.0.0.3"}, unreached: []string{"127.0.0.2"},
			where: "127.0.0.1:PORT, [::1]:PORT, 127.0.0.3:PORT"},
		"on all addresses if that is one of the list": {
			wish: listening.Wish{Addresses: addresses("127.0.0.1", "::", "0.0.0.0")}, reached: []string{"::1", "127.0.0.1"}, where: "[::]:PORT"},
		"on one interface": {
			wish: listening.Wish{Interfaces: []string{"lo"}}, reached: []string{"::1", "127.0.0.1"}, where: "[::]:PORT on lo"},
		"on one address of one interface": {
			wish: listening.Wish{Interfaces: []string{"lo"}, Addresses: addresses("127.0.0.1")}, reached: []string{"127.0.0.1"}, unreached: []string{"::1"}, where: "127.0.0.1:PORT on lo"},
		"on an interface that is not there on all": {
			wish: listening.Wish{Interfaces: []string{"nosuch0"}}, reached: []string{"::1", "127.0.0.1"}, where: "[::]:PORT",
			problem: "interface nosuch0 does not exist, cannot bind to it; listening on all interfaces until it is there"},
		"on the one interface of the list that is there": {
			wish: listening.Wish{Interfaces: []string{"nosuch0", "lo"}}, reached: []string{"::1", "127.0.0.1"}, where: "[::]:PORT on lo",
			problem: "interface nosuch0 does not exist, cannot bind to it; it is listened on when it is there"},
		"on an address that is not there": {
			wish: listening.Wish{Addresses: addresses("192.0.2.99")}, unreached: []string{"127.0.0.1"}, where: "192.0.2.99:PORT",
			problem: "address 192.0.2.99 is on no interface; clients reach the server when it is"},
		"nowhere while the interface of a link-local address is not there": {
			wish: listening.Wish{Addresses: addresses("fe80::1%nosuch0")}, unreached: []string{"127.0.0.1", "::1"}, where: "nowhere",
			problem: "interface nosuch0 does not exist, cannot bind to it; it is listened on when it is there"},
	} {
		t.Run(sentence, func(t *testing.T) {
			sockets := open(t, c.wish)
			state := sockets.State()
			if where := strings.ReplaceAll(state.String(), fmt.Sprintf(":%d", state.Port), ":PORT"); where != c.where {
				t.Errorf("it listens on %q, not %q", where, c.where)
			}
			if got := strings.Join(state.Problems, "\n"); got != c.problem {
				t.Errorf("problems %q, not %q", got, c.problem)
			}
			for _, host := range c.reached {
				if err := reach(host, state.Port); err != nil {
					t.Errorf("%s: %v", host, err)
				}
			}
			for _, host := range c.unreached {
				if reach(host, state.Port) == nil {
					t.Errorf("%s is reached", host)
				}
			}
		})
	}
}

func TestATakenPortIsSaid(t *testing.T) {
	port := open(t, listening.Wish{}).State().Port
	for sentence, wish := range map[string]listening.Wish{
		"of all addresses":             {Port: port},
		"of one address":               {Port: port, Addresses: addresses("::1")},
		"of one interface of the list": {Port: port, Interfaces: []string{"nosuch0", "lo"}},
		"in place of an interface":     {Port: port, Interfaces: []string{"nosuch0"}},
	} {
		if _, err := listening.Open(wish, slog.New(slog.DiscardHandler)); !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "another program has the port") {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func TestInheritedSocket(t *testing.T) {
	for sentence, c := range map[string]struct {
		domain       int
		bind, listen bool
		host, where  string
	}{
		"not bound":           {domain: unix.AF_INET6, host: "::1", where: "::"},
		"bound":               {domain: unix.AF_INET6, bind: true, host: "::1", where: "::1"},
		"bound and listening": {domain: unix.AF_INET6, bind: true, listen: true, host: "::1", where: "::1"},
		"of IPv4":             {domain: unix.AF_INET, host: "127.0.0.1", where: "0.0.0.0"},
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
			state := open(t, listening.Wish{File: os.NewFile(uintptr(fd), "a socket")}).State()
			if state.Addresses() != c.where {
				t.Errorf("it listens on %s, not %s", state.Addresses(), c.where)
			}
			if err := reach(c.host, state.Port); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("that is no socket", func(t *testing.T) {
		file, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := listening.Open(listening.Wish{File: file}, nil); err == nil || !strings.Contains(err.Error(), "not a socket") {
			t.Error(err)
		}
	})
}

func TestNothingIsAcceptedOnceClosed(t *testing.T) {
	sockets, err := listening.Open(listening.Wish{Addresses: addresses("127.0.0.1", "::1")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	port := sockets.State().Port
	waiting, err := net.Dial("tcp", net.JoinHostPort("::1", fmt.Sprint(port))) // never accepted
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if err := errors.Join(sockets.Close(), sockets.Close()); err != nil {
		t.Error(err)
	}
	if _, err := sockets.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if reach("127.0.0.1", port) == nil {
		t.Error("it is reached")
	}
}

// onHost is a set of sockets on a host of its own, whose network changes.
type onHost struct {
	*listening.Sockets
	host *lantest.Host

	mu  sync.Mutex
	log bytes.Buffer
}

func (o *onHost) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(p)
}

func (o *onHost) logged(text string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Count(o.log.String(), text)
}

func openOn(h *lantest.Host, wish listening.Wish) *onHost {
	h.T.Helper()
	o := &onHost{host: h}
	ctx, cancel := context.WithCancel(context.Background())
	opened, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		h.Inside(func() {
			var err error
			o.Sockets, err = listening.Open(wish, slog.New(slog.NewTextHandler(o, nil)))
			opened <- err
			if err == nil {
				o.Run(ctx, func() {})
			}
		})
	}()
	h.T.Cleanup(func() {
		cancel()
		<-done
	})
	if err := <-opened; err != nil {
		h.T.Fatal(err)
	}
	serve(h.T, o.Sockets)
	return o
}

// becomes waits until the sockets are where they should be, and the problems and
// places what they should be.
func (o *onHost) becomes(where string, problems []string, places ...string) {
	o.host.T.Helper()
	where = strings.ReplaceAll(where, "PORT", fmt.Sprint(o.State().Port))
	lantest.Await(o.host.T, fmt.Sprintf("%s %q %q", where, problems, places), func() bool {
		state := o.State()
		return state.String() == where && slices.Equal(state.Problems, problems) && slices.Equal(placesOf(state), places)
	}, func() string { return fmt.Sprintf("%v %q %q", o.State(), o.State().Problems, placesOf(o.State())) })
}

func placesOf(state listening.State) (places []string) {
	if len(state.Places) > 0 && state.AllIPv6 {
		places = append(places, "all IPv6")
	}
	if len(state.Places) > 0 && state.AllIPv4 {
		places = append(places, "all IPv4")
	}
	for _, p := range state.Places {
		place := p.Interface + " IPv6"
		if p.IPv4 {
			place = p.Interface + " IPv4"
		}
		for _, a := range p.Addresses {
			place += " " + a.String()
		}
		places = append(places, place)
	}
	return places
}

// reached reports whether the other host reaches that address.
func (o *onHost) reached(from *lantest.Host, address string) bool {
	var err error
	from.Inside(func() { err = reach(address, o.State().Port) })
	return err == nil
}

// mustReach waits for the other host to be able to connect at all, which takes a
// moment after a link has come up.
func (o *onHost) mustReach(from *lantest.Host, address string, want bool) {
	o.host.T.Helper()
	if want {
		lantest.Await(o.host.T, fmt.Sprintf("%s reaches %s, and it listens on %v", from.Name, address, o.State()), func() bool { return o.reached(from, address) })
	} else if o.reached(from, address) {
		o.host.T.Errorf("%s reaches %s, but it listens on %v", from.Name, address, o.State())
	}
}

// wired makes two hosts with a cable: 192.0.2.1 and .2 on eth0, 198.51.100.1 and .2
// on a second cable, eth1.
func wired(t *testing.T, cables int) (here, there *lantest.Host) {
	here, there = lantest.NewHost(t), lantest.NewHost(t)
	here.Cable(there, "eth0")
	if cables > 1 {
		here.Cable(there, "eth1")
	}
	return here, there
}

func TestAnInterfaceThatIsMadeAgainIsListenedOnAgain(t *testing.T) {
	t.Parallel()
	here, there := wired(t, 1)
	for sentence, wish := range map[string]listening.Wish{
		"on a port that the kernel chose": {Interfaces: []string{"eth0"}},
		"on a fixed port":                 {Interfaces: []string{"eth0"}, Port: 4711},
		"on one address":                  {Interfaces: []string{"eth0"}, Addresses: addresses("192.0.2.1")},
	} {
		o := openOn(here, wish)
		where, places := "[::]:PORT on eth0", []string{"all IPv6", "eth0 IPv6"}
		problem := []string{"interface eth0 is gone; it is listened on again when it is back"}
		if len(wish.Addresses) > 0 {
			where, places = "192.0.2.1:PORT on eth0", []string{"eth0 IPv4 192.0.2.1"}
		}
		o.becomes(where, nil, places...)
		o.mustReach(there, "192.0.2.1", true)
		for range 2 {
			here.Run("ip", "link", "delete", "eth0")
			o.becomes("nowhere", problem)
			here.Cable(there, "eth0")
			o.becomes(where, nil, places...)
			o.mustReach(there, "192.0.2.1", true)
		}
		if n := o.logged(problem[0]); n != 2 {
			t.Errorf("%s: it was logged %d times, not twice, that the interface is gone", sentence, n)
		}
	}
}

func TestAnInterfaceThatIsReplacedAtOnceIsListenedOn(t *testing.T) {
	t.Parallel()
	here, there := wired(t, 2)
	o := openOn(here, listening.Wish{Interfaces: []string{"eth0"}})
	o.becomes("[::]:PORT on eth0", nil, "eth0 IPv6")
	o.mustReach(there, "198.51.100.1", false) // so eth1, which has IPv6, is none of the places
	here.Run("ip", "-batch", lines(t,
		"link set eth0 down", "link set eth1 down",
		"link set eth0 name eth2", "link set eth1 name eth0",
		"link set eth0 up", "link set eth2 up"))
	lantest.Await(t, "connections over the interface that is eth0 now", func() bool { return o.reached(there, "198.51.100.1") })
	o.mustReach(there, "192.0.2.1", false)
}

func lines(t *testing.T, lines ...string) (path string) {
	path = filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnInterfaceThatComesLateIsBoundTo(t *testing.T) {
	t.Parallel()
	here, there := wired(t, 1)
	o := openOn(here, listening.Wish{Interfaces: []string{"eth1", "eth2"}})
	until := func(name string) string {
		return "interface " + name + " does not exist, cannot bind to it; listening on all interfaces until it is there"
	}
	o.becomes("[::]:PORT", []string{until("eth1"), until("eth2")})
	o.mustReach(there, "192.0.2.1", true)

	here.Cable(there, "eth1")
	missing := "interface eth2 does not exist, cannot bind to it; it is listened on when it is there"
	o.becomes("[::]:PORT on eth1", []string{missing}, "eth1 IPv6")
	o.mustReach(there, "198.51.100.1", true)
	o.mustReach(there, "192.0.2.1", false)

	here.Run("ip", "link", "set", "eth0", "down")
	here.Run("ip", "link", "set", "eth0", "name", "eth2")
	here.Run("ip", "link", "set", "eth2", "up")
	o.becomes("[::]:PORT on eth1, [::]:PORT on eth2", nil, "all IPv6", "eth2 IPv6", "eth1 IPv6")
	o.mustReach(there, "192.0.2.1", true)

	here.Run("ip", "link", "delete", "eth1")
	o.becomes("[::]:PORT on eth2", []string{"interface eth1 is gone; it is listened on again when it is back"}, "all IPv6", "eth2 IPv6")
	here.Run("ip", "link", "delete", "eth2")
	// It does not listen where nobody meant to because of that.
	o.becomes("nowhere", []string{
		"interface eth1 is gone; it is listened on again when it is back",
		"interface eth2 is gone; it is listened on again when it is back"})
}

func TestAnInterfaceGoesByItsOtherName(t *testing.T) {
	t.Parallel()
	here, there := wired(t, 1)
	here.Run("ip", "link", "property", "add", "dev", "eth0", "altname", "uplink-of-the-house")
	o := openOn(here, listening.Wish{Interfaces: []string{"uplink-of-the-house"}})
	o.becomes("[::]:PORT on uplink-of-the-house", nil, "all IPv6", "eth0 IPv6")
	o.mustReach(there, "192.0.2.1", true)
	openOn(here, listening.Wish{Interfaces: []string{"uplink-of-the-house", "eth0"}}).
		becomes("[::]:PORT on uplink-of-the-house", nil, "all IPv6", "eth0 IPv6")
}

func TestAnAddressThatComesLateIsServed(t *testing.T) {
	t.Parallel()
	here, there := wired(t, 1)
	o := openOn(here, listening.Wish{Addresses: addresses("192.0.2.77", "2001:db8::77")})
	late := func(address string) string {
		return "address " + address + " is on no interface; clients reach the server when it is"
	}
	const where = "192.0.2.77:PORT, [2001:db8::77]:PORT"
	o.becomes(where, []string{late("192.0.2.77"), late("2001:db8::77")})
	here.Run("ip", "address", "add", "192.0.2.77/24", "dev", "eth0")
	o.becomes(where, []string{late("2001:db8::77")}, "eth0 IPv4 192.0.2.77")
	o.mustReach(there, "192.0.2.77", true)
	o.mustReach(there, "192.0.2.1", false)
	here.Run("ip", "address", "add", "2001:db8::77/64", "dev", "eth0")
	there.Run("ip", "address", "add", "2001:db8::2/64", "dev", "eth0")
	o.becomes(where, nil, "eth0 IPv6 2001:db8::77")
	o.mustReach(there, "2001:db8::77", true)
	here.Run("ip", "address", "delete", "192.0.2.77/24", "dev", "eth0")
	o.becomes(where, []string{late("192.0.2.77")}, "eth0 IPv6 2001:db8::77")
	for text, want := range map[string]int{late("192.0.2.77"): 2, late("2001:db8::77"): 1, "msg=listening": 2} {
		if n := o.logged(text); n != want {
			t.Errorf("it was logged %d times, not %d: %s", n, want, text)
		}
	}
}

func TestALinkLocalAddressFollowsItsInterface(t *testing.T) {
	t.Parallel()
	here, there := lantest.NewHost(t), lantest.NewHost(t)
	o := openOn(here, listening.Wish{Addresses: addresses("fe80::7%eth0")})
	o.becomes("nowhere", []string{"interface eth0 does not exist, cannot bind to it; it is listened on when it is there"})
	for range 2 {
		here.Cable(there, "eth0")
		o.becomes("[fe80::7%eth0]:PORT", []string{"address fe80::7 is on no interface; clients reach the server when it is"})
		here.Run("ip", "address", "add", "fe80::7/64", "dev", "eth0")
		o.becomes("[fe80::7%eth0]:PORT", nil, "eth0 IPv6 fe80::7")
		o.mustReach(there, "fe80::7%eth0", true)
		here.Run("ip", "link", "delete", "eth0")
		o.becomes("nowhere", []string{"interface eth0 is gone; it is listened on again when it is back"})
	}
}

func TestTheSameLinkLocalAddressOfAnotherInterfaceIsNoPlace(t *testing.T) {
	t.Parallel()
	here, _ := wired(t, 2)
	for _, name := range []string{"eth0", "eth1"} {
		here.Run("ip", "address", "add", "fe80::7/64", "dev", name)
	}
	openOn(here, listening.Wish{Addresses: addresses("fe80::7%eth0")}).becomes("[fe80::7%eth0]:PORT", nil, "eth0 IPv6 fe80::7")
}

func TestThePlaceIsWhereIPv6WorksAndElseIPv4(t *testing.T) {
	t.Parallel()
	here, there := wired(t, 2)
	everywhere := openOn(here, listening.Wish{})
	everywhere.becomes("[::]:PORT", nil, "all IPv6", "eth0 IPv6", "eth1 IPv6")
	onlyIPv4 := openOn(here, listening.Wish{IPv4Only: true})
	onlyIPv4.becomes("0.0.0.0:PORT", nil, "all IPv4", "eth0 IPv4", "eth1 IPv4")

	here.Run("sysctl", "-q", "-w", "net.ipv6.conf.eth1.disable_ipv6=1")
	everywhere.becomes("[::]:PORT", nil, "all IPv6", "eth0 IPv6", "eth1 IPv4")
	everywhere.mustReach(there, "198.51.100.1", true)
	here.Run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
	everywhere.becomes("[::]:PORT", nil, "all IPv6", "all IPv4", "eth0 IPv4", "eth1 IPv4")
	everywhere.mustReach(there, "192.0.2.1", true)

	// One that starts now is reached too.
	late := openOn(here, listening.Wish{})
	late.becomes("[::]:PORT", nil, "all IPv6", "all IPv4", "eth0 IPv4", "eth1 IPv4")
	late.mustReach(there, "192.0.2.1", true)
	onlyIPv6 := openOn(here, listening.Wish{Addresses: addresses("2001:db8::1")})
	onlyIPv6.becomes("[2001:db8::1]:PORT", []string{"address 2001:db8::1 is on no interface; clients reach the server when it is"})

	here.Run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=0")
	late.becomes("[::]:PORT", nil, "all IPv6", "eth0 IPv6", "eth1 IPv6")

	there.Run("ip", "link", "set", "eth0", "down") // as if the cable were out here
	late.becomes("[::]:PORT", nil, "all IPv6", "eth1 IPv6")
	there.Run("ip", "link", "set", "eth0", "up")
	late.becomes("[::]:PORT", nil, "all IPv6", "eth0 IPv6", "eth1 IPv6")
	here.Run("ip", "link", "set", "eth0", "down")
	here.Run("ip", "-4", "address", "flush", "dev", "eth1")
	here.Run("ip", "-6", "address", "flush", "dev", "eth1")
	late.becomes("[::]:PORT", nil)
	if want := "no network interface is up, with a cable and an address that the server listens on"; late.State().Nowhere != want {
		t.Errorf("nowhere because %q", late.State().Nowhere)
	}
	for _, wish := range []listening.Wish{{Interfaces: []string{"lo"}}, {Addresses: addresses("127.0.0.1", "::1")}} {
		if got := openOn(here, wish).State().Nowhere; got != "the server listens where no other host can connect to it" {
			t.Errorf("%+v: nowhere because %q", wish, got)
		}
	}
}

func TestAnAddressThatAnotherHostMayHaveIsNoPlace(t *testing.T) {
	t.Parallel()
	here, there := wired(t, 1)
	here.Run("ip", "-6", "address", "flush", "dev", "eth0")
	here.Run("sysctl", "-q", "-w", "net.ipv6.conf.eth0.accept_dad=1", "net.ipv6.conf.eth0.dad_transmits=1000000")
	o := openOn(here, listening.Wish{})
	o.becomes("[::]:PORT", nil, "all IPv6", "all IPv4", "eth0 IPv4")
	here.Run("ip", "address", "add", "2001:db8::5/64", "dev", "eth0") // which it finds out about for days
	o.becomes("[::]:PORT", nil)
	if want := "the IPv6 addresses are not ready yet"; o.State().Nowhere != want {
		t.Errorf("nowhere because %q", o.State().Nowhere)
	}
	here.Run("ip", "address", "delete", "2001:db8::5/64", "dev", "eth0")
	o.becomes("[::]:PORT", nil, "all IPv6", "all IPv4", "eth0 IPv4")

	here.Run("sysctl", "-q", "-w", "net.ipv6.conf.eth0.dad_transmits=1")
	there.Run("ip", "address", "add", "2001:db8::5/64", "dev", "eth0")
	here.Run("ip", "address", "add", "2001:db8::5/64", "dev", "eth0")
	lantest.Await(t, "the kernel to find the other host", func() bool {
		return strings.Contains(here.Run("ip", "-6", "address", "show", "dev", "eth0"), "dadfailed")
	})
	o.becomes("[::]:PORT", nil, "all IPv6", "all IPv4", "eth0 IPv4")
	here.Run("ip", "address", "add", "2001:db8::6/64", "dev", "eth0")
	o.becomes("[::]:PORT", nil, "all IPv6", "eth0 IPv6")
}
