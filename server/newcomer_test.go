// SPDX-License-Identifier: Apache-2.0

//go:build packages

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mandos/server/systemd/boottest"
)

// makeHost1 makes the host of the README on a newcomer's machine: with mandos-client, in a
// network with the server, and its keys also where an initial RAM disk has them.
const makeHost1 = `set -e
tar -C ` + boottest.DebiansMandosClient + ` -c . | tar -C / -x --keep-directory-symlink
ip netns add host1
ip link add eth0 type veth peer name eth0 netns host1
ip address add 10.77.0.1/24 dev eth0
ip link set eth0 up
ip -n host1 address add 10.77.0.2/24 dev eth0
ip -n host1 link set eth0 up
ip -n host1 link set lo up
echo 10.77.0.2 host1 >>/etc/hosts
mkdir -p -m 700 /root/.ssh /run/sshd /etc/keys/mandos
ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
echo 'StrictHostKeyChecking accept-new' >/root/.ssh/config
ip netns exec host1 unshare --uts sh -c 'hostname host1 && /usr/sbin/sshd && mandos-keygen' 2>&1
mkdir -p /conf/conf.d
cp -a /etc/keys/mandos /conf/conf.d/`

// boots has host1 fetch its password, from the server that it finds.
const boots = "timeout 60 ip netns exec host1 /usr/lib/*/mandos/plugins.d/mandos-client --interface=eth0 --retry=1 2>/dev/null"

// builtBefore stands before make, on a machine that has no Go and no network to have it from.
const builtBefore = `#!/bin/sh
[ "$1" = packages ] || exec /usr/bin/make GO=true "$@"
`

// bootForNewcomer boots a machine with the checkout, and what Go makes of it.
func bootForNewcomer(t *testing.T, release string) packaged {
	t.Helper()
	m := boot(t, release)
	m.Run(makeHost1)
	built := t.TempDir()
	runMake(t, "build", "BUILD="+built, "VERSION=1.0.0")
	checkout, err := exec.Command("sh", "-c", `cd .. && git ls-files -z | tar --null --files-from=- -c`).Output()
	if err != nil {
		t.Fatal(err)
	}
	m.Write("/root/checkout.tar", string(checkout), 0o644)
	m.Run("mkdir /root/mandos && tar -C /root/mandos -xf /root/checkout.tar")
	for _, program := range []string{"mandos", "mandosctl"} {
		content, err := os.ReadFile(filepath.Join(built, program))
		if err != nil {
			t.Fatal(err)
		}
		m.Write("/root/mandos/build/"+program, string(content), 0o755)
	}
	m.Write("/root/mandos/build/packages/mandos-go_1.0.0-1_amd64.deb", deb(t, "1.0.0"), 0o644)
	m.Write("/usr/local/bin/make", builtBefore, 0o755)
	return m
}

// overwritten is what does not stay on a line of a screen.
var overwritten = regexp.MustCompile(`[^\n]*\r([^\r\n])`)

// follows does what a page says below those headings.
func (m packaged) follows(page string, headings ...string) {
	m.t.Helper()
	screen := m.Run("cd /root/mandos && PATH=/usr/local/bin:$PATH PASSWORD='" + password + "' .ci/newcomer " + page + " '" + strings.Join(headings, "' '") + "'")
	m.t.Log(overwritten.ReplaceAllString(screen, "$1"))
}

func TestNewcomer(t *testing.T) {
	for _, release := range boottest.Releases {
		for _, way := range []string{"As a package", "From source"} {
			t.Run(release+"/"+way, func(t *testing.T) {
				m := bootForNewcomer(t, release)
				m.follows("README.md", way, "The first start")
				m.serves("1.0.0")
				rehearsal := m.Run(`mandosctl explain --json host1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["rehearsal"])'`)
				m.says("ssh root@host1 '"+strings.ReplaceAll(rehearsal, "IP-ADDRESS-OF-THE-SERVER", "10.77.0.1")+"'", "it has its secret")
				m.says(boots, password)

				m.follows("README.md", "When a host is stolen")
				if got, err := m.Try(strings.Replace(boots, "60", "10", 1)); got != "" || err == nil {
					t.Errorf("stolen, it gets %q, error %v", got, err)
				}
				m.Run("mandosctl enable host1")
				m.says(boots, password)
				if way == "From source" {
					m.isInstalledAnew()
				}
			})
		}
	}
}

// isInstalledAnew puts back a copy of what there is, uninstalls the server, and installs it
// again by the commands that an installation says are left. Who was disabled stays so.
func (m packaged) isInstalledAnew() {
	m.t.Helper()
	m.Run("mandosctl disable host1")
	m.follows("docs/operation.md", "Copies, and putting one back")
	m.says(disabledClients, "host1")
	m.Run("make -C /root/mandos uninstall")
	m.says("systemctl is-active mandos", "inactive")
	m.says("ls /usr/sbin/mandos /usr/bin/mandosctl /usr/lib/systemd/system/mandos.service /etc/init.d/mandos 2>/dev/null", "")
	m.says("ls /etc/mandos/clients.d /var/lib/mandos | grep -c -e host1.conf -e state.db$", "2")
	_, left, _ := strings.Cut(m.Run("make -C /root/mandos GO=true install"), "Installed.")
	_, commands, _ := strings.Cut(left, "\n")
	commands, _, _ = strings.Cut(commands, "make: ")
	m.t.Logf("It is left to do:\n%s", commands)
	m.Run("set -e\n" + commands)
	m.serves("1.0.0")
	m.says(disabledClients, "host1")
}
