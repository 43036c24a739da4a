// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mandos/dbusapi"
)

// bus is a private message bus.
type bus struct {
	daemon  *exec.Cmd
	dir     string
	address string
}

func startBus() (*bus, error) {
	dir, err := os.MkdirTemp("", "mandos-load-bus-")
	if err != nil {
		return nil, err
	}
	b := &bus{dir: dir, address: "unix:path=" + filepath.Join(dir, "socket")}
	conf := filepath.Join(dir, "bus.conf")
	content := `<busconfig><listen>` + b.address + `</listen><auth>EXTERNAL</auth><policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>`
	err = os.Chmod(dir, 0o755) // for the server's user
	if err == nil {
		err = os.WriteFile(conf, []byte(content), 0o600)
	}
	b.daemon = exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+conf)
	if err == nil {
		err = b.daemon.Start()
	}
	return b, err
}

func (b *bus) stop() {
	b.daemon.Process.Kill()
	b.daemon.Wait()
	os.RemoveAll(b.dir)
}

// measureStart starts a server with many clients, first without a state and then
// with the one it left.
func (l *load) measureStart(out io.Writer) error {
	const clients = 10_000
	ctx, cancel := context.WithTimeout(context.Background(), l.atMost)
	defer cancel()
	b, err := startBus()
	if err != nil {
		return err
	}
	defer b.stop()
	s, err := newServer(l.mandos, clients, "")
	if err != nil {
		return err
	}
	defer s.stop()
	s.env = []string{"DBUS_SYSTEM_BUS_ADDRESS=" + b.address}
	for _, from := range []string{"the configuration", "the saved state"} {
		start := time.Now()
		if err := s.start(ctx); err != nil {
			return err
		}
		listening := time.Since(start)
		if err := awaitBus(ctx, b.address); err != nil {
			return err
		}
		answering := time.Since(start)
		time.Sleep(2 * time.Second)
		resident := s.resident()
		start = time.Now()
		s.end()
		fmt.Fprintf(out, "%d clients from %s: listening after %v, on D-Bus after %v, resident %d MB, ended after %v\n", clients, from,
			listening.Round(time.Millisecond), answering.Round(time.Millisecond), resident>>20, time.Since(start).Round(time.Millisecond))
	}
	return nil
}

func awaitBus(ctx context.Context, address string) error {
	for {
		server, err := dbusapi.Connect(ctx, address)
		if err == nil {
			_, err = server.Status(ctx)
			server.Close()
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// measureChecks has 1,000 clients checked every two seconds, each of which would
// be disabled if it had no good check for two intervals.
func (l *load) measureChecks(out io.Writer) error {
	const clients, interval = 1000, 2
	ctx, cancel := context.WithTimeout(context.Background(), l.checks+30*time.Second)
	defer cancel()
	s, err := newServer(l.mandos, clients, "checker = /bin/true\ninterval = PT2S\ntimeout = PT4S\n")
	if err != nil {
		return err
	}
	defer s.stop()
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.log, s.level = log, "debug"
	if err := s.start(ctx); err != nil {
		return err
	}
	time.Sleep(l.checks)
	cpu := s.cpuTime()
	s.end()
	content, err := os.ReadFile(log.Name())
	if err != nil {
		return err
	}
	succeeded, disabled := strings.Count(string(content), " succeeded"), strings.Count(string(content), "Disabling client")
	fmt.Fprintf(out, "%d clients checked every %d s for %v: %d checks succeeded of %d due, %d clients disabled, server CPU %v for each check, its checkers' included\n",
		clients, interval, l.checks, succeeded, clients*int(l.checks.Seconds())/interval, disabled, (cpu / time.Duration(max(succeeded, 1))).Round(time.Microsecond))
	return nil
}
