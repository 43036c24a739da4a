// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mandos/server/debiantest"
	"mandos/server/keytls/keytlstest"
)

// public makes a directory that the user of the server can reach.
func public(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestADaemonWithoutALogDaemonSaysOnStandardErrorWhatItLogs(t *testing.T) {
	debiantest.NeedRoot(t, "to have mounts of its own")
	dir := public(t)
	script := fmt.Sprintf(`
mount -t tmpfs none /run
[ ! -S /dev/log ] || mount --bind /dev/null /dev/log
%[1]s --no-dbus --no-zeroconf --port %[3]s --configdir %[2]s --statedir %[2]s/state || exit 10
pid=$(cat /run/mandos.pid) || exit 11
kill "$pid" || exit 12
while [ -s /run/mandos.pid ]; do sleep 0.05; done
`, mandos(t), dir, freePort(t))
	out, err := exec.Command("unshare", "--mount", "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"No log daemon takes the log", "socket=/dev/log", "WARNING: no clients defined"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("standard error lacks %q:\n%s", want, out)
		}
	}
}

func TestTheReasonOfAFailedStartIsAnErrorInTheJournal(t *testing.T) {
	dir := public(t)
	if err := os.WriteFile(filepath.Join(dir, "clients.conf"), []byte("[a]\nkey_id = x\n[b]\ntimeout = soon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for sentence, args := range map[string][]string{
		"mistakes in the configuration":   {"--configdir", dir},
		"mistakes on the command line":    {"--port", "x"},
		"options that do not go together": {"--configdir", dir + "/none", "--address", "::1", "--no-ipv6"},
		"a socket that is none":           {"--configdir", dir + "/none", "--socket", "99", "--no-zeroconf"},
	} {
		t.Run(sentence, func(t *testing.T) {
			stderr, err := os.Create(filepath.Join(dir, "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			info, err := stderr.Stat()
			if err != nil {
				t.Fatal(err)
			}
			stat := info.Sys().(*syscall.Stat_t)
			cmd := exec.Command(mandos(t), append([]string{"--foreground", "--no-dbus", "--statedir", dir + "/state"}, args...)...)
			cmd.Env = append(os.Environ(), fmt.Sprintf("JOURNAL_STREAM=%d:%d", stat.Dev, stat.Ino))
			cmd.Stderr = stderr
			if err := cmd.Run(); err == nil {
				t.Error("it started")
			}
			said, err := os.ReadFile(stderr.Name())
			if err != nil || len(said) == 0 {
				t.Fatalf("it said nothing, error %v", err)
			}
			for line := range strings.Lines(string(said)) {
				if !strings.HasPrefix(line, "<3>") || len(line) == len("<3>\n") {
					t.Errorf("a line of what it said: %q", line)
				}
			}
		})
	}
}

func TestWhoeverElseMayWriteIsLogged(t *testing.T) {
	s := startServer(t, plainSection(keytlstest.NewKey(keytlstest.Ed25519)), "--no-dbus")
	path := filepath.Join(s.conf, "clients.conf")
	want := "WARNING: " + path + ": this file can be written by every user of this machine"
	if strings.Contains(s.log(), want) {
		t.Fatal("it is told before it is so")
	}
	if err := os.Chmod(path, 0o602); err != nil {
		t.Fatal(err)
	}
	s.cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, func() bool { return strings.Contains(s.log(), want) }, s.log)
	s.stop()
	if err := os.Truncate(s.stderrPath, 0); err != nil {
		t.Fatal(err)
	}
	s.start()
	eventually(t, func() bool { return strings.Contains(s.log(), want) }, s.log)
	if strings.Count(s.log(), "who writes there can") != 1 {
		t.Errorf("there is more than one warning:\n%s", s.log())
	}
}

func TestASignalToReloadDoesNotEndTheStart(t *testing.T) {
	s := startServer(t, plainSection(keytlstest.NewKey(keytlstest.Ed25519)), "--no-dbus")
	s.stop()
	file, err := os.Open(filepath.Join(s.state, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const inUse = "is in use"
	log := inUse
	for strings.Contains(log, inUse) { // this test was too slow to give the lock back
		log = hangUpDuringStart(t, s, file)
	}
	if !strings.Contains(log, "configuration reloaded") {
		t.Errorf("the server has ended:\n%s", log)
	}
}

// hangUpDuringStart holds up the start of a server by having the lock of its state,
// sends it SIGHUP meanwhile, and returns its log when it has ended or reloaded.
func hangUpDuringStart(t *testing.T, s *serverProcess, state *os.File) (log string) {
	t.Helper()
	if err := syscall.Flock(int(state.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.stderrPath, 0); err != nil {
		t.Fatal(err)
	}
	stderr, err := os.OpenFile(s.stderrPath, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd := exec.Command(s.cmd.Path, s.cmd.Args[1:]...)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}()
	until := func(so func() bool) {
		for !so() && !hasEnded(cmd.Process.Pid) {
			time.Sleep(5 * time.Millisecond)
		}
	}
	until(func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort("localhost", s.port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	cmd.Process.Signal(syscall.SIGHUP)
	if err := syscall.Flock(int(state.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	until(func() bool { return strings.Contains(s.log(), "configuration reloaded") })
	return s.log()
}

func TestTheReaderHasANameInTheListOfProcesses(t *testing.T) {
	debiantest.NeedRoot(t, "for the server to have a reader")
	s := startServer(t, plainSection(keytlstest.NewKey(keytlstest.Ed25519)), "--no-dbus")
	// Any thread may have started it.
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var children []byte
	for _, task := range tasks {
		more, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		children = append(append(children, ' '), more...)
	}
	found := false
	for _, child := range strings.Fields(string(children)) {
		command, err := os.ReadFile("/proc/" + child + "/cmdline")
		if err != nil || !bytes.HasPrefix(command, []byte("mandos-reader\x00--foreground\x00")) {
			continue
		}
		found = true
		eventually(t, func() bool {
			comm, err := os.ReadFile("/proc/" + child + "/comm")
			return err == nil && string(comm) == "mandos-reader\n"
		}, func() string { return "the reader is not called mandos-reader" })
	}
	if !found {
		t.Errorf("the children are %q, and none has the command line of a reader", children)
	}
}
