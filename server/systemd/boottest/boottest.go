// SPDX-License-Identifier: Apache-2.0

// Package boottest gives tests machines that boot a real Debian under a real
// systemd: in a container, with a network of their own, on a file system that is
// thrown away. They need root, debootstrap and systemd-nspawn.
package boottest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Releases are the releases of Debian that the server is to work on.
var Releases = []string{"bookworm", "trixie"}

// packages are what the server finds on a usual host, beside the bare system, and what
// Debian's own mandos needs.
const packages = "systemd,systemd-sysv,dbus,avahi-daemon,avahi-utils,fping,iproute2,procps,python3,socat,gnupg,python3-dbus,python3-gi,python3-urwid,make,openssh-server"

// Where the machine has what of Debian's Mandos is not installed.
const (
	DebiansMandos       = "/var/cache/mandos-test/mandos.deb"
	DebiansMandosClient = "/var/cache/mandos-test/mandos-client" // a directory with the unpacked package
)

// addMandos downloads them, and installs what mandos-client needs for more than the making
// of an initial RAM disk.
const addMandos = `set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends gnutls-bin libgpgme11 libnl-3-200 libnl-route-3-200
mkdir -p /var/cache/mandos-test
cd /var/cache/mandos-test
apt-get download mandos mandos-client
mv mandos_*.deb mandos.deb
dpkg -x mandos-client_*.deb mandos-client
rm mandos-client_*.deb`

// How long a machine may take, on a busy host.
const (
	makeTime = 15 * time.Minute
	bootTime = 2 * time.Minute
	haltTime = 30 * time.Second
	// patience is how long anything awaited may take.
	patience = 2 * time.Minute
)

var machines atomic.Int32

// Machine is one that has booted.
type Machine struct {
	t    *testing.T
	init int // the process ID of its systemd, as seen from here
}

// Boot boots a machine with that release of Debian. It has no network but the
// loopback interface.
func Boot(t *testing.T, release string) *Machine {
	t.Helper()
	console := &bytes.Buffer{}
	nspawn := nspawn(t, usual(release), "--boot")
	nspawn.Stdout, nspawn.Stderr = console, console
	if err := nspawn.Start(); err != nil {
		t.Fatalf("cannot boot: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		nspawn.Wait() // how it ends is of no interest: the machine is thrown away
	}()
	t.Cleanup(func() {
		nspawn.Process.Signal(syscall.SIGTERM) // an orderly shutdown
		select {
		case <-ended:
		case <-time.After(haltTime):
			nspawn.Process.Kill()
			<-ended
		}
	})
	m := &Machine{t: t}
	deadline := time.After(bootTime)
	for m.init == 0 {
		select {
		case <-ended:
			t.Fatalf("the machine did not boot:\n%s", console)
		case <-deadline:
			t.Fatal("the machine did not boot in time")
		case <-time.After(50 * time.Millisecond):
			m.init = systemdOf(nspawn.Process.Pid)
		}
	}
	m.Await("the machine has booted", "systemctl is-system-running | grep -E 'running|degraded'")
	return m
}

// nspawn is the command of a container with a network of its own, on a file system that
// is thrown away.
func nspawn(t *testing.T, i image, args ...string) *exec.Cmd {
	t.Helper()
	name := fmt.Sprintf("mandos-%d-%d", os.Getpid(), machines.Add(1))
	group := cgroup(t, name)
	cmd := exec.Command("systemd-nspawn", append([]string{"--quiet", "--directory", i.made(t), "--machine", name, "--volatile=overlay",
		"--register=no", "--keep-unit", "--private-network", "--console=pipe"}, args...)...)
	cmd.Env = append(os.Environ(), "UNIFIED_CGROUP_HIERARCHY=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	return cmd
}

// RunWithoutSystemd runs a shell script where there is a bus, but no systemd, and nothing
// has booted: in a container with that release, in which the file is /root/NAME, with the
// name that it has. The script must succeed. What it prints is returned.
func RunWithoutSystemd(t *testing.T, release, file, script string) string {
	t.Helper()
	container := nspawn(t, bare(release), "--as-pid2", "--bind-ro="+file+":/root/"+filepath.Base(file),
		"timeout", fmt.Sprint(patience.Seconds()), "sh", "-ec", script)
	said := &bytes.Buffer{}
	container.Stderr = said // the container's own words too
	out, err := container.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, said)
	}
	return string(out)
}

// image is a root file system that is made once and kept.
type image struct {
	release  string
	packages string
	finish   string // what is done in it at last
}

func usual(release string) image { return image{release, packages, addMandos} }

// bare has what a package of the server depends on, and no systemd.
func bare(release string) image { return image{release, "dbus", "! command -v systemd-tmpfiles"} }

// made is where it is.
func (i image) made(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "mandos-test")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(cache, i.release+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	// One that is made otherwise has another name: a test of another checkout may be on it.
	image := fmt.Sprintf("%s/%s-%.4x", cache, i.release, sha256.Sum256([]byte(i.packages+i.finish)))
	if _, err := os.Stat(image); err == nil {
		return image
	}
	t.Logf("making a Debian %s in %s, once", i.release, image)
	ctx, cancel := context.WithTimeout(t.Context(), makeTime)
	defer cancel()
	unfinished := image + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(ctx, "debootstrap", "--variant=minbase", "--include="+i.packages, i.release, unfinished).CombinedOutput(); err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(ctx, "chroot", unfinished, "sh", "-c", i.finish).CombinedOutput(); err != nil {
		t.Fatalf("cannot finish the image: %v\n%s", err, out)
	}
	if err := os.Rename(unfinished, image); err != nil {
		t.Fatal(err)
	}
	return image
}

// cgroup makes a control group for the machine, in which its systemd is at home.
func cgroup(t *testing.T, name string) *os.File {
	t.Helper()
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/unified"); err == nil {
		root += "/unified" // beside the hierarchies of the first version
	}
	dir := filepath.Join(root, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatalf("cannot make a control group: %v", err)
	}
	t.Cleanup(func() { removeGroup(dir) })
	group, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { group.Close() })
	return group
}

// removeGroup removes a control group without processes and all below it.
func removeGroup(dir string) {
	below, _ := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
	for _, procs := range below {
		removeGroup(filepath.Dir(procs))
	}
	os.Remove(dir)
}

// systemdOf is the systemd that a systemd-nspawn has started, or 0. Before it there
// are processes that prepare for it.
func systemdOf(nspawn int) int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", nspawn))
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(children)) {
			name, _ := os.ReadFile(filepath.Join("/proc", child, "comm"))
			if pid, err := strconv.Atoi(child); err == nil && string(name) == "systemd\n" {
				return pid
			}
		}
	}
	return 0
}

// Root is where the machine's file system is found from here.
func (m *Machine) Root() string { return fmt.Sprintf("/proc/%d/root", m.init) }

// Write writes a file of the machine's.
func (m *Machine) Write(path, content string, mode os.FileMode) {
	m.t.Helper()
	path = filepath.Join(m.Root(), path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		m.t.Fatal(err)
	}
}

// Command is a shell command to run on the machine, as root.
func (m *Machine) Command(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", "--target", fmt.Sprint(m.init), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
		"env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "sh", "-c", command)
}

// Try runs a shell command on the machine and gives all that it prints.
func (m *Machine) Try(command string) (string, error) {
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	out, err := m.Command(ctx, command).CombinedOutput()
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return strings.TrimSpace(string(out)), err
}

// Run runs a shell command on the machine, which must succeed, and gives all that
// it prints.
func (m *Machine) Run(command string) string {
	m.t.Helper()
	out, err := m.Try(command)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s\n%s", command, err, out, m.Journal())
	}
	return out
}

// Await repeats a shell command until it succeeds, and gives all that it prints.
func (m *Machine) Await(what, command string) string {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		out, err := m.Try(command)
		if err == nil {
			return out
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("waited in vain until %s: %s: %v\n%s\n%s", what, command, err, out, m.Journal())
		}
	}
}

// Journal is what the server's unit has logged.
func (m *Machine) Journal() string {
	out, err := m.Try("journalctl --no-pager --output=short-precise --unit=mandos.service --unit=mandos.socket")
	if err != nil {
		return err.Error()
	}
	return out
}
