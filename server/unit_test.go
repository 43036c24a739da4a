// SPDX-License-Identifier: Apache-2.0

//go:build systemd

package main

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"

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

// tenThousandClients writes a configuration, and the state that the Python server
// would have saved of it with secrets that were set at run time.
const tenThousandClients = `
import datetime, pickle
secret = open("/root/secret", "rb").read()
now, minutes = datetime.datetime.utcnow(), lambda n: datetime.timedelta(minutes=n)
clients, settings, conf = {}, {}, "[DEFAULT]\nchecker = true\ntimeout = PT1H\ninterval = PT30M\n"
for i in range(10000):
    name, key_id = "client%d" % i, "%064x" % i
    conf += "[%s]\nkey_id = %s\nfingerprint = %040x\nsecret = Y29uZmlndXJlZA==\nhost = host%d\n" % (name, key_id, i, i)
    settings[name] = dict(enabled=True, approved_by_default=True, key_id=key_id, fingerprint="%040X" % i, checker_command="true", host="host%d" % i,
        timeout=minutes(60), extended_timeout=minutes(15), interval=minutes(30), approval_delay=minutes(0), approval_duration=datetime.timedelta(seconds=1), last_checker_status=-2)
    clients[name] = dict(settings[name], name=name, enabled=i > 0, host="changed%d" % i, approved=None, encrypted_secret=secret,
        created=now, last_enabled=now, expires=now + minutes(60), last_checked_ok=now, last_approval_request=None, last_checker_status=0)
open("/etc/mandos/clients.conf", "w").write(conf)
with open("/var/lib/mandos/clients.pickle", "wb") as f:
    pickle.dump((clients, settings), f, protocol=2)
`

// pythonSecret is a secret set at run time, encrypted as gpg does it for the Python
// server: to decrypt it takes as long as that.
func pythonSecret(t *testing.T) []byte {
	t.Helper()
	var message bytes.Buffer
	config := &packet.Config{DefaultCipher: packet.CipherAES256, S2KConfig: &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, Hash: crypto.SHA256, S2KCount: 65011712}}
	w, err := openpgp.SymmetricallyEncrypt(&message, []byte("mandos"+hex.EncodeToString([]byte("configured"))), nil, config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("set at run time")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return message.Bytes()
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
		"an installation can start the service, and take it away again": func(t *testing.T, m *boottest.Machine) {
			script, err := os.ReadFile("../etc/install/service.sh")
			if err != nil {
				t.Fatal(err)
			}
			m.Write("/root/service.sh", string(script), 0o755)
			m.Run("/root/service.sh next enable")
			m.Run("systemctl is-active mandos && systemctl is-enabled mandos && mandosctl is-enabled host1")
			m.Run("/root/service.sh stop")
			for _, gone := range []string{"systemctl is-active mandos", "systemctl is-enabled mandos"} {
				if out, err := m.Try(gone); err == nil {
					t.Errorf("%s: %s", gone, out)
				}
			}
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
		"a take-over slower than TimeoutStartSec is done in one start, and SIGTERM in its middle loses nothing": func(t *testing.T, m *boottest.Machine) {
			m.Write("/etc/systemd/system/mandos.service.d/slow.conf", "[Service]\nTimeoutStartSec=10s\n", 0o644)
			m.Write("/root/secret", string(pythonSecret(t)), 0o600)
			m.Write("/root/write.py", tenThousandClients, 0o600)
			m.Run("systemctl daemon-reload && python3 /root/write.py && chown _mandos: /var/lib/mandos/clients.pickle")
			// As on a machine that has little time for the server.
			const start = `systemctl start --no-block mandos; end=$(($(date +%%s) + %d))
				while test $(date +%%s) -lt $end && pid=$(systemctl show --property=MainPID --value mandos) && ! systemctl is-active --quiet mandos; do
					test $pid = 0 || { kill -STOP $pid; sleep 1.5; kill -CONT $pid; sleep 0.1; }
				done; systemctl show --property=ActiveState --value mandos`
			if state := m.Run(fmt.Sprintf(start, 13)); state != "activating" {
				t.Errorf("the start was not slow, but the server %s", state)
			}
			m.Run("systemctl stop mandos")
			if result := m.Run("systemctl show --property=Result --value mandos"); result != "success" {
				t.Errorf("the stop in the middle ends with %s", result)
			}
			if state := m.Run(fmt.Sprintf(start, 100)); state != "active" {
				t.Errorf("the server is %s", state)
			}
			took := m.Run(`set -- $(systemctl show --property=InactiveExitTimestampMonotonic --property=ActiveEnterTimestampMonotonic mandos | cut -d= -f2 | sort -n); echo $((($2 - $1) / 1000000))`)
			if seconds, err := strconv.Atoi(took); err != nil || seconds <= 10 {
				t.Errorf("the start took %s s, which is not slow, error %v", took, err)
			}
			if restarts := m.Run("systemctl show --property=NRestarts --value mandos"); restarts != "0" {
				t.Errorf("it was started again %s times", restarts)
			}
			m.Run("systemctl restart mandos") // while secrets are decrypted in the background
			m.Run("mandosctl status | grep -E 'clients +10000:'; mandosctl is-enabled client9999; ! mandosctl is-enabled client0")
			if out := m.Run("mandosctl list --output=json client9999"); !strings.Contains(out, `"changed9999"`) {
				t.Errorf("what was changed at run time is lost: %s", out)
			}
			if out := m.Run("journalctl --unit=mandos --output=cat | grep -E 'timed out|SIGABRT|main process exited|cannot be decrypted'; true"); out != "" {
				t.Errorf("the journal has %s", out)
			}
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
