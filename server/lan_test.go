// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mandos/server/zeroconf/lantest"
)

// lan is a server and a client on a network of their own. The client has a
// link-local IPv6 address and nothing else, as in an initial RAM disk.
type lan struct {
	t            *testing.T
	debian       *debian
	keys         string
	server, host *lantest.Host
	conf, state  string
	log          *os.File
	wrapper      []string // what starts the server
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	l := &lan{t: t, debian: realClient(t)}
	keys, keyID := tlsKey(t, "--key-type", "ed25519")
	l.keys = keys
	l.server, l.host = lantest.NewHost(t), lantest.NewHost(t)
	l.server.Cable(l.host, "eth0")
	l.host.Run("ip", "-4", "address", "flush", "dev", "eth0")
	l.server.StartBus()
	l.server.StartAvahi()

	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	l.conf, l.state = filepath.Join(dir, "etc"), filepath.Join(dir, "state")
	for _, dir := range []string{l.conf, l.state} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(l.conf, "clients.conf"), []byte(l.debian.clientsConf(keyID, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	l.log = log
	return l
}

// serve starts the server, without a port: nothing but Zeroconf tells of it.
func (l *lan) serve(args ...string) { l.serveOn(l.server, args...) }

func (l *lan) serveOn(h *lantest.Host, args ...string) {
	l.t.Helper()
	args = append([]string{"--foreground", "--configdir", l.conf, "--statedir", filepath.Join(l.state, h.Name)}, args...)
	daemon := h.Command(slices.Concat(l.wrapper, []string{mandos(l.t)}, args)...)
	daemon.Stderr = l.log
	if err := daemon.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		daemon.Process.Signal(syscall.SIGTERM)
		if err := daemon.Wait(); err != nil {
			l.t.Errorf("the server ended with %v:\n%s", err, l.logged())
		}
	})
}

func (l *lan) logged() string {
	log, err := os.ReadFile(l.log.Name())
	if err != nil {
		l.t.Error(err)
	}
	return string(log)
}

// boots lets the host boot: the real mandos-client finds the server and fetches.
func (l *lan) boots() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Minute)
	defer cancel()
	makeReadable(l.t, l.debian.keys, l.keys)
	args := []string{l.debian.client, "--interface", "eth0",
		"--seckey", filepath.Join(l.debian.keys, "seckey.txt"), "--pubkey", filepath.Join(l.debian.keys, "pubkey.txt"),
		"--tls-privkey", filepath.Join(l.keys, "tls-privkey.pem"), "--tls-pubkey", filepath.Join(l.keys, "tls-pubkey.pem"), "--retry", "1"}
	base := l.host.Command(args...)
	cmd := exec.CommandContext(ctx, base.Path, base.Args[1:]...)
	cmd.Env = base.Env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = patience
	if err := cmd.Run(); err != nil || stdout.String() != password {
		l.t.Errorf("mandos-client got %q, error %v\n%s\nThe server's log:\n%s", &stdout, err, &stderr, l.logged())
	}
}

func TestClientFindsTheServerOnTheLAN(t *testing.T) {
	for sentence, do := range map[string]func(l *lan){
		"with nothing configured": func(l *lan) {
			l.serve()
			l.boots()
			if log := l.logged(); !strings.Contains(log, "address=[fe80::") {
				t.Errorf("not over a link-local address:\n%s", log)
			}
		},
		"with --interface": func(l *lan) {
			l.serve("--interface", "eth0")
			l.boots()
		},
		"over IPv4": func(l *lan) {
			l.host.Run("ip", "address", "add", "192.0.2.2/24", "dev", "eth0")
			l.serve("--no-ipv6")
			l.boots()
		},
		"with two servers of the same name": func(l *lan) {
			other := lantest.NewHost(l.t)
			l.server.Cable(other, "eth1")
			l.server.Run("ip", "link", "add", "br0", "type", "bridge")
			for _, end := range []string{"eth0", "eth1"} {
				l.server.Run("ip", "link", "set", end, "master", "br0")
			}
			l.server.Run("ip", "link", "set", "br0", "up")
			other.StartBus()
			other.StartAvahi()
			l.serve("--interface", "br0")
			l.serveOn(other)
			lantest.Await(l.t, "both servers", func() bool {
				found := strings.Join(other.Found(), "\n")
				return strings.Contains(found, ";Mandos;") && strings.Contains(found, ";Mandos #2;")
			})
			l.boots()
		},
		"after avahi-daemon was killed and started again": func(l *lan) {
			l.serve()
			l.boots()
			lantest.Kill(l.server.Avahi)
			l.server.StartAvahi()
			l.boots()
		},
		"after its interface went down and up": func(l *lan) {
			l.serve()
			l.boots()
			l.server.Run("ip", "link", "set", "eth0", "down")
			time.Sleep(time.Second)
			l.server.Run("ip", "link", "set", "eth0", "up")
			l.boots()
		},
		"while the bus is away, if it was announced before": func(l *lan) {
			l.serve()
			l.boots()
			lantest.Kill(l.server.Bus)
			l.server.StartBus()
			l.server.StartAvahi()
			l.boots()
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			do(newLAN(t))
		})
	}
}
