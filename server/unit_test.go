// SPDX-License-Identifier: Apache-2.0

//go:build systemd

package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"mandos/server/systemd/boottest"
)

const unitClients = `
[host1]
key_id = %064d
secret = AAAA
host = ::1
checker = env >/var/lib/mandos/environment; true
interval = PT2S
`

// bootWithUnit boots a machine on which the server is installed as the README has
// it, and not started.
func bootWithUnit(t *testing.T, release string) *boottest.Machine {
	t.Helper()
	m := boottest.Boot(t, release)
	runMake(t, "install", "DESTDIR="+m.Root())
	m.Write("/etc/mandos/clients.conf", fmt.Sprintf(unitClients, 1), 0o600)
	m.Run("systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload && systemctl reload dbus")
	return m
}

// cable makes an interface that has a network, of a kind that every kernel has.
func cable(name string) string {
	return fmt.Sprintf("ip link add %[1]s type veth peer name peer && ip link set peer up && ip link set %[1]s up && ip address add 10.77.0.1/24 dev %[1]s", name)
}

// TestTheUnitUnderSystemd boots the unit under each systemd that it is to work
// with.
func TestTheUnitUnderSystemd(t *testing.T) {
	for sentence, do := range map[string]func(t *testing.T, m *boottest.Machine){
		"reload follows the files, and tells what is wrong with them": func(t *testing.T, m *boottest.Machine) {
			m.Run("systemctl start mandos")
			m.Write("/etc/mandos/clients.d/two.conf", strings.Replace(fmt.Sprintf(unitClients, 2), "host1", "host2", 1), 0o600)
			m.Run("systemctl reload mandos")
			m.Run("mandosctl is-enabled host2")
			m.Write("/etc/mandos/clients.d/two.conf", "[host2]\ntimeout = soon\n", 0o600)
			if out, err := m.Try("systemctl reload mandos"); err == nil {
				t.Errorf("a reload of a bad configuration succeeds: %s", out)
			}
			if !strings.Contains(m.Journal(), "/etc/mandos/clients.d/two.conf:2") {
				t.Errorf("the journal does not say what is wrong:\n%s", m.Journal())
			}
			m.Run("mandosctl is-enabled host2")
			m.Run("systemctl is-active mandos")
		},
		"reload works without D-Bus": func(t *testing.T, m *boottest.Machine) {
			m.Write("/etc/default/mandos", "DAEMON_ARGS=--no-dbus\n", 0o644)
			m.Run("systemctl start mandos")
			m.Write("/etc/mandos/clients.d/two.conf", strings.Replace(fmt.Sprintf(unitClients, 2), "host1", "host2", 1), 0o600)
			m.Run("systemctl reload mandos")
			m.Await("the reload is done", `systemctl show --property=StatusText mandos | grep '2 clients'`)
		},
		"the unit is never given up for what passes by itself": func(t *testing.T, m *boottest.Machine) {
			m.Run("mv /etc/mandos/clients.conf /root/ && ln -s /srv/late/clients.conf /etc/mandos/clients.conf")
			m.Write("/etc/mandos/mandos.conf", "[DEFAULT]\nport = sixteen\n", 0o644)
			m.Try("systemctl start mandos")
			m.Await("it was tried often", `test "$(systemctl show --property=NRestarts --value mandos)" -ge 7`)
			m.Run("rm /etc/mandos/mandos.conf; mv /root/clients.conf /etc/mandos/")
			m.Await("it serves", "systemctl is-active mandos")
		},
		"the reason for a failed start has the priority of an error": func(t *testing.T, m *boottest.Machine) {
			m.Write("/etc/mandos/mandos.conf", "[DEFAULT]\nport = sixteen\n", 0o644)
			m.Try("systemctl start mandos")
			m.Await("the reason is an error", "journalctl --unit=mandos --priority=err --output=cat | grep sixteen")
		},
		"checkers live in an environment of their own": func(t *testing.T, m *boottest.Machine) {
			m.Run("systemctl start mandos")
			m.Await("the checker has run", "test -s /var/lib/mandos/environment")
			environment := m.Run("cat /var/lib/mandos/environment")
			for _, line := range []string{"USER=_mandos", "HOME=/"} {
				if !strings.Contains("\n"+environment, "\n"+line) {
					t.Errorf("a checker lacks %s:\n%s", line, environment)
				}
			}
			if ours := regexp.MustCompile(`(?m)^(NOTIFY_SOCKET|JOURNAL_STREAM|WATCHDOG_\w+|LISTEN_\w+|INVOCATION_ID)=.*`).FindAllString(environment, -1); ours != nil {
				t.Errorf("a checker has what is the server's: %v", ours)
			}
		},
		"one checker out of memory does not end the server": func(t *testing.T, m *boottest.Machine) {
			if policy := m.Run("systemctl show --property=OOMPolicy --value mandos"); policy != "continue" {
				t.Errorf("OOMPolicy is %q", policy)
			}
		},
		"a reader that was killed shows in status": func(t *testing.T, m *boottest.Machine) {
			m.Run("systemctl start mandos")
			main := m.Run("systemctl show --property=MainPID --value mandos")
			m.Run("kill -9 $(ps --no-headers --ppid " + main + " -o pid)")
			m.Await("status shows it", "mandosctl status | grep TROUBLE.*restart")
		},
		"a state directory outside of the sandbox is named with what the unit needs": func(t *testing.T, m *boottest.Machine) {
			m.Write("/etc/mandos/mandos.conf", "[DEFAULT]\nstatedir = /srv/mandos\n", 0o644)
			m.Run("install -d -o _mandos -g _mandos -m 700 /srv/mandos")
			m.Try("systemctl start mandos")
			m.Await("the reason is told", "journalctl --unit=mandos --priority=err --output=cat | grep ReadWritePaths=/srv/mandos")
			if out := m.Run("mandos --check; true"); !strings.Contains(out, "ReadWritePaths=/srv/mandos") {
				t.Errorf("--check does not say what the unit needs:\n%s", out)
			}
		},
		"a missing state directory or user is told with the command that makes it": func(t *testing.T, m *boottest.Machine) {
			m.Run("rmdir /var/lib/mandos")
			m.Try("systemctl start mandos")
			m.Await("systemd-tmpfiles is named", "journalctl --unit=mandos --output=cat | grep systemd-tmpfiles")
			m.Run("systemctl stop mandos; userdel _mandos; install -d -o nobody -g nogroup -m 700 /var/lib/mandos; systemctl start mandos")
			m.Await("systemd-sysusers is named", "journalctl --unit=mandos --output=cat | grep systemd-sysusers")
		},
		"with mandos.socket nobody is refused while the server is restarted": func(t *testing.T, m *boottest.Machine) {
			m.Run("systemctl enable --now mandos.socket && systemctl start mandos")
			staying := m.Command(t.Context(), `exec socat -u TCP:127.0.0.1:4711 OPEN:/dev/null`)
			if err := staying.Start(); err != nil {
				t.Fatal(err)
			}
			defer staying.Wait() // the restart ends it
			m.Await("the connection that stays is there", "ss --no-header --tcp state established sport = :4711 | grep -q .")
			refused := m.Run(`systemctl restart mandos & restart=$!; refused=0
				while kill -0 $restart 2>/dev/null; do
					socat -u OPEN:/dev/null TCP:127.0.0.1:4711,connect-timeout=60 || refused=$((refused + 1))
				done; wait $restart && echo $refused`)
			if refused != "0" {
				t.Errorf("refused: %s", refused)
			}
			m.Await("the successor listens on the same socket", "mandosctl status | grep 'listens on.*4711'")
		},
		"a unit of one's own follows the daemon by its PID file": func(t *testing.T, m *boottest.Machine) {
			m.Write("/etc/systemd/system/own.service", "[Service]\nType=forking\nPIDFile=/run/mandos.pid\nExecStart=/usr/sbin/mandos\n", 0o644)
			follows := `[ "$(systemctl show --property=MainPID --value own)" = "$(cat /run/mandos.pid)" ] && systemctl is-active own`
			m.Run("systemctl daemon-reload && systemctl start own && " + follows)
			m.Run("kill -9 $(cat /run/mandos.pid)")
			m.Await("it is known to have failed", "systemctl is-failed own")
			m.Run("systemctl start own && " + follows)
			m.Run("kill $(cat /run/mandos.pid)")
			m.Await("it is known to have ended well", "systemctl show --property=ActiveState,Result own | xargs | grep -x 'Result=success ActiveState=inactive'")
			m.Run("systemctl start own && " + follows)
			m.Run("systemctl restart own && " + follows)
			m.Run("systemctl stop own && [ ! -s /run/mandos.pid ]")
		},
		"an address that comes late is waited for": func(t *testing.T, m *boottest.Machine) {
			m.Write("/etc/mandos/mandos.conf", "[DEFAULT]\naddress = 10.77.0.1\nport = 4711\n", 0o644)
			m.Run("systemctl start mandos")
			m.Run(cable("late"))
			m.Await("it listens there", "socat -u OPEN:/dev/null TCP:10.77.0.1:4711,connect-timeout=2")
		},
		"an interface that comes late and is made again is bound to from within the sandbox": func(t *testing.T, m *boottest.Machine) {
			m.Write("/etc/mandos/mandos.conf", "[DEFAULT]\ninterface = vpn0\n", 0o644)
			m.Run("systemctl start mandos")
			m.Await("it listens everywhere until then", "mandosctl status | grep TROUBLE.*vpn0.*until")
			for range 2 {
				m.Run(cable("vpn0"))
				m.Await("it listens there", "mandosctl status | grep 'listens on.* on vpn0$'")
				m.Await("it is announced there", "mandosctl status | grep 'Zeroconf.*announced.*vpn0 over'")
				m.Run("ip link delete vpn0")
				m.Await("it says that it is gone", "mandosctl status | grep 'TROUBLE.*vpn0 is gone'")
			}
		},
		"the name on the bus and Avahi come back when the bus was restarted": func(t *testing.T, m *boottest.Machine) {
			m.Run(cable("lan"))
			m.Run("systemctl start mandos")
			m.Await("it is announced", "mandosctl status | grep -i 'Zeroconf.*announced'")
			m.Run("systemctl restart dbus")
			m.Await("it is announced again", "mandosctl status | grep -i 'Zeroconf.*announced' && timeout 5 avahi-browse --terminate --parsable _mandos._tcp | grep -i Mandos")
		},
	} {
		for _, release := range boottest.Releases {
			t.Run(sentence+"/"+release, func(t *testing.T) {
				m := bootWithUnit(t, release)
				do(t, m)
				if t.Failed() {
					t.Log(m.Journal())
				}
			})
		}
	}
}
