// SPDX-License-Identifier: Apache-2.0

package zeroconf_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mandos/server/zeroconf"
	"mandos/server/zeroconf/lantest"
)

// TestMain lets more tests run at once than there are processors, for they mostly
// wait.
func TestMain(m *testing.M) {
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

// logged counts the records from the level INFO up that have that text.
func (a *announcement) logged(text string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Count(a.log.String(), text)
}

func announce(h *lantest.Host, service zeroconf.Service, prepare ...func(*announcement)) *announcement {
	h.T.Helper()
	service.Type = "_mandos._tcp"
	if service.Port == 0 {
		service.Port = 4711
	}
	a := &announcement{t: h.T}
	a.Announcer = zeroconf.New(service, slog.New(slog.NewTextHandler(a, nil)), func(name string) { a.names = append(a.names, name) })
	a.Use(h.BusAddress, func() { a.attempts.Add(1) })
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
	lantest.Await(a.t, want, func() bool { return a.State().String() == want }, func() string { return a.State().String() + "\n" + a.log.String() })
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
	asMandos     = `announced as "Mandos"`
	asMandos2    = `announced as "Mandos #2"`
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
	if a.State().Phase != zeroconf.Stopped || len(a.names) != 0 || a.logged("level=WARN") != 0 {
		t.Errorf("%v, renamed %q, log:\n%s", a.State(), a.names, a.log.String())
	}
}

func TestAnnouncedOverIPv4(t *testing.T) {
	t.Parallel()
	here, there := lantest.Pair(t)
	announce(here, zeroconf.Service{Name: "Mandos", IPv4: true}).await(asMandos)
	sees(there, "eth0;IPv4;Mandos;4711;")
}

func TestAnnouncedOnOneInterface(t *testing.T) {
	t.Parallel()
	here, there := lantest.NewHost(t), lantest.NewHost(t)
	here.Cable(there, "eth0")
	here.Cable(there, "eth1")
	for _, h := range []*lantest.Host{here, there} {
		h.StartBus()
		h.StartAvahi()
	}
	a := announce(here, zeroconf.Service{Name: "Mandos", Interface: "eth1"})
	a.await(asMandos)
	sees(there, "eth1;IPv6;Mandos;4711;")
}

func TestInterfaceComesAndGoes(t *testing.T) {
	t.Parallel()
	here, there := lantest.NewHost(t), lantest.NewHost(t)
	for _, h := range []*lantest.Host{here, there} {
		h.StartBus()
		h.StartAvahi()
	}
	a := announce(here, zeroconf.Service{Name: "Mandos", Interface: "eth0"})
	a.await("waiting: there is no interface eth0")
	here.Cable(there, "eth0")
	a.await(asMandos)
	sees(there, mandos)

	here.Run("ip", "link", "set", "eth0", "down")
	lantest.Kill(there.Avahi) // it would go on showing what it remembers
	there.StartAvahi()
	sees(there)
	here.Run("ip", "link", "set", "eth0", "up")
	sees(there, mandos)

	here.Run("ip", "link", "delete", "eth0")
	a.await("waiting: there is no interface eth0")
	here.Cable(there, "eth0")
	a.await(asMandos)
	sees(there, mandos)
	if n := a.logged("there is no interface eth0"); n != 2 {
		t.Errorf("the loss of the interface was logged %d times, not twice", n)
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
	if !slices.Equal(a.names, []string{"Mandos #2"}) || a.logged("Zeroconf service name collision") != 1 {
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
	if !slices.Equal(a.names, []string{"Mandos #2"}) || a.logged("Local Zeroconf service name collision") != 1 {
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

func TestNothingThereAtTheStart(t *testing.T) {
	t.Parallel()
	here, there := lantest.NewHost(t), lantest.NewHost(t)
	here.Cable(there, "eth0")
	there.StartBus()
	there.StartAvahi()
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(waitsForBus)
	here.StartBus()
	a.await(waitsForMdns)
	here.StartAvahi()
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
	a := zeroconf.New(zeroconf.Service{Name: "Mandos"}, slog.New(slog.DiscardHandler), func(string) {})
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
