// SPDX-License-Identifier: Apache-2.0

// Package lantest gives tests hosts on a network of their own: each with a private
// bus and Avahi, connected by cables, in namespaces that need root to be made.
package lantest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/debiantest"
)

// Host is a machine of its own on a network that the test made: network, mount
// and UTS namespaces with a private bus and Avahi.
type Host struct {
	T          *testing.T
	Name       string
	BusAddress string
	// Bus and Avahi are the last that were started.
	Bus, Avahi *exec.Cmd

	holder int // the process that holds the namespaces
	dir    string
}

var hosts atomic.Int32

// NewHost makes a host without any network.
func NewHost(t *testing.T) *Host {
	t.Helper()
	debiantest.NeedRoot(t, "to make network namespaces")
	h := &Host{T: t, Name: fmt.Sprintf("mandos-%d", hosts.Add(1))}
	var err error
	if h.dir, err = os.MkdirTemp("", "mandos-zeroconf-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(h.dir) })
	if err := os.Chmod(h.dir, 0o755); err != nil { // for every user to reach the bus
		t.Fatal(err)
	}
	h.BusAddress = "unix:path=" + filepath.Join(h.dir, "bus")

	// Duplicate address detection would only take time.
	holder := exec.Command("sh", "-ec", `
		mount --make-rprivate /
		mount -t tmpfs none /run
		mkdir /run/avahi-daemon
		echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
		hostname "$0"
		ip link set lo up
		echo ready
		exec cat`, h.Name)
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS}
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatalf("cannot make a network namespace: %v", err)
	}
	t.Cleanup(func() {
		stdin.Close()
		holder.Wait()
	})
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil {
		t.Fatalf("cannot make a network namespace: %v", err)
	}
	h.holder = holder.Process.Pid
	h.write("bus.conf", `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>custom</type><listen>`+h.BusAddress+`</listen><auth>EXTERNAL</auth>
<servicedir>`+h.dir+`</servicedir><policy context="default"><allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`)
	h.write("avahi.conf", "[server]\nhost-name="+h.Name+"\nenable-dbus=yes\n[wide-area]\nenable-wide-area=no\n[publish]\npublish-hinfo=no\npublish-workstation=no\n")
	return h
}

// Pair makes two hosts with a cable between their interfaces eth0, with bus and Avahi.
func Pair(t *testing.T) (here, there *Host) {
	t.Helper()
	here, there = NewHost(t), NewHost(t)
	here.Cable(there, "eth0")
	for _, h := range []*Host{here, there} {
		h.StartBus()
		h.StartAvahi()
	}
	return here, there
}

// Cable connects two hosts, each with an interface of that name: 192.0.2.1 and
// 192.0.2.2, or 198.51.100.1 and .2 on eth1.
func (h *Host) Cable(to *Host, name string) {
	h.T.Helper()
	network := "192.0.2"
	if name == "eth1" {
		network = "198.51.100"
	}
	h.Run("ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns", fmt.Sprint(to.holder))
	for i, end := range []*Host{h, to} {
		end.Run("ip", "link", "set", name, "up")
		end.Run("ip", "address", "add", fmt.Sprintf("%s.%d/24", network, i+1), "dev", name)
	}
}

func (h *Host) write(name, text string) {
	h.T.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644); err != nil {
		h.T.Fatal(err)
	}
}

// Command is one to run on the host.
func (h *Host) Command(args ...string) *exec.Cmd {
	if strings.HasPrefix(args[0], "avahi-") {
		args = append([]string{avahi(h.T, args[0])}, args[1:]...)
	}
	cmd := exec.Command("nsenter", append([]string{"--target", fmt.Sprint(h.holder), "--net", "--mount", "--uts", "--"}, args...)...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+h.BusAddress)
	return cmd
}

// avahi is a program of Avahi, which is not installed: it would be a service of the
// machine's own.
func avahi(t *testing.T, program string) string {
	if program == "avahi-daemon" {
		return debiantest.Program(t, program, "usr/sbin/avahi-daemon")
	}
	return debiantest.Program(t, "avahi-utils", "usr/bin/"+program)
}

// Run runs a command on the host, which must succeed, and returns its output.
func (h *Host) Run(args ...string) string {
	h.T.Helper()
	out, err := h.Command(args...).CombinedOutput()
	if err != nil {
		h.T.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Start starts a command on the host, which is killed when the test ends.
func (h *Host) Start(args ...string) *exec.Cmd {
	h.T.Helper()
	cmd := h.Command(args...)
	if err := cmd.Start(); err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { Kill(cmd) })
	return cmd
}

// Kill ends one process and waits for its end.
func Kill(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// StartBus starts the host's bus, anew at the same address if there was one.
func (h *Host) StartBus() {
	h.T.Helper()
	os.Remove(filepath.Join(h.dir, "bus"))
	h.Bus = h.Start("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+filepath.Join(h.dir, "bus.conf"))
	Await(h.T, "the bus", func() bool {
		conn, err := net.Dial("unix", filepath.Join(h.dir, "bus"))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// StartAvahi starts the host's avahi-daemon and waits until it answers.
func (h *Host) StartAvahi() {
	h.T.Helper()
	h.Avahi = h.Start(h.avahi()...)
	Await(h.T, "avahi-daemon", func() bool { return h.Command("avahi-browse", "--terminate", "_none._tcp").Run() == nil })
}

func (h *Host) avahi() []string {
	return []string{"avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits", "--file=" + filepath.Join(h.dir, "avahi.conf")}
}

// ActivateAvahi lets the bus start avahi-daemon from its next start on, when it is
// asked for it, as the system bus does.
func (h *Host) ActivateAvahi() {
	h.T.Helper()
	daemon := h.avahi()
	daemon[0] = avahi(h.T, daemon[0])
	h.write("org.freedesktop.Avahi.service", "[D-BUS Service]\nName=org.freedesktop.Avahi\nExec="+strings.Join(daemon, " ")+"\n")
	h.T.Cleanup(func() { h.Command(daemon[0], "--kill").Run() })
}

// EndAvahi kills the avahi-daemon of the host, whoever has started it: where it may be
// activated, a bus that is asked for it may have been faster than StartAvahi.
func (h *Host) EndAvahi() {
	h.T.Helper()
	Kill(h.Avahi)
	_ = h.Command(avahi(h.T, "avahi-daemon"), "--kill").Run() // mostly there is none any more
}

// Index is the number of a network interface, 0 if there is none.
func (h *Host) Index(name string) (index int) {
	h.Inside(func() {
		if link, err := net.InterfaceByName(name); err == nil {
			index = link.Index
		}
	})
	return index
}

// Service is one that a host finds.
type Service struct {
	Interface, Protocol, Name, Address, Port string
}

// Found are the services of the type that the host finds, each as
// interface;protocol;name;port;.
func (h *Host) Found() (services []string) {
	for _, s := range h.Browse() {
		services = append(services, strings.Join([]string{s.Interface, s.Protocol, s.Name, s.Port, ""}, ";"))
	}
	return services
}

// Browse finds the services of the type.
func (h *Host) Browse() (services []Service) {
	out, err := h.Command("avahi-browse", "--resolve", "--parsable", "--terminate", "--no-db-lookup", "_mandos._tcp").Output()
	if err != nil {
		return nil // not running yet
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ";")
		if len(f) >= 10 && f[0] == "=" {
			name := strings.NewReplacer(`\032`, " ", `\035`, "#").Replace(f[3])
			services = append(services, Service{f[1], f[2], name, f[7], f[8]})
		}
	}
	return services
}

// Inside runs f in the network namespace of the host.
func (h *Host) Inside(f func()) {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.holder))
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		h.T.Error(err)
	}
}

// Await waits until something is so, and else tells what is instead.
func Await(t *testing.T, what string, so func() bool, instead ...func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			for _, f := range instead {
				what += "; there is " + f()
			}
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
