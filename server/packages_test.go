// SPDX-License-Identifier: Apache-2.0

//go:build packages

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
		t.Errorf("%v\n%s", err, out)
	}
}

// packagedClients are clients of a server that was installed from a package.
const packagedClients = `
[DEFAULT]
timeout = PT1H
interval = PT30M
checker = true
secret = AAAA
host = localhost

[host1]
key_id = %064d
fingerprint = %040d

[host2]
key_id = %064d
fingerprint = %040d
`

// packaged is a machine that packages are installed on.
type packaged struct {
	*boottest.Machine
	t *testing.T
}

func bootForPackages(t *testing.T, release string) packaged {
	m := packaged{boottest.Boot(t, release), t}
	for _, version := range []string{"1.0.0", "1.0.1"} {
		m.Write("/root/"+version+".deb", deb(t, version), 0o644)
	}
	return m
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
}

// configure gives the server its two clients.
func (m packaged) configure() {
	m.t.Helper()
	m.Write("/etc/mandos/clients.conf", fmt.Sprintf(packagedClients, 1, 1, 2, 2), 0o600)
}

const disabledClients = "mandosctl list --disabled --output json | python3 -c 'import json, sys; print(*[c[\"name\"] for c in json.load(sys.stdin)[\"clients\"]])'"

func TestPackage(t *testing.T) {
	for _, release := range boottest.Releases {
		t.Run(release, func(t *testing.T) {
			m := bootForPackages(t, release)
			t.Log(m.Run("dpkg --install /root/1.0.0.deb"))
			m.serves("1.0.0")
			m.configure()
			m.Run("mandosctl reload && mandosctl disable host2")
			m.says(disabledClients, "host2")

			t.Log(m.Run("dpkg --install /root/1.0.1.deb"))
			m.serves("1.0.1")
			m.says(disabledClients, "host2")
			m.says("cat /etc/mandos/clients.conf | grep -c key_id", "2")

			t.Log(m.Run("dpkg --remove mandos-go"))
			m.says("systemctl is-active mandos", "inactive")
			m.says("ls /etc/mandos /var/lib/mandos | grep -c -e clients.conf -e state.db$", "2")
			t.Log(m.Run("dpkg --install /root/1.0.1.deb"))
			m.serves("1.0.1")
			m.says(disabledClients, "host2")

			t.Log(m.Run("dpkg --purge mandos-go"))
			m.says("ls -d /etc/mandos /etc/default/mandos /etc/init.d/mandos* /var/lib/mandos /usr/sbin/mandos* /usr/share/doc/mandos* /etc/systemd/system/*/mandos* /etc/rc2.d/*mandos* 2>/dev/null", "")
			m.says("dpkg-divert --list | grep mandos", "")
		})
	}
}

// TestPackageBesideDebiansMandos goes from the Python server to ours and back, with
// clients that are disabled on the way. The Python server is the real one.
func TestPackageBesideDebiansMandos(t *testing.T) {
	const pythonDisabled = "mandos-ctl --dump-json | python3 -c 'import json, sys; print(*sorted(n for n, c in json.load(sys.stdin).items() if not c[\"Enabled\"]))'"
	for _, release := range boottest.Releases {
		t.Run(release, func(t *testing.T) {
			m := bootForPackages(t, release)
			m.configure()
			install := "DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install "
			t.Log(m.Run(install + boottest.DebiansMandos))
			m.Await("the Python server serves", "mandos-ctl --disable host1")
			before := m.Run("cd /etc && sha256sum mandos/* default/mandos init.d/mandos 2>/dev/null || true")

			t.Log(m.Run("dpkg --install /root/1.0.0.deb"))
			m.serves("1.0.0")
			m.says(disabledClients, "host1")
			m.says(pythonDisabled, "host1")
			m.Run("mandosctl disable host2")
			m.says("cd /etc && sha256sum mandos/* default/mandos init.d/mandos 2>/dev/null || true", before)

			t.Log(m.Run(install + boottest.DebiansMandos))
			m.serves("1.0.0")
			t.Log(m.Run("dpkg --purge mandos"))
			m.serves("1.0.0")
			m.says("grep -c key_id /etc/mandos/clients.conf", "2")
			t.Log(m.Run(install + boottest.DebiansMandos))
			m.serves("1.0.0")

			t.Log(m.Run("dpkg --remove mandos-go"))
			m.Await("the Python server serves", "mandos-ctl --is-enabled host1; test $? = 1")
			m.says("head -n 1 /usr/sbin/mandos | grep -c python", "1")
			m.says("systemctl is-active mandos", "active")
			m.says(pythonDisabled, "host1 host2")

			t.Log(m.Run("dpkg --install /root/1.0.1.deb"))
			m.serves("1.0.1")
			m.says(disabledClients, "host1 host2")

			t.Log(m.Run("dpkg --purge mandos-go"))
			m.Await("the Python server serves", "mandos-ctl --is-enabled host1; test $? = 1")
			m.says("cd /etc && sha256sum mandos/* default/mandos init.d/mandos 2>/dev/null || true", before)
			m.says("dpkg-divert --list | grep mandos", "")
		})
	}
}

func TestArchive(t *testing.T) {
	m := packaged{boottest.Boot(t, boottest.Releases[0]), t}
	archive, err := os.ReadFile(filepath.Join(makeThere(t, "..", "dist", "1.2.3", "amd64"), "mandos-go-1.2.3-amd64.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	m.Write("/root/archive.tar.gz", string(archive), 0o644)
	m.configure()
	t.Log(m.Run("cd /root && tar -xzf archive.tar.gz && ./mandos-go-1.2.3-amd64/install.sh enable"))
	m.serves("1.2.3")
	m.says("mandosctl list host1 host2 >/dev/null && echo both", "both")
	t.Log(m.Run("/root/mandos-go-1.2.3-amd64/install.sh enable")) // over itself
	m.serves("1.2.3")
	t.Log(m.Run("/root/mandos-go-1.2.3-amd64/install.sh uninstall"))
	m.says("systemctl is-active mandos", "inactive")
	m.says("grep -c key_id /etc/mandos/clients.conf", "2")
	m.says("ls -d /usr/sbin/mandos* /usr/bin/mandosctl /etc/init.d/mandos* 2>/dev/null", "")

	m.Run("DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install " + boottest.DebiansMandos)
	if out, err := m.Try("/root/mandos-go-1.2.3-amd64/install.sh"); err == nil || !strings.Contains(out, "belongs to the package mandos, ") {
		t.Errorf("over the files of a package it says %q, error %v", out, err)
	}
}
