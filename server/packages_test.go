// SPDX-License-Identifier: Apache-2.0

//go:build packages

package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mandos/server/systemd/boottest"
)

// makeThere makes "packages" or "dist" from the checkout, for the architectures, and gives
// the directory that they are in.
func makeThere(t *testing.T, checkout, target, version, architectures string) string {
	t.Helper()
	build := t.TempDir()
	cmd := exec.Command("make", "--directory", checkout, "--no-print-directory", target, "BUILD="+build, "VERSION="+version)
	cmd.Env = append(os.Environ(), "ARCHITECTURES="+architectures)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(build, target)
}

func TestPackagesFromTwoCheckoutsAreTheSame(t *testing.T) {
	var sums []string
	for _, name := range []string{"one", "another and longer"} {
		checkout := filepath.Join(t.TempDir(), name)
		if out, err := exec.Command("git", "clone", "--quiet", "..", checkout).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		packages := makeThere(t, checkout, "packages", "1.2.3", "amd64 arm64 armhf")
		sum, err := os.ReadFile(filepath.Join(packages, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
		cmd.Dir = packages
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		sums = append(sums, string(sum))
	}
	if strings.Count(sums[0], "\n") != 3*4 {
		t.Errorf("there are not three packages and a bill for each of three architectures:\n%s", sums[0])
	}
	if sums[0] != sums[1] {
		t.Errorf("they differ:\n%s\n%s", sums[0], sums[1])
	}
}

func TestLintianFindsNothing(t *testing.T) {
	packages := makeThere(t, "..", "packages", "1.2.3", "amd64")
	out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", filepath.Join(packages, "mandos-go_1.2.3-1_amd64.deb")).CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	fmt.Fprintf(t.Output(), "lintian says: %s\n", cmp.Or(strings.TrimSpace(string(out)), "nothing"))
}

// packaged is a machine that packages are installed on.
type packaged struct {
	*boottest.Machine
	t    *testing.T
	last *time.Time // when the last thing was done
}

func boot(t *testing.T, release string) packaged {
	now := time.Now()
	return packaged{boottest.Boot(t, release), t, &now}
}

func bootForPackages(t *testing.T, release string) packaged {
	m := boot(t, release)
	m.did("booted " + release)
	for _, version := range []string{"1.0.0", "1.0.1"} {
		m.Write("/root/"+version+".deb", deb(t, version), 0o644)
	}
	m.makeHosts("host1", "host2", "host3")
	m.did("made packages, a network, and three hosts with keys of mandos-keygen")
	return m
}

// did writes into the test's log what was done and seen, and how long it took.
func (m packaged) did(what string) {
	fmt.Fprintf(m.t.Output(), "%6.1f s  %s\n", time.Since(*m.last).Seconds(), what)
	*m.last = time.Now()
}

// debs are those that were made before.
var debs = make(map[string]string)

func deb(t *testing.T, version string) string {
	t.Helper()
	if debs[version] == "" {
		made, err := os.ReadFile(filepath.Join(makeThere(t, "..", "packages", version, "amd64"), "mandos-go_"+version+"-1_amd64.deb"))
		if err != nil {
			t.Fatal(err)
		}
		debs[version] = string(made)
	}
	return debs[version]
}

// says checks what a command prints.
func (m packaged) says(command, want string) {
	m.t.Helper()
	if got, err := m.Try(command); got != want {
		m.t.Errorf("%s says %q, want %q; error %v\n%s", command, got, want, err, m.Journal())
	}
}

// serves checks that our server, of that version, runs as it should.
func (m packaged) serves(version string) {
	m.t.Helper()
	m.says("systemctl is-active mandos", "active")
	m.says("systemctl is-enabled mandos", "enabled")
	m.says("ps -o user= -p $(systemctl show --value --property MainPID mandos)", "_mandos")
	m.says("/proc/$(systemctl show --value --property MainPID mandos)/exe --version", "mandos "+version)
	m.says("busctl call org.freedesktop.DBus / org.freedesktop.DBus NameHasOwner s se.recompile.Mandos", "b true")
	m.Await("it is announced on the network", "timeout 20 avahi-browse --terminate --parsable --resolve _mandos._tcp | grep -E '^=;(lan|eth0);'")
}

// configure gives the server its clients, as an administrator would have it before.
func (m packaged) configure() {
	m.t.Helper()
	m.Run("mkdir -p /etc/mandos && cat /srv/host1/section /srv/host2/section /srv/host3/section >/etc/mandos/clients.conf && chmod 600 /etc/mandos/clients.conf")
}

const disabledClients = "mandosctl list --disabled --output json | python3 -c 'import json, sys; print(*[c[\"name\"] for c in json.load(sys.stdin)[\"clients\"]])'"

func TestPackage(t *testing.T) {
	for _, release := range boottest.Releases {
		t.Run(release, func(t *testing.T) {
			m := bootForPackages(t, release)
			m.Run("dpkg --install /root/1.0.0.deb")
			m.serves("1.0.0")
			m.did("installed: up as _mandos, on the bus, announced")

			for _, host := range []string{"host1", "host2", "host3"} {
				if said := m.Run("mandosctl add - </srv/" + host + "/section"); !strings.Contains(said, "The first check succeeded.") {
					t.Errorf("mandosctl add says %s", said)
				}
			}
			m.fetches("host1", "host2")
			m.Run("mandosctl disable host2")
			m.isRefused("host2", "Client host2 is disabled")
			m.did("enrolled three clients; mandos-client found the server and fetched; one was disabled and refused")

			m.upgradeInTheMiddle("/root/1.0.1.deb", "1.0.1")
			m.says(disabledClients, "host2")
			m.isRefused("host2", "Client host2 is disabled")
			m.fetches("host1", "host3")
			m.did("upgraded in the middle of two hand-outs and a check: one ended, one was made afterwards; the disabled one is refused")

			m.Run("dpkg --remove mandos-go")
			m.says("systemctl is-active mandos", "inactive")
			m.says("ls /etc/mandos/clients.d /var/lib/mandos | grep -c -e host[123].conf -e state.db$", "4")
			m.Run("dpkg --install /root/1.0.1.deb")
			m.serves("1.0.1")
			m.says(disabledClients, "host2")
			m.did("removed, and installed again with its configuration and state")

			m.Run("dpkg --purge mandos-go")
			m.says("ls -d /etc/mandos /etc/default/mandos /etc/init.d/mandos* /var/lib/mandos /usr/sbin/mandos* /usr/share/doc/mandos* /etc/systemd/system/*/mandos* /etc/rc2.d/*mandos* 2>/dev/null", "")
			m.says("dpkg-divert --list | grep mandos", "")
			m.did("purged, with nothing left")
		})
	}
}

// TestPackageWithoutSystemd installs where nothing makes the user, the directories or the
// start but the package's own scripts.
func TestPackageWithoutSystemd(t *testing.T) {
	for _, release := range boottest.Releases {
		t.Run(release, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "mandos.deb")
			if err := os.WriteFile(file, []byte(deb(t, "1.0.0")), 0o644); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			said := boottest.RunWithoutSystemd(t, release, file, `exec 3>&1 >/root/log 2>&1
				trap 'status=$?; [ $status = 0 ] || cat /root/log >&3; exit $status' EXIT
				dpkg --install /root/mandos.deb
				runuser -u _mandos true
				stat --format '%n %A %U:%G' /var/lib/mandos /etc/mandos/mandos.conf /etc/mandos/clients.conf >&3
				/etc/init.d/mandos-go start # which Debian does not do where there is no init
				stat --format '%U' /proc/$(cat /run/mandos.pid) >&3
				/etc/init.d/mandos-go status
				/etc/init.d/mandos-go stop
				find /etc/rc2.d -name '*mandos*' -printf '%f\n' >&3
				dpkg --purge mandos-go
				! /usr/sbin/mandos --version
				find /etc /var/lib /usr/sbin -name '*mandos*' >&3
				dpkg --audit >&3`)
			const want = `/var/lib/mandos drwx------ _mandos:_mandos
/etc/mandos/mandos.conf -rw-r--r-- root:root
/etc/mandos/clients.conf -rw------- root:root
_mandos
S01mandos-go
`
			if said != want {
				t.Errorf("it says\n%s, want\n%s", said, want)
			}
			fmt.Fprintf(t.Output(), "%6.1f s  installed without systemd: the user and the directories are there, the init script starts it; purged\n", time.Since(begin).Seconds())
		})
	}
}

// TestPackageBesideDebiansMandos goes from the Python server to ours and back, with
// clients that are disabled on the way. The Python server is the real one.
func TestPackageBesideDebiansMandos(t *testing.T) {
	const pythonDisabled = "mandos-ctl --dump-json | python3 -c 'import json, sys; print(*sorted(n for n, c in json.load(sys.stdin).items() if not c[\"Enabled\"]))'"
	const configuration = "cd /etc && sha256sum mandos/*.conf default/mandos init.d/mandos 2>/dev/null || true"
	for _, release := range boottest.Releases {
		t.Run(release, func(t *testing.T) {
			m := bootForPackages(t, release)
			m.configure()
			m.Write("/etc/mandos/mandos.conf", "[DEFAULT]\ndebuglevel = INFO\n", 0o644) // as the Python server logs no refusal else
			install := "DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install "
			m.Run(install + boottest.DebiansMandos)
			m.Await("the Python server serves", "mandos-ctl --disable host1")
			m.fetches("host2", "host3")
			before := m.Run(configuration)
			m.did("installed Debian's mandos: two clients fetched, one was disabled")

			m.Run("dpkg --install /root/1.0.0.deb")
			m.serves("1.0.0")
			m.says(disabledClients, "host1")
			m.says(pythonDisabled, "host1")
			m.says("dpkg --verify mandos | grep missing", "")
			m.fetches("host2", "host3")
			m.isRefused("host1", "Client host1 is disabled")
			m.Run("mandosctl disable host2")
			m.says(configuration, before)
			m.did("installed ours beside: it serves and refuses the same clients; a second one was disabled")

			m.Run(install + boottest.DebiansMandos)
			m.serves("1.0.0")
			m.Run("dpkg --purge mandos")
			m.serves("1.0.0")
			m.says("grep -c key_id /etc/mandos/clients.conf", "3")
			m.Run(install + boottest.DebiansMandos)
			m.serves("1.0.0")
			m.did("upgraded, purged and installed Debian's beside ours, which goes on")

			m.Run("dpkg --remove mandos-go")
			m.Await("the Python server serves", "mandos-ctl --is-enabled host1; test $? = 1")
			m.says("head -n 1 /usr/sbin/mandos | grep -c python", "1")
			m.says("systemctl is-active mandos", "active")
			m.says(pythonDisabled, "host1 host2")
			m.isRefused("host1", "host1 is disabled")
			m.isRefused("host2", "host2 is disabled")
			m.fetches("host3")
			m.did("removed ours: the Python server refuses both disabled clients and serves the third")

			m.Run("dpkg --install /root/1.0.1.deb")
			m.serves("1.0.1")
			m.says(disabledClients, "host1 host2")
			m.did("installed ours again, which knows who is disabled")

			m.Run("dpkg --purge mandos-go")
			m.Await("the Python server serves", "mandos-ctl --is-enabled host1; test $? = 1")
			m.says(configuration, before)
			m.says("dpkg-divert --list | grep mandos", "")
			m.says("find /etc/mandos /etc/default /usr/sbin /usr/lib/systemd /usr/share/man -name '*.python*'", "")
			m.did("purged ours, and Debian's has its configuration as it was")
		})
	}
}

func TestArchive(t *testing.T) {
	m := boot(t, boottest.Releases[0])
	archive, err := os.ReadFile(filepath.Join(makeThere(t, "..", "dist", "1.2.3", "amd64"), "mandos-go-1.2.3-amd64.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	m.Write("/root/archive.tar.gz", string(archive), 0o644)
	m.makeHosts("host1", "host2", "host3")
	m.configure()
	m.Run("cd /root && tar -xzf archive.tar.gz && ./mandos-go-1.2.3-amd64/install.sh enable")
	m.serves("1.2.3")
	m.fetches("host1")
	m.did("installed the archive: up, and a client fetched")
	m.Run("/root/mandos-go-1.2.3-amd64/install.sh enable") // over itself
	m.serves("1.2.3")
	m.Run("/root/mandos-go-1.2.3-amd64/install.sh uninstall")
	m.says("systemctl is-active mandos", "inactive")
	m.says("grep -c key_id /etc/mandos/clients.conf", "3")
	m.says("ls -d /usr/sbin/mandos* /usr/bin/mandosctl /etc/init.d/mandos* 2>/dev/null", "")

	m.Run("DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install " + boottest.DebiansMandos)
	if out, err := m.Try("/root/mandos-go-1.2.3-amd64/install.sh"); err == nil || !strings.Contains(out, "belongs to the package mandos, ") {
		t.Errorf("over the files of a package it says %q, error %v", out, err)
	}
	m.did("installed over itself, uninstalled, and refused where a package owns the files")
}
