// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"mandos/dbusapi"
	"mandos/server/zeroconf/lantest"
)

// otherKernel marks the process that is to become another one, on a kernel that lacks
// something.
const otherKernel = "MANDOS_TEST_KERNEL"

// kernels are what a system call fails with that has that argument.
var kernels = map[string]struct {
	call, argument, value uint32
	errno                 unix.Errno
}{
	// as one that was booted with ipv6.disable=1
	"without IPv6": {unix.SYS_SOCKET, 0, unix.AF_INET6, unix.EAFNOSUPPORT},
	// as RestrictAddressFamilies= of systemd
	"without netlink": {unix.SYS_SOCKET, 0, unix.AF_NETLINK, unix.EAFNOSUPPORT},
	// as one before Linux 5.7 for whoever is not root
	"without binding": {unix.SYS_SETSOCKOPT, 2, unix.SO_BINDTOIFINDEX, unix.EPERM},
}

// on is what starts a command on such a kernel. That of the tests has no bus.
func (l *lan) on(kernel string) []string {
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	return []string{"env", otherKernel + "=" + kernel, self, l.server.BusAddress}
}

// becomeOnOtherKernel executes a command, with the address of the bus before it.
func becomeOnOtherKernel(args []string) error {
	kernel, ok := kernels[os.Getenv(otherKernel)]
	if !ok {
		return fmt.Errorf("there is no kernel %q", os.Getenv(otherKernel))
	}
	runtime.LockOSThread()          // the filter is the thread's, and what it executes keeps it
	const nr, firstArgument = 0, 16 // in struct seccomp_data
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: nr},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: kernel.call, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: firstArgument + 8*kernel.argument},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: kernel.value, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(kernel.errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	os.Setenv("DBUS_SYSTEM_BUS_ADDRESS", args[0])
	os.Unsetenv(otherKernel)
	return syscall.Exec(args[1], args[1:], os.Environ())
}

func (l *lan) status() (status dbusapi.Status, err error) {
	server, err := dbusapi.Connect(l.t.Context(), l.server.BusAddress)
	if err == nil {
		defer server.Close()
		status, err = server.Status(l.t.Context())
	}
	return status, err
}

// becomes waits until the status of the server is what it should be.
func (l *lan) becomes(address, iface, problem, announced string) {
	l.t.Helper()
	want := [4]string{address, iface, problem, announced}
	var got [4]string
	lantest.Await(l.t, fmt.Sprintf("the status %q", want), func() bool {
		status, err := l.status()
		got = [4]string{status.Address, status.Interface, status.ListenProblem, status.ZeroconfState}
		return err == nil && got == want
	}, func() string { return fmt.Sprintf("%q\n%s", got, l.logged()) })
}

// finds waits until the other host finds the server in exactly those ways.
func (l *lan) finds(want ...string) {
	l.t.Helper()
	var got []string
	lantest.Await(l.t, fmt.Sprintf("%q", want), func() bool {
		got = nil
		for _, s := range l.host.Browse() {
			got = append(got, strings.Join([]string{s.Interface, s.Protocol, s.Name, s.Address}, ";"))
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	}, func() string { return fmt.Sprintf("%q\n%s", got, l.logged()) })
}

// lookAround lets the other host find services.
func (l *lan) lookAround() {
	l.host.Run("ip", "address", "add", "192.0.2.2/24", "dev", "eth0")
	l.host.StartBus()
	l.host.StartAvahi()
}

func announcedOn(where string) string { return `announced as "Mandos" on ` + where }

func TestWithoutIPv6TheServerIsFoundAndServesOverIPv4(t *testing.T) {
	for sentence, c := range map[string]struct {
		prepare func(l *lan) (args []string)
		address string
	}{
		"where it is off on all interfaces": {func(l *lan) []string {
			l.server.Run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
			return nil
		}, "::"},
		"where it is off on the one interface": {func(l *lan) []string {
			l.server.Run("sysctl", "-q", "-w", "net.ipv6.conf.eth0.disable_ipv6=1")
			return []string{"--interface", "eth0"}
		}, "::"},
		"where the kernel has none": {func(l *lan) []string {
			l.wrapper = l.on("without IPv6")
			return nil
		}, "0.0.0.0"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			args := c.prepare(l)
			l.lookAround()
			l.serve(args...)
			iface := ""
			if len(args) > 0 {
				iface = args[1]
			}
			l.becomes(c.address, iface, "", announcedOn("eth0 over IPv4"))
			l.finds("eth0;IPv4;Mandos;192.0.2.1")
			l.boots()
		})
	}
}

func TestNothingIsCalledAnnouncedWhereThereIsNoNetwork(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	l.server.Run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
	l.server.Run("ip", "-4", "address", "flush", "dev", "eth0")
	l.serve()
	l.becomes("::", "", "", "waiting: no network interface is up, with a cable and an address that the server listens on")
	l.server.Run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=0")
	l.becomes("::", "", "", announcedOn("eth0 over IPv6"))
	l.boots()
}

// TestAnInterfaceThatIsMadeAgain has the server, which has given root up, bind again.
func TestAnInterfaceThatIsMadeAgain(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	l.serve("--interface", "eth0")
	l.becomes("::", "eth0", "", announcedOn("eth0 over IPv6"))
	l.boots()
	for range 2 {
		l.server.Run("ip", "link", "delete", "eth0")
		const gone = "interface eth0 is gone; it is listened on again when it is back"
		l.becomes("", "", gone, "waiting: "+gone)
		l.server.Cable(l.host, "eth0")
		l.becomes("::", "eth0", "", announcedOn("eth0 over IPv6"))
		l.boots()
	}
}

func TestAnInterfaceThatComesLate(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	l.host.Run("ip", "link", "delete", "eth0")
	const until = "interface eth0 does not exist, cannot bind to it; listening on all interfaces until it is there"
	l.serve("--interface", "eth0", "--port", "1022") // which takes root, or a socket that has it
	l.becomes("::", "", until, "waiting: "+until)
	l.server.Cable(l.host, "eth0")
	l.becomes("::", "eth0", "", announcedOn("eth0 over IPv6"))
	l.boots()

	// What it cannot do is said.
	l.server.Run("ip", "link", "delete", "eth0")
	l.server.Cable(l.host, "eth0")
	lantest.Await(t, "that it says what it cannot do", func() bool {
		status, err := l.status()
		return err == nil && status.Address == "" && strings.Contains(status.ListenProblem, "a port below 1024 needs root") &&
			strings.HasPrefix(status.ZeroconfState, "waiting: ")
	}, l.logged)
}

// TestAKernelThatDoesNotLetItBind has the server do as it always did, and say so.
func TestAKernelThatDoesNotLetItBind(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	l.wrapper = l.on("without binding")
	l.serve("--interface", "eth0")
	l.becomes("::", "", "no permission to bind to interface eth0: before Linux 5.7 it takes root or CAP_NET_RAW, which the server gives up once it has started; restart it as root; listening on all interfaces",
		announcedOn("eth0 over IPv6"))
	l.boots()
}

func TestASandboxWithoutNetlinkStillServes(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	l.wrapper = l.on("without netlink")
	l.serve("--port", "4711")
	const unseen = "cannot see the network interfaces: netlink: address family not supported by protocol; what changes there is not noticed"
	l.becomes("::", "", unseen, "waiting: "+unseen)
	var err error
	l.host.Inside(func() {
		var conn net.Conn
		if conn, err = net.Dial("tcp", "["+l.linkLocal()+"%eth0]:4711"); err == nil {
			conn.Close()
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheCheckSaysWhatWouldBeWaitedFor(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	out, err := l.server.Command(mandos(t), "--check", "--foreground", "--configdir", l.conf, "--statedir", filepath.Join(l.state, "new"),
		"--interface", "eth0,eth7", "--address", "192.0.2.1,192.0.2.77").CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	says(t, string(out),
		"warning: interface eth7 does not exist, cannot bind to it; it is listened on when it is there\n",
		"warning: address 192.0.2.77 is on no interface; clients reach the server when it is\n",
		"fine: the server can listen on 192.0.2.1:")
}

// linkLocal is the address that the server has on eth0.
func (l *lan) linkLocal() string {
	fields := strings.Fields(l.server.Run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link"))
	address, _, _ := strings.Cut(fields[3], "/")
	return address
}

func TestListsOfInterfacesAndAddresses(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	l.lookAround()
	l.serve("--interface", "eth0, eth1", "--address", "192.0.2.1 198.51.100.1")
	l.becomes("192.0.2.1, 198.51.100.1", "eth0",
		"interface eth1 does not exist, cannot bind to it; it is listened on when it is there; address 198.51.100.1 is on no interface; clients reach the server when it is",
		announcedOn("eth0 over IPv4"))
	l.finds("eth0;IPv4;Mandos;192.0.2.1")
	l.boots()
	l.server.Cable(l.host, "eth1")
	l.becomes("192.0.2.1, 198.51.100.1", "eth0, eth1", "", announcedOn("eth0 over IPv4, eth1 over IPv4"))
	l.finds("eth0;IPv4;Mandos;192.0.2.1", "eth1;IPv4;Mandos;198.51.100.1")
}

func TestAnAddressThatComesLate(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	l.lookAround()
	l.serve("--address", "192.0.2.77")
	const late = "address 192.0.2.77 is on no interface; clients reach the server when it is"
	l.becomes("192.0.2.77", "", late, "waiting: "+late)
	l.finds()
	l.server.Run("ip", "address", "add", "192.0.2.77/24", "dev", "eth0")
	l.becomes("192.0.2.77", "", "", announcedOn("eth0 over IPv4"))
	l.finds("eth0;IPv4;Mandos;192.0.2.77")
	l.boots()
}

func TestALinkLocalAddressIsFoundAmongOthers(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	l.server.Run("ip", "address", "add", "2001:db8::1/64", "dev", "eth0")
	l.server.Run("ip", "address", "add", "fe80::77/64", "dev", "eth0")
	l.lookAround()
	l.serve("--address", "fe80::77%eth0")
	l.becomes("fe80::77%eth0", "eth0", "", announcedOn("eth0 over IPv6"))
	l.finds("eth0;IPv6;Mandos;fe80::77")
	l.boots()
}

// TestChangesOfTheNetworkAreSignalled hears what D-Bus says of an interface that goes
// and comes back.
func TestChangesOfTheNetworkAreSignalled(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	l.serve("--interface", "eth0")
	l.becomes("::", "eth0", "", announcedOn("eth0 over IPv6"))
	conn, err := dbus.Connect(l.server.BusAddress)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.AddMatchSignal(dbus.WithMatchObjectPath(dbusapi.ServerPath), dbus.WithMatchMember("PropertiesChanged")); err != nil {
		t.Fatal(err)
	}
	signals := make(chan *dbus.Signal, 1000)
	conn.Signal(signals)
	var mu sync.Mutex
	var told []string
	go func() {
		for signal := range signals {
			for name, value := range signal.Body[1].(map[string]dbus.Variant) {
				mu.Lock()
				told = append(told, name+"="+fmt.Sprint(value.Value()))
				mu.Unlock()
			}
		}
	}()
	hears := func(want ...string) {
		t.Helper()
		lantest.Await(t, fmt.Sprintf("%q", want), func() bool {
			mu.Lock()
			defer mu.Unlock()
			return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(told, w) })
		}, func() string { return fmt.Sprintf("%q", told) })
	}
	const gone = "interface eth0 is gone; it is listened on again when it is back"
	l.server.Run("ip", "link", "delete", "eth0")
	hears("Address=", "Interface=", "ListenProblem="+gone, "ZeroconfState=waiting: "+gone)
	l.server.Cable(l.host, "eth0")
	hears("Address=::", "Interface=eth0", "ListenProblem=", "ZeroconfState="+announcedOn("eth0 over IPv6"))
}
