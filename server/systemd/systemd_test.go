// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mandos/server/systemd"
)

// TestMain is also a service to which sockets are passed.
func TestMain(m *testing.M) {
	if os.Getenv("MANDOS_TEST_SERVICE") == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("LISTEN_PID") == "self" {
		os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
	}
	passes := systemd.PassesSocket()
	file, err := systemd.Socket()
	switch {
	case passes != (file != nil || err != nil):
		fmt.Printf("socket %v, error %v, but PassesSocket says %v", file, err, passes)
	case err != nil:
		fmt.Print(err)
	case file == nil:
		fmt.Print("none")
	default:
		listener, err := net.FileListener(file)
		if err != nil {
			fmt.Print(err)
			break
		}
		fmt.Print(listener.Addr())
	}
	if os.Getenv("LISTEN_FDS") != "" {
		fmt.Print(" and the variables are left")
	}
}

// manager is a service manager that hears what it is told.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func hear(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestNotify(t *testing.T) {
	conn := manager(t)
	for want, tell := range map[string]func() error{
		`READY=1\nSTATUS=12 clients, 1 waiting for approval`: func() error { return systemd.Ready("12 clients, 1 waiting for approval") },
		`STATUS=no clients MAINPID=1`:                        func() error { return systemd.Status("no clients\nMAINPID=1") },
		`RELOADING=1\nMONOTONIC_USEC=\d+\nSTATUS=.+`:         systemd.Reloading,
		`STOPPING=1\nSTATUS=.+`:                              systemd.Stopping,
	} {
		if err := tell(); err != nil {
			t.Error(err)
		}
		if got := hear(t, conn); !regexp.MustCompile("^" + want + "$").MatchString(got) {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
}

func TestWithoutAManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := errors.Join(systemd.Ready("x"), systemd.Status("x"), systemd.Reloading(), systemd.Stopping()); err != nil {
		t.Error(err)
	}
	t.Setenv("NOTIFY_SOCKET", "/nonexistent/notify")
	if systemd.Ready("x") == nil {
		t.Error("a manager that cannot be reached is no error")
	}
}

func TestNoWatchdog(t *testing.T) {
	never := func(context.Context) error { panic("asked without need") }
	for _, env := range [][2]string{{"", ""}, {"1000", "1"}} {
		t.Setenv("WATCHDOG_USEC", env[0])
		t.Setenv("WATCHDOG_PID", env[1])
		if err := systemd.FeedWatchdog(t.Context(), never); err != nil {
			t.Error(err)
		}
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if systemd.FeedWatchdog(t.Context(), never) == nil {
		t.Error("nonsense is no error")
	}
}

func TestSocket(t *testing.T) {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, tc := range map[string]struct {
		count, pid string
		want       string
	}{
		"one socket":             {"1", "self", listener.Addr().String()},
		"none":                   {"0", "self", "none"},
		"two sockets":            {"2", "self", "the service manager passes 2 sockets, and one is what the server can listen on; see to the socket unit"},
		"one for somebody else":  {"1", "1", "none"},
		"nonsense for a number":  {"x", "self", "none"},
		"no variables whatever ": {"", "", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), "MANDOS_TEST_SERVICE=1", "LISTEN_FDS="+tc.count, "LISTEN_PID="+tc.pid, "GORACE=atexit_sleep_ms=0")
			cmd.ExtraFiles = []*os.File{file, file}
			out, err := cmd.Output()
			if got := strings.TrimSpace(string(out)); err != nil || got != tc.want {
				t.Errorf("got %q (%v), want %q", got, err, tc.want)
			}
		})
	}
}
