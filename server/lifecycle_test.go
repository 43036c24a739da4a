// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/keytls/keytlstest"
)

// section is a clients.conf section for a key made here.
func section(name string, key *keytlstest.Key, settings string) string {
	return fmt.Sprintf("[%s]\nkey_id = %s\nsecret = c2VjcmV0\nchecker = :\n%s\n", name, key.KeyID(), settings)
}

// onBus starts a private bus, a server on it, and a client of the bus.
func onBus(t *testing.T, clients string) (*serverProcess, *dbusapi.Connection) {
	t.Helper()
	bus := dbustest.Start(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
	s := startServer(t, clients)
	return s, connect(t, bus.Address)
}

func connect(t *testing.T, address string) *dbusapi.Connection {
	t.Helper()
	server, err := dbusapi.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func clientNamed(t *testing.T, server *dbusapi.Connection, name string) dbusapi.Client {
	t.Helper()
	clients, err := server.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no client %s", name)
	return dbusapi.Client{}
}

func TestDisabledClientStaysDisabled(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	for sentence, end := range map[string]func(*serverProcess){
		"after an orderly restart": (*serverProcess).stop,
		"after kill -9":            (*serverProcess).kill,
	} {
		t.Run(sentence, func(t *testing.T) {
			s, server := onBus(t, section("host1", key, "")+section("host2", keytlstest.NewKey(keytlstest.Ed25519), ""))
			if err := server.Disable(t.Context(), clientNamed(t, server, "host1")); err != nil {
				t.Fatal(err)
			}
			end(s)
			s.start()
			server = connect(t, os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"))
			if clientNamed(t, server, "host1").Enabled {
				t.Error("host1 is enabled again")
			}
			if !clientNamed(t, server, "host2").Enabled {
				t.Error("host2 is disabled too")
			}
		})
	}
}

func TestExpiredClientIsLoggedAndGetsNothing(t *testing.T) {
	s, server := onBus(t, section("host1", keytlstest.NewKey(keytlstest.Ed25519), "")+
		"[host2]\nkey_id = 00\nsecret = c2VjcmV0\nchecker = false\ninterval = PT1S\ntimeout = PT2S\n")
	eventually(t, func() bool { return !clientNamed(t, server, "host2").Enabled }, s.log)
	eventually(t, func() bool {
		return strings.Contains(s.log(), "Disabling client host2: no successful check within its timeout")
	}, s.log)
}

func eventually(t *testing.T, condition func() bool, otherwise func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error(otherwise())
			return
		}
	}
}

func TestReloadFollowsTheConfiguration(t *testing.T) {
	first, second := keytlstest.NewKey(keytlstest.Ed25519), keytlstest.NewKey(keytlstest.Ed25519)
	s, server := onBus(t, section("host1", first, ""))
	hangup := func() {
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	names := func() string {
		clients, err := server.Clients(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range clients {
			names = append(names, c.Name)
		}
		return strings.Join(names, " ")
	}

	drop := filepath.Join(s.conf, "clients.d")
	if err := os.Mkdir(drop, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(drop, "host2.conf"), []byte(section("host2", second, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	hangup()
	eventually(t, func() bool { return names() == "host1 host2" }, names)

	s.configure("[host1]\nkey_id = 00\nbogus\n[host3]\n")
	hangup()
	eventually(t, func() bool {
		log := s.log()
		return strings.Contains(log, "clients.conf:3") && strings.Contains(log, "[host3]")
	}, s.log)
	if got := names(); got != "host1 host2" {
		t.Errorf("a bad configuration left %q", got)
	}

	s.configure("")
	hangup()
	eventually(t, func() bool { return names() == "host2" }, names)
}

func TestBadConfigurationStartsNothing(t *testing.T) {
	for sentence, c := range map[string]struct {
		files  map[string]string
		args   []string
		status int
		stderr []string
	}{
		"all errors are told with their places": {
			files:  map[string]string{"mandos.conf": "[DEFAULT]\nport = x\n", "clients.conf": "[a]\ntimeout = soon\n"},
			status: 1, stderr: []string{"mandos.conf:2: [DEFAULT] port", "clients.conf:2: [a] timeout", "clients.conf:1: [a]"}},
		"a bad log level":         {args: []string{"--debuglevel", "LOUD"}, status: 2, stderr: []string{"--debuglevel", "LOUD"}},
		"an unknown option":       {args: []string{"--bogus"}, status: 2, stderr: []string{"mandos: error: unrecognized arguments: --bogus"}},
		"an argument":             {args: []string{"bogus"}, status: 2, stderr: []string{"mandos: error: unrecognized arguments: bogus"}},
		"no Zeroconf and no port": {args: []string{"--no-zeroconf"}, status: 2, stderr: []string{"needs --port or --socket to work without Zeroconf"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(mandos(t), append([]string{"--foreground", "--configdir", dir, "--statedir", filepath.Join(dir, "state")}, c.args...)...)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() != c.status {
				t.Errorf("exit status %d, error %v", cmd.ProcessState.ExitCode(), err)
			}
			for _, want := range c.stderr {
				if !strings.Contains(string(out), want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "state")); !os.IsNotExist(err) {
				t.Error("something was started: there is a state directory")
			}
		})
	}
}

func TestVersionAndHelp(t *testing.T) {
	for _, option := range []string{"--version", "-v"} {
		out, err := exec.Command(mandos(t), option).Output()
		if err != nil || string(out) != "mandos devel\n" {
			t.Errorf("%s: %q, error %v", option, out, err)
		}
	}
	out, err := exec.Command(mandos(t), "--help").Output()
	if err != nil || !strings.Contains(string(out), "--no-zeroconf") || !strings.Contains(string(out), "Examples:") {
		t.Errorf("--help: %s, error %v", out, err)
	}
}

func TestAnOrderlyEndShowsEveryClientToBeGone(t *testing.T) {
	s, _ := onBus(t, section("host1", keytlstest.NewKey(keytlstest.Ed25519), "")+section("host2", keytlstest.NewKey(keytlstest.Ed25519), ""))
	conn, err := dbus.Connect(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, 10)
	conn.Signal(signals)
	for _, member := range []string{"InterfacesRemoved", "NameOwnerChanged"} {
		if err := conn.AddMatchSignal(dbus.WithMatchMember(member)); err != nil {
			t.Fatal(err)
		}
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	var gone []dbus.ObjectPath
	for over := time.After(time.Minute); ; {
		select {
		case signal := <-signals:
			switch {
			case strings.HasSuffix(signal.Name, ".InterfacesRemoved"):
				gone = append(gone, signal.Body[0].(dbus.ObjectPath))
			case signal.Body[0] == dbusapi.BusName && signal.Body[2] == "":
				if !slices.Equal(gone, []dbus.ObjectPath{"/clients/host1", "/clients/host2"}) {
					t.Errorf("gone are %q", gone)
				}
				return
			}
		case <-over:
			t.Fatal("the server does not end:", s.log())
		}
	}
}
