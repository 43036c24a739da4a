// SPDX-License-Identifier: Apache-2.0

package zeroconf_test

import (
	"context"
	"fmt"
	"io"
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
)

// host is a machine of its own on a network that the test made: network, mount
// and UTS namespaces with a private bus and Avahi.
type host struct {
	t       *testing.T
	name    string
	holder  int // the process that holds the namespaces
	dir     string
	bus     *exec.Cmd
	avahi   *exec.Cmd
	address string
}

var hosts atomic.Int32

// newHost makes a host without any network.
func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, name: fmt.Sprintf("mandos-%d", hosts.Add(1))}
	var err error
	if h.dir, err = os.MkdirTemp("", "mandos-zeroconf-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(h.dir) })
	h.address = "unix:path=" + filepath.Join(h.dir, "bus")

	// Duplicate address detection would only take time.
	holder := exec.Command("sh", "-ec", `
		mount --make-rprivate /
		mount -t tmpfs none /run
		mkdir /run/avahi-daemon
		echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
		hostname "$0"
		ip link set lo up
		echo ready
		exec cat`, h.name)
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
		t.Fatalf("this test needs root, to make network namespaces: %v", err)
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
<busconfig><type>custom</type><listen>`+h.address+`</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`)
	h.write("avahi.conf", "[server]\nhost-name="+h.name+"\nenable-dbus=yes\n[wide-area]\nenable-wide-area=no\n[publish]\npublish-hinfo=no\npublish-workstation=no\n")
	return h
}

// pair makes two hosts with a cable between their interfaces eth0, with bus and Avahi.
func pair(t *testing.T) (here, there *host) {
	t.Helper()
	here, there = newHost(t), newHost(t)
	here.cable(there, "eth0")
	for _, h := range []*host{here, there} {
		h.startBus()
		h.startAvahi()
	}
	return here, there
}

// cable connects two hosts, each with an interface of that name.
func (h *host) cable(to *host, name string) {
	h.t.Helper()
	h.run("ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns", fmt.Sprint(to.holder))
	for i, end := range []*host{h, to} {
		end.run("ip", "link", "set", name, "up")
		end.run("ip", "address", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", name)
	}
}

func (h *host) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// command is one to run on the host.
func (h *host) command(args ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"--target", fmt.Sprint(h.holder), "--net", "--mount", "--uts", "--"}, args...)...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+h.address)
	return cmd
}

func (h *host) run(args ...string) string {
	h.t.Helper()
	out, err := h.command(args...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (h *host) start(args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := h.command(args...)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { kill(cmd) })
	return cmd
}

// kill ends one process and waits for its end.
func kill(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

func (h *host) startBus() {
	h.t.Helper()
	os.Remove(filepath.Join(h.dir, "bus"))
	h.bus = h.start("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+filepath.Join(h.dir, "bus.conf"))
	await(h.t, "the bus", func() bool {
		_, err := os.Stat(filepath.Join(h.dir, "bus"))
		return err == nil
	})
}

func (h *host) startAvahi() {
	h.t.Helper()
	h.avahi = h.start("avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits", "--file="+filepath.Join(h.dir, "avahi.conf"))
}

// found are the services of the type that the host finds, each as
// interface;protocol;name;address family;port.
func (h *host) found() []string {
	out, err := h.command("avahi-browse", "--resolve", "--parsable", "--terminate", "--no-db-lookup", "_mandos._tcp").Output()
	if err != nil {
		return nil // not running yet
	}
	var services []string
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ";")
		if len(f) >= 10 && f[0] == "=" {
			name := strings.NewReplacer(`\032`, " ", `\035`, "#").Replace(f[3])
			services = append(services, strings.Join([]string{f[1], f[2], name, f[8], f[9]}, ";"))
		}
	}
	return services
}

// inside runs f in the network namespace of the host.
func (h *host) inside(f func()) {
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
		h.t.Error(err)
	}
}

// await waits until something is so, and else tells what is instead.
func await(t *testing.T, what string, so func() bool, instead ...func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
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
