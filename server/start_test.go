// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAStartThatHangsEndsWhenItIsToldTo has a state to take over that never comes,
// as on a disk that does not answer.
func TestAStartThatHangsEndsWhenItIsToldTo(t *testing.T) {
	for name, signal := range map[string]os.Signal{"by SIGTERM": syscall.SIGTERM, "by SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			os.Chmod(filepath.Dir(dir), 0o755)
			os.Chmod(dir, 0o777)
			path := filepath.Join(dir, "clients.pickle")
			if err := unix.Mkfifo(path, 0o666); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(mandos(t), "--foreground", "--no-dbus", "--no-zeroconf", "--port", freePort(t), "--configdir", dir, "--statedir", dir)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer opened(t, path).Close() // and now it waits for what comes
			told := time.Now()
			cmd.Process.Signal(signal)
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case err := <-ended:
				if err != nil || !strings.Contains(stderr.String(), "told to end before the start was done") {
					t.Errorf("it ended with %v after %v:\n%s", err, time.Since(told), &stderr)
				}
			case <-time.After(time.Minute):
				cmd.Process.Kill()
				t.Fatal("it goes on")
			}
			if _, err := os.Stat(filepath.Join(dir, "state.db")); !os.IsNotExist(err) {
				t.Errorf("it left a state, or %v", err)
			}
		})
	}
}

// opened is the end of a pipe to write to, once somebody has the other one.
func opened(t *testing.T, path string) *os.File {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		pipe, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		switch {
		case err == nil:
			return pipe
		case time.Now().After(deadline):
			t.Fatal("nobody reads it: ", err)
		}
	}
}

// TestAStartThatWorksForLongHasMoreTime hears what the service manager would.
func TestAStartThatWorksForLongHasMoreTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	heard := make(chan string, 1)
	go func() {
		buf := make([]byte, 4096)
		n, _ := manager.Read(buf)
		heard <- string(buf[:n])
	}()
	err = starting(t.Context(), func() error {
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); { // as one that works
			select {
			case got := <-heard:
				if got != "EXTEND_TIMEOUT_USEC=60000000" {
					t.Errorf("heard %q", got)
				}
				return nil
			default:
			}
		}
		return errors.New("the service manager heard nothing")
	})
	if err != nil {
		t.Error(err)
	}
}
