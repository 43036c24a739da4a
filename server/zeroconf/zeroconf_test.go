// SPDX-License-Identifier: Apache-2.0

package zeroconf_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mandos/server/debiantest"
	"mandos/server/zeroconf"
	"mandos/server/zeroconf/lantest"
)

// TestMain lets more tests run at once than there are processors, for they mostly
// wait.
func TestMain(m *testing.M) {
	debiantest.HaveUsers()
	flag.Parse()
	flag.Set("test.parallel", "20")
	goleak.VerifyTestMain(m)
}

// announcement is a running announcer on a host.
type announcement struct {
	*zeroconf.Announcer
	t        *testing.T
	attempts atomic.Int32
	stop     func()

	mu    sync.Mutex
	log   bytes.Buffer
	names []string
}

func (a *announcement) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.Write(p)
}

// text is all that was logged.
func (a *announcement) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.String()
}

// logged counts the records from the level INFO up that have that text.
func (a *announcement) logged(text string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Count(a.log.String(), text)
}

// renamed notes each name that the service has had.
func (a *announcement) renamed() {
	if name := a.Name(); name != a.names[len(a.names)-1] {
		a.names = append(a.names, name)
	}
}

// over6 is a place on the host.
func over6(h *lantest.Host, name string) zeroconf.Place {
	return zeroconf.Place{Interface: name, Index: int32(h.Index(name))}
}

func over4(h *lantest.Host, name string) zeroconf.Place {
	p := over6(h, name)
	p.IPv4 = true
	return p
}

func at(places ...zeroconf.Place) zeroconf.Target { return zeroconf.Target{Places: places} }

func announce(h *lantest.Host, service zeroconf.Service, prepare ...func(*announcement)) *announcement {
	h.T.Helper()
	service.Type = "_mandos._tcp"
	if service.Port == 0 {
		service.Port = 4711
	}
	a := &announcement{t: h.T, names: []string{service.Name}}
	a.Announcer = zeroconf.New(service, slog.New(slog.NewTextHandler(a, nil)), a.renamed)
	a.Use(h.BusAddress, func() { a.attempts.Add(1) })
	if h.Index("eth0") != 0 {
		a.Move(at(over6(h, "eth0")))
	}
	for _, f := range prepare {
		f(a)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Inside(func() { a.Run(ctx) })
	}()
	a.stop = func() {
		cancel()
		<-done
	}
	h.T.Cleanup(a.stop)
	return a
}

func (a *announcement) await(want string) {
	a.t.Helper()
	lantest.Await(a.t, want, func() bool { return a.State().String() == want }, func() string { return a.State().String() + "\n" + a.text() })
}

// sees waits until the host finds exactly those services.
func sees(h *lantest.Host, want ...string) {
	h.T.Helper()
	var got []string
	lantest.Await(h.T, fmt.Sprintf("the services %q", want), func() bool {
		got = h.Found()
		slices.Sort(got)
		return slices.Equal(got, want)
	}, func() string { return fmt.Sprintf("%q", got) })
}

const (
	mandos       = "eth0;IPv6;Mandos;4711;"
	mandos2      = "eth0;IPv6;Mandos #2;4711;"
	asMandos     = `announced as "Mandos" on eth0 over IPv6`
	asMandos2    = `announced as "Mandos #2" on eth0 over IPv6`
	waitsForBus  = "waiting: the system bus cannot be reached"
	waitsForMdns = "waiting: avahi-daemon is not running"
)

func TestAnnounced(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	sees(there, mandos)
	a.stop()
	sees(there)
	if a.State().Phase != zeroconf.Stopped || len(a.names) != 1 || a.logged("level=WARN") != 0 {
		t.Errorf("%v, renamed %q, log:\n%s", a.State(), a.names, a.log.String())
	}
}

func TestAnyNameIsKnownAgain(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	for _, name := range []string{`Büro "3". \ x;=`, strings.Repeat("é", 31)} {
		a := announce(here, zeroconf.Service{Name: name})
		a.await(fmt.Sprintf("announced as %q on eth0 over IPv6", name))
		lantest.Await(t, "it", func() bool { return len(there.Found()) == 1 })
		a.stop()
		sees(there)
	}
}

func TestAnnouncedOverIPv4(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	a.Move(at(over4(here, "eth0")))
	a.await(`announced as "Mandos" on eth0 over IPv4`)
	sees(there, "eth0;IPv4;Mandos;4711;")
}

func TestAnnouncedOnOneInterface(t *testing.T) {
	t.Parallel()
	here, there := twoCables(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.Move(at(over6(here, "eth1")))
	a.await(`announced as "Mandos" on eth1 over IPv6`)
	sees(there, "eth1;IPv6;Mandos;4711;")
}

func twoCables(t *testing.T) (here, there *lantest.Host) {
	here, there = lantest.NewHost(t), lantest.NewHost(t)
	here.Cable(there, "eth0")
	here.Cable(there, "eth1")
	for _, h := range []*lantest.Host{here, there} {
		h.StartBus()
		h.StartAvahi()
	}
	return here, there
}

func TestPlacesComeAndGoOneByOne(t *testing.T) {
	t.Parallel()
	here, there := twoCables(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.Move(at(over6(here, "eth0"), over4(here, "eth1")))
	a.await(`announced as "Mandos" on eth0 over IPv6, eth1 over IPv4`)
	sees(there, mandos, "eth1;IPv4;Mandos;4711;")
	a.Move(at(over6(here, "eth0")))
	sees(there, mandos)
	a.await(asMandos)
	a.Move(zeroconf.Target{Nowhere: "there is no network"})
	a.await("waiting: there is no network")
	sees(there)
	a.Move(at(over4(here, "eth0")))
	a.await(`announced as "Mandos" on eth0 over IPv4`)
	sees(there, "eth0;IPv4;Mandos;4711;")
}

// TestAllPlacesOfOneKindAreWithdrawn: Avahi tells only one network of the end of
// several services that differ in nothing but their interface.
func TestAllPlacesOfOneKindAreWithdrawn(t *testing.T) {
	t.Parallel()
	here, there := twoCables(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	all := at(over6(here, "eth0"), over6(here, "eth1"))
	all.AllIPv6 = true
	a.Move(all)
	a.await(`announced as "Mandos" on eth0 over IPv6, eth1 over IPv6`)
	sees(there, mandos, "eth1;IPv6;Mandos;4711;")
	all = at(over4(here, "eth0"), over4(here, "eth1"))
	all.AllIPv4 = true
	a.Move(all)
	a.await(`announced as "Mandos" on eth0 over IPv4, eth1 over IPv4`)
	sees(there, "eth0;IPv4;Mandos;4711;", "eth1;IPv4;Mandos;4711;")
	a.stop()
	sees(there)
}

// TestOneAddressIsAnnouncedAlone has two addresses on an interface, one of which the
// server listens on.
func TestOneAddressIsAnnouncedAlone(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	here.Run("ip", "address", "add", "192.0.2.77/24", "dev", "eth0")
	here.Run("ip", "address", "add", "2001:db8::7/64", "dev", "eth0")
	for _, address := range []string{"192.0.2.77", "2001:db8::7"} {
		place := zeroconf.Place{Interface: "eth0", Index: int32(here.Index("eth0")), Addresses: []netip.Addr{netip.MustParseAddr(address)}}
		place.IPv4 = place.Addresses[0].Is4()
		a := announce(here, zeroconf.Service{Name: "Mandos"})
		a.Move(at(place))
		a.await(fmt.Sprintf("announced as %q on %v", "Mandos", place))
		for range 3 { // it would be any of them
			if found := there.Browse(); len(found) != 1 || found[0].Address != address {
				t.Fatalf("%s is not found, but %v", address, found)
			}
		}
		a.stop()
		sees(there)
	}
}

// TestAnnouncedIsWhatABrowserFinds: Avahi says that a service is established which
// is on no network.
func TestAnnouncedIsWhatABrowserFinds(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	here.Run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
	a := announce(here, zeroconf.Service{Name: "Mandos"}, func(a *announcement) { a.SightWithin(time.Second) })
	a.await("waiting: avahi-daemon shows the service on no network; is there a cable, and what do the interfaces and protocols in avahi-daemon.conf say?")
	sees(there)
	here.Run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=0")
	a.await(asMandos)
	sees(there, mandos)
}

func TestInterfaceGoesDownAndUp(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"}, func(a *announcement) { a.SightWithin(time.Second) })
	a.await(asMandos)
	here.Run("ip", "link", "set", "eth0", "down")
	lantest.Await(t, "that it is not called announced", func() bool { return a.State().Phase == zeroconf.Waiting })
	lantest.Kill(there.Avahi) // it would go on showing what it remembers
	there.StartAvahi()
	sees(there)
	here.Run("ip", "link", "set", "eth0", "up")
	a.await(asMandos)
	sees(there, mandos)

	here.Run("ip", "link", "delete", "eth0")
	a.Move(zeroconf.Target{Nowhere: "interface eth0 is gone"})
	a.await("waiting: interface eth0 is gone")
	here.Cable(there, "eth0")
	a.Move(at(over6(here, "eth0")))
	a.await(asMandos)
	sees(there, mandos)
	if n := a.logged("interface eth0 is gone"); n != 1 {
		t.Errorf("the loss of the interface was logged %d times, not once", n)
	}
}

func TestNameTakenOnTheNetwork(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	announce(there, zeroconf.Service{Name: "Mandos"}).await(asMandos)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos2)
	sees(here, mandos2, mandos)
	a.stop()
	if !slices.Equal(a.names, []string{"Mandos", "Mandos #2"}) || a.logged("Zeroconf service name collision") != 1 {
		t.Errorf("renamed %q, log:\n%s", a.names, a.log.String())
	}
}

func TestNameTakenOnTheSameHost(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	announce(here, zeroconf.Service{Name: "Mandos"}).await(asMandos)
	a := announce(here, zeroconf.Service{Name: "Mandos", Port: 4712})
	a.await(asMandos2)
	sees(there, "eth0;IPv6;Mandos #2;4712;", mandos)
	a.stop()
	if !slices.Equal(a.names, []string{"Mandos", "Mandos #2"}) || a.logged("Local Zeroconf service name collision") != 1 {
		t.Errorf("renamed %q, log:\n%s", a.names, a.log.String())
	}
}

func TestAvahiIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	for range 2 {
		lantest.Kill(here.Avahi)
		a.await(waitsForMdns)
		here.StartAvahi()
		a.await(asMandos)
	}
	sees(there, mandos)
	if lost, found := a.logged(waitsForMdns[len("waiting: "):]), a.logged("established"); lost != 2 || found != 3 {
		t.Errorf("logged %d losses and %d announcements:\n%s", lost, found, a.log.String())
	}
}

func TestBusIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	lantest.Kill(here.Bus)
	a.await(waitsForBus)
	lantest.Kill(here.Avahi)
	here.StartBus()
	a.await(waitsForMdns)
	here.StartAvahi()
	a.await(asMandos)
	sees(there, mandos)
	if n := a.logged("level=WARN"); n != 2 {
		t.Errorf("logged %d times that it waits, not twice:\n%s", n, a.log.String())
	}
}

// TestBusThatWasRestartedGetsAvahiBack: Avahi has ended with the bus, and comes when
// somebody asks for it.
func TestBusThatWasRestartedGetsAvahiBack(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	here.ActivateAvahi()

	// Whoever stops it alone means to.
	lantest.Kill(here.Avahi)
	a.await(waitsForMdns)
	here.StartAvahi()
	a.await(asMandos)

	// Avahi may go before the bus, and not only with it.
	here.EndAvahi()
	a.await(waitsForMdns)
	lantest.Kill(here.Bus)
	here.StartBus()
	a.await(asMandos)
	sees(there, mandos)
	if n := a.logged(waitsForMdns[len("waiting: "):]); n < 1 || n > 3 {
		t.Errorf("logged %d times that Avahi is not running:\n%s", n, a.log.String())
	}
}

func TestNothingThereAtTheStart(t *testing.T) {
	t.Parallel()
	here, there := lantest.NewHost(t), lantest.NewHost(t)
	here.Cable(there, "eth0")
	there.StartBus()
	there.StartAvahi()
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(waitsForBus)
	a.Move(zeroconf.Target{Nowhere: "there is no network"})
	here.StartBus()
	a.await(waitsForMdns)
	here.StartAvahi()
	a.await("waiting: there is no network")
	a.Move(at(over6(here, "eth0")))
	a.await(asMandos)
	sees(there, mandos)
}

func TestHostNameChanges(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	name := here.Name + "-renamed"
	here.Run("avahi-set-host-name", name)
	lantest.Await(t, "the service on "+name, func() bool {
		out, _ := there.Command("avahi-browse", "--resolve", "--parsable", "--terminate", "_mandos._tcp").Output()
		return strings.Contains(string(out), ";"+name+".local;")
	})
	a.await(asMandos)
	if n := a.logged("level=WARN"); n != 0 {
		t.Errorf("the change was logged as trouble:\n%s", a.log.String())
	}
}

func TestAvahiHangs(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	here.Avahi.Process.Signal(syscall.SIGSTOP)
	a := announce(here, zeroconf.Service{Name: "Mandos"}, func(a *announcement) { a.AnswerWithin(time.Second) })
	a.await("waiting: the bus or avahi-daemon does not answer")
	here.Avahi.Process.Signal(syscall.SIGCONT)
	a.await(asMandos)
	sees(there, mandos)
}

func TestAvahiHangsLater(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"}, func(a *announcement) {
		a.FeelPulse(100 * time.Millisecond)
		a.AnswerWithin(2 * time.Second)
	})
	a.await(asMandos)
	here.Avahi.Process.Signal(syscall.SIGSTOP)
	a.await("waiting: the bus or avahi-daemon does not answer")
	here.Avahi.Process.Signal(syscall.SIGCONT)
	a.await(asMandos)
	sees(there, mandos)
}

// TestNoBusyLoop looks at what the process does while there is no bus, which it
// had before.
func TestNoBusyLoop(t *testing.T) {
	here, _ := lantest.Pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	lantest.Kill(here.Bus)
	a.await(waitsForBus)
	attempts, before := a.attempts.Load(), cpu(t)
	time.Sleep(time.Second)
	if used := cpu(t) - before; used > time.Second/2 {
		t.Errorf("%v of processor time in a second of waiting", used)
	}
	if n := a.attempts.Load() - attempts; n > 3 {
		t.Errorf("%d attempts to connect in a second", n)
	}
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// TestBusOfTheEnvironment finds the bus where DBUS_SYSTEM_BUS_ADDRESS says.
func TestBusOfTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+path)
	a := zeroconf.New(zeroconf.Service{Name: "Mandos"}, slog.New(slog.DiscardHandler), func() {})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Run(ctx)
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	// It ends at once, even while it waits for the bus.
	cancel()
	<-done
	conn.Close()
}
