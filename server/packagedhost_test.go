// SPDX-License-Identifier: Apache-2.0

//go:build packages

package main

import (
	"fmt"
	"strings"

	"mandos/server/systemd/boottest"
)

// hostsLAN is a network between the machine, as lan, and a namespace of it that is the
// hosts that boot, as eth0.
const hostsLAN = `ip netns add hosts && ip link add lan type veth peer name eth0 netns hosts &&
	ip link set lan up && ip -n hosts link set lo up && ip -n hosts link set eth0 up`

// hostKeys has Debian's mandos-keygen make the keys of a host, and the section that the
// documents have one enrol. All can read them, since mandos-client gives up root.
const hostKeys = `set -e
keygen=` + boottest.DebiansMandosClient + `/usr/sbin/mandos-keygen
mkdir -p /srv/%[1]s
cd /srv/%[1]s
$keygen --dir "$PWD" --name %[1]s --length 2048 --sublength 2048
printf %%s '%[2]s' >password
$keygen --dir "$PWD" --name %[1]s --no-ssh --passfile password >section
grep -q " %[1]s$" /etc/hosts || echo "127.0.0.1 %[1]s" >>/etc/hosts # where its checker finds it
chmod -R a+rX .`

// passwordOf is what the host is to get.
func passwordOf(host string) string { return "the password of " + host }

// makeHosts makes hosts that are on the network and not enrolled.
func (m packaged) makeHosts(names ...string) {
	m.t.Helper()
	m.Run(hostsLAN)
	for _, name := range names {
		m.Run(fmt.Sprintf(hostKeys, name, passwordOf(name)))
	}
}

// mandosClient is the command by which a host fetches its password: Debian's mandos-client,
// which tries again and again.
func mandosClient(host, options string) string {
	return fmt.Sprintf("%s/usr/lib/*/mandos/plugins.d/mandos-client %s --retry 1 --seckey /srv/%[3]s/seckey.txt --pubkey /srv/%[3]s/pubkey.txt "+
		"--tls-privkey /srv/%[3]s/tls-privkey.pem --tls-pubkey /srv/%[3]s/tls-pubkey.pem 2>/srv/%[3]s/said", boottest.DebiansMandosClient, options, host)
}

// fetchOf is the command of a host that has nothing but its network, where it finds the
// server by itself.
func fetchOf(host string) string {
	return "nsenter --net=/run/netns/hosts " + mandosClient(host, "--interface eth0")
}

// fetches checks that the hosts, as they boot, get their passwords.
func (m packaged) fetches(hosts ...string) {
	m.t.Helper()
	for _, host := range hosts {
		m.says("timeout 100 "+fetchOf(host), passwordOf(host))
	}
}

// isRefused checks that the host, as it boots, gets nothing, and that the server's log
// says so. When it is refused again, nothing came of the first time.
func (m packaged) isRefused(host, logged string) {
	m.t.Helper()
	m.says(fmt.Sprintf(`refusals() { journalctl --output=cat | grep -c '%[1]s'; }
		before=$(refusals)
		%[2]s >/srv/%[3]s/got & pid=$!
		while [ $(refusals) -lt $((before + 2)) ] && kill -0 $pid; do sleep 0.2; done
		{ kill $pid; wait $pid; } 2>/dev/null
		cat /srv/%[3]s/got; [ $(refusals) -lt $((before + 2)) ] || echo refused twice`, logged, fetchOf(host), host), "refused twice")
}

// slowRelay is between a host and the server, and lets nothing of what follows the
// handshake through to the host until there is a file /srv/go.
const slowRelay = `
import os, socket, sys, threading, time

def relay(host, server):
    state = {"answered": False, "proved": False}
    def up():
        while data := host.recv(65536):
            state["proved"] = state["answered"]
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)
    threading.Thread(target=up, daemon=True).start()
    while data := server.recv(65536):
        if state["proved"]:
            print("held", flush=True)
            while not os.path.exists("/srv/go"):
                time.sleep(0.02)
        state["answered"] = True
        host.sendall(data)
    host.shutdown(socket.SHUT_WR)

listener = socket.create_server(("127.0.0.1", 5000))
while True:
    host, _ = listener.accept()
    print("connection", flush=True)
    threading.Thread(target=relay, args=(host, socket.create_connection(("::1", int(sys.argv[1])))), daemon=True).start()
`

// upgradeInTheMiddle upgrades while host1 waits for approval, the hand-out to host3 is
// under way, and a check runs. Nobody has to do anything again but those who wait.
func (m packaged) upgradeInTheMiddle(deb, version string) {
	m.t.Helper()
	m.Run("mandosctl set host1 approved_by_default=no approval_delay=10m")
	m.background("host1", fetchOf("host1"))
	m.Await("host1 waits for approval", "mandosctl list --pending | grep host1")

	m.Write("/srv/relay.py", slowRelay, 0o644)
	m.background("relay", `python3 /srv/relay.py $(ss --no-header --listening --tcp --numeric --processes | sed -n '/"mandos"/s/.*\*:\([0-9]*\) .*/\1/p')`)
	m.Await("the relay listens", "ss --no-header --listening --tcp --numeric | grep 127.0.0.1:5000")
	m.background("host3", mandosClient("host3", "--interface none --connect 127.0.0.1:5000"))
	m.Await("the hand-out to host3 is under way", "grep held /srv/relay.got")

	m.Run("mandosctl set host3 checker='echo begun >>/var/lib/mandos/checks; test -e /var/lib/mandos/go || exec sleep 600'")
	m.background("check", "mandosctl check host3")
	m.Await("a check runs", "grep begun /var/lib/mandos/checks")

	m.Run(`dpkg --install ` + deb + ` >/srv/dpkg.said 2>&1 & install=$!
		until [ "$(systemctl show --property=ActiveState --value mandos)" = deactivating ]; do
			kill -0 $install || { cat /srv/dpkg.said; exit 1; }
			sleep 0.02
		done
		touch /srv/go
		wait $install || { cat /srv/dpkg.said; exit 1; }`)
	m.serves(version)
	m.Await("host3 has its password", "test -s /srv/host3.got")
	m.says("cat /srv/host3.got", passwordOf("host3"))
	m.says("grep -c connection /srv/relay.got", "1")

	m.Await("host1 waits again", "mandosctl list --pending | grep host1")
	m.says("cat /srv/host1.got", "")
	m.Run("mandosctl approve host1")
	m.Await("host1 has its password", "test -s /srv/host1.got")
	m.says("cat /srv/host1.got", passwordOf("host1"))

	m.says("pgrep -f 'sleep [6]00'", "")
	m.Run("touch /var/lib/mandos/go && mandosctl check host3")
	m.Run("mandosctl set host1 approval_delay=0s approved_by_default=yes")
}

// background runs a shell command on the machine that may outlast the next ones. What it
// prints is in /srv/NAME.got.
func (m packaged) background(name, command string) {
	m.t.Helper()
	cmd := m.Command(m.t.Context(), "exec >/srv/"+name+".got; "+strings.TrimSpace(command))
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { cmd.Wait() }) // it ends with the test's context, at the latest
}
