// SPDX-License-Identifier: Apache-2.0

// Package dbustest gives tests a message bus of their own: a real dbus-daemon
// with a throw-away configuration.
//
// Whoever imports it cannot reach the machine's own buses: the addresses in the
// environment, which child processes inherit, lead nowhere until a test sets
// them to its own bus.
package dbustest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func init() {
	if !testing.Testing() {
		panic("dbustest is for tests only")
	}
	for _, bus := range []string{"SYSTEM", "SESSION", "STARTER"} {
		os.Setenv("DBUS_"+bus+"_BUS_ADDRESS", "unix:path=/nonexistent/tests-have-no-such-bus")
	}
}

// Bus is a running dbus-daemon.
type Bus struct {
	// Address is the bus's D-Bus address, the same after a restart.
	Address string

	tb         testing.TB
	dir        string
	complaints *os.File
	daemon     *exec.Cmd
}

// Start starts a bus that lets everybody do everything. It ends with the test.
func Start(tb testing.TB) *Bus {
	tb.Helper()
	return start(tb, everything)
}

const everything = `
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
  <limit name="max_replies_per_connection">100000</limit>`

// StartNarrow starts a bus like Start's that takes no message of more bytes, as every
// bus does at some length: it costs the sender its connection.
func StartNarrow(tb testing.TB, message int) *Bus {
	tb.Helper()
	return start(tb, fmt.Sprintf("%s\n  <limit name=\"max_message_size\">%d</limit>", everything, message))
}

// StartSystem starts a bus that is as strict as a system bus, with holes
// punched by the policy file at that path. The users and groups that the file
// names must exist.
func StartSystem(tb testing.TB, policy string) *Bus {
	tb.Helper()
	policy, err := filepath.Abs(policy)
	if err == nil {
		_, err = os.Stat(policy)
	}
	if err != nil {
		tb.Fatalf("the bus policy: %v", err)
	}
	return start(tb, `
  <type>system</type>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>`+policy+`</include>`)
}

func start(tb testing.TB, policy string) *Bus {
	tb.Helper()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	b := &Bus{Address: "unix:path=" + filepath.Join(dir, "socket"), tb: tb, dir: dir}
	config := fmt.Sprintf(`<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>%s</listen>
  <auth>EXTERNAL</auth>%s
</busconfig>
`, b.Address, policy)
	if err := os.WriteFile(b.config(), []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // for other users to connect
		tb.Fatal(err)
	}
	if b.complaints, err = os.Create(filepath.Join(dir, "complaints")); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		b.Stop()
		b.complaints.Close()
		if complaints, err := os.ReadFile(b.complaints.Name()); err == nil && tb.Failed() {
			tb.Logf("dbus-daemon says:\n%s", complaints)
		}
	})
	b.Restart()
	return b
}

func (b *Bus) config() string { return filepath.Join(b.dir, "bus.conf") }

// Restart starts the bus again at the same address, after stopping it if it runs.
func (b *Bus) Restart() {
	b.tb.Helper()
	b.Stop()
	daemon := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", "--print-address=1", "--config-file="+b.config())
	daemon.Stderr = b.complaints
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := daemon.StdoutPipe()
	if err == nil {
		err = daemon.Start()
	}
	if err != nil {
		b.tb.Fatalf("dbus-daemon does not start (Debian has it in the package dbus): %v", err)
	}
	b.daemon = daemon
	ready := time.AfterFunc(2*time.Minute, func() { daemon.Process.Kill() })
	defer ready.Stop()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); !strings.HasPrefix(line, "unix:") {
		b.tb.Fatalf("dbus-daemon said %q and not where it listens (%v)", line, err)
	}
}

// Stop ends the bus and with it all connections.
func (b *Bus) Stop() {
	if b.daemon == nil {
		return
	}
	b.daemon.Process.Kill()
	b.daemon.Wait()
	b.daemon = nil
	os.Remove(filepath.Join(b.dir, "socket"))
}

// Freeze has the bus do nothing until Thaw, its connections staying open.
func (b *Bus) Freeze() { b.daemon.Process.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (b *Bus) Thaw() { b.daemon.Process.Signal(syscall.SIGCONT) }
