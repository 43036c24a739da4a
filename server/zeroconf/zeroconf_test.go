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

func announce(h *host, service zeroconf.Service, prepare ...func(*announcement)) *announcement {
	h.t.Helper()
	service.Type = "_mandos._tcp"
	if service.Port == 0 {
		service.Port = 4711
	}
	a := &announcement{t: h.t}
	a.Announcer = zeroconf.New(service, slog.New(slog.NewTextHandler(a, nil)), func(name string) { a.names = append(a.names, name) })
	a.Use(h.address, func() { a.attempts.Add(1) })
	for _, f := range prepare {
		f(a)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.inside(func() { a.Run(ctx) })
	}()
	a.stop = func() {
		cancel()
		<-done
	}
	h.t.Cleanup(a.stop)
	return a
}

func (a *announcement) await(want string) {
	a.t.Helper()
	await(a.t, want, func() bool { return a.State().String() == want }, func() string { return a.State().String() + "\n" + a.log.String() })
}

// sees waits until the host finds exactly those services.
func (h *host) sees(want ...string) {
	h.t.Helper()
	var got []string
	await(h.t, fmt.Sprintf("the services %q", want), func() bool {
		got = h.found()
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
	here, there := pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	there.sees(mandos)
	a.stop()
	there.sees()
	if a.State().Phase != zeroconf.Stopped || len(a.names) != 0 || a.logged("level=WARN") != 0 {
		t.Errorf("%v, renamed %q, log:\n%s", a.State(), a.names, a.log.String())
	}
}

func TestAnnouncedOverIPv4(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	announce(here, zeroconf.Service{Name: "Mandos", IPv4: true}).await(asMandos)
	there.sees("eth0;IPv4;Mandos;4711;")
}

func TestAnnouncedOnOneInterface(t *testing.T) {
	t.Parallel()
	here, there := newHost(t), newHost(t)
	here.cable(there, "eth0")
	here.cable(there, "eth1")
	for _, h := range []*host{here, there} {
		h.startBus()
		h.startAvahi()
	}
	a := announce(here, zeroconf.Service{Name: "Mandos", Interface: "eth1"})
	a.await(asMandos)
	there.sees("eth1;IPv6;Mandos;4711;")
}

func TestInterfaceComesAndGoes(t *testing.T) {
	t.Parallel()
	here, there := newHost(t), newHost(t)
	for _, h := range []*host{here, there} {
		h.startBus()
		h.startAvahi()
	}
	a := announce(here, zeroconf.Service{Name: "Mandos", Interface: "eth0"})
	a.await("waiting: there is no interface eth0")
	here.cable(there, "eth0")
	a.await(asMandos)
	there.sees(mandos)

	here.run("ip", "link", "set", "eth0", "down")
	kill(there.avahi) // it would go on showing what it remembers
	there.startAvahi()
	there.sees()
	here.run("ip", "link", "set", "eth0", "up")
	there.sees(mandos)

	here.run("ip", "link", "delete", "eth0")
	a.await("waiting: there is no interface eth0")
	here.cable(there, "eth0")
	a.await(asMandos)
	there.sees(mandos)
	if n := a.logged("there is no interface eth0"); n != 2 {
		t.Errorf("the loss of the interface was logged %d times, not twice", n)
	}
}

func TestNameTakenOnTheNetwork(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	announce(there, zeroconf.Service{Name: "Mandos"}).await(asMandos)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos2)
	here.sees(mandos2, mandos)
	a.stop()
	if !slices.Equal(a.names, []string{"Mandos #2"}) || a.logged("Zeroconf service name collision") != 1 {
		t.Errorf("renamed %q, log:\n%s", a.names, a.log.String())
	}
}

func TestNameTakenOnTheSameHost(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	announce(here, zeroconf.Service{Name: "Mandos"}).await(asMandos)
	a := announce(here, zeroconf.Service{Name: "Mandos", Port: 4712})
	a.await(asMandos2)
	there.sees("eth0;IPv6;Mandos #2;4712;", mandos)
	a.stop()
	if !slices.Equal(a.names, []string{"Mandos #2"}) || a.logged("Local Zeroconf service name collision") != 1 {
		t.Errorf("renamed %q, log:\n%s", a.names, a.log.String())
	}
}

func TestAvahiIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	for range 2 {
		kill(here.avahi)
		a.await(waitsForMdns)
		here.startAvahi()
		a.await(asMandos)
	}
	there.sees(mandos)
	if lost, found := a.logged(waitsForMdns[len("waiting: "):]), a.logged("established"); lost != 2 || found != 3 {
		t.Errorf("logged %d losses and %d announcements:\n%s", lost, found, a.log.String())
	}
}

func TestBusIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	kill(here.bus)
	a.await(waitsForBus)
	kill(here.avahi)
	here.startBus()
	a.await(waitsForMdns)
	here.startAvahi()
	a.await(asMandos)
	there.sees(mandos)
	if n := a.logged("level=WARN"); n != 2 {
		t.Errorf("logged %d times that it waits, not twice:\n%s", n, a.log.String())
	}
}

func TestNothingThereAtTheStart(t *testing.T) {
	t.Parallel()
	here, there := newHost(t), newHost(t)
	here.cable(there, "eth0")
	there.startBus()
	there.startAvahi()
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(waitsForBus)
	here.startBus()
	a.await(waitsForMdns)
	here.startAvahi()
	a.await(asMandos)
	there.sees(mandos)
}

func TestHostNameChanges(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	name := here.name + "-renamed"
	here.run("avahi-set-host-name", name)
	await(t, "the service on "+name, func() bool {
		out, _ := there.command("avahi-browse", "--resolve", "--parsable", "--terminate", "_mandos._tcp").Output()
		return strings.Contains(string(out), ";"+name+".local;")
	})
	a.await(asMandos)
	if n := a.logged("level=WARN"); n != 0 {
		t.Errorf("the change was logged as trouble:\n%s", a.log.String())
	}
}

func TestAvahiHangs(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	await(t, "avahi-daemon", func() bool { return here.command("avahi-browse", "-t", "_x._tcp").Run() == nil })
	here.avahi.Process.Signal(syscall.SIGSTOP)
	a := announce(here, zeroconf.Service{Name: "Mandos"}, func(a *announcement) { a.AnswerWithin(time.Second) })
	a.await("waiting: the bus or avahi-daemon does not answer")
	here.avahi.Process.Signal(syscall.SIGCONT)
	a.await(asMandos)
	there.sees(mandos)
}

// TestNoBusyLoop looks at what the process does while there is no bus, which it
// had before.
func TestNoBusyLoop(t *testing.T) {
	here, _ := pair(t)
	a := announce(here, zeroconf.Service{Name: "Mandos"})
	a.await(asMandos)
	kill(here.bus)
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
