// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/debiantest"
	"mandos/server/keytls/keytlstest"
)

const plain = "the secret that must not show"

func plainSection(key *keytlstest.Key) string {
	return fmt.Sprintf("[host1]\nkey_id = %s\nsecret = %s\nchecker = :\n", key.KeyID(), base64.StdEncoding.EncodeToString([]byte(plain)))
}

// fetch is what a Mandos client does, on any connection. A server that takes none has
// not refused anything, and fails the test.
func fetch(t *testing.T, port string, key *keytlstest.Key) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort("localhost", port))
	if err != nil {
		t.Errorf("the server takes no connection: %v", err)
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "1\r\n")
	secret, err := (&keytlstest.Peer{Key: key}).Fetch(conn)
	return string(secret), err
}

func procStatus(t *testing.T, pid int) map[string]string {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	status := make(map[string]string)
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.Join(strings.Fields(value), " ")
	}
	return status
}

func TestTheServerGivesRootUp(t *testing.T) {
	debiantest.NeedRoot(t, "to give it up")
	key := keytlstest.NewKey(keytlstest.Ed25519)
	s := startServer(t, plainSection(key), "--no-dbus", "--debuglevel", "debug")
	pid := s.cmd.Process.Pid
	status := procStatus(t, pid)
	uid := strings.Fields(status["Uid"])[0]
	if uid == "0" || status["Uid"] != strings.Join([]string{uid, uid, uid, uid}, " ") || strings.HasPrefix(status["Gid"], "0 ") {
		t.Errorf("Uid %q, Gid %q", status["Uid"], status["Gid"])
	}
	if status["Groups"] != "" {
		t.Errorf("Groups %q", status["Groups"])
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		if strings.Trim(status[set], "0") != "" {
			t.Errorf("%s is %s", set, status[set])
		}
	}
	t.Run("nobody of the same user looks into its memory", func(t *testing.T) {
		number, err := strconv.Atoi(uid)
		if err != nil {
			t.Fatal(err)
		}
		cat := exec.Command("cat", fmt.Sprintf("/proc/%d/mem", pid), fmt.Sprintf("/proc/%d/environ", pid))
		cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(number), Gid: uint32(number)}}
		out, err := cat.CombinedOutput()
		if err == nil || strings.Count(string(out), "Permission denied") != 2 {
			t.Errorf("error %v, output %.200q", err, out)
		}
	})
	t.Run("the log has no secret at debug level", func(t *testing.T) {
		if got, err := fetch(t, s.port, key); got != plain {
			t.Fatalf("got %q, error %v", got, err)
		}
		log := s.log()
		for _, form := range []string{plain, fmt.Sprintf("%x", plain), base64.StdEncoding.EncodeToString([]byte(plain)), "c2VjcmV0"} {
			if strings.Contains(log, form) {
				t.Errorf("the log has %q", form)
			}
		}
		if !strings.Contains(log, "DEBUG") {
			t.Error("the log has nothing at debug level")
		}
	})
	t.Run("a crash leaves no core", func(t *testing.T) {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
		if err != nil || !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") {
			t.Errorf("limits: %s, error %v", limits, err)
		}
		s.cmd.Process.Signal(syscall.SIGABRT)
		s.cmd.Wait()
		if ws, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.CoreDump() {
			t.Errorf("ended as %v", s.cmd.ProcessState)
		}
	})
}

func TestEnds(t *testing.T) {
	for sentence, signal := range map[string]os.Signal{"by SIGTERM": syscall.SIGTERM, "by SIGINT": syscall.SIGINT} {
		t.Run(sentence+" while peers idle and a checker hangs", func(t *testing.T) {
			t.Parallel()
			key := keytlstest.NewKey(keytlstest.Ed25519)
			hanging := "[host2]\nkey_id = 00\nsecret = c2VjcmV0\nchecker = trap '' TERM; while :; do sleep 1000; done\ninterval = PT1S\n"
			s := startServer(t, plainSection(key)+"approval_delay = PT1H\n"+hanging, "--no-dbus", "--debuglevel", "debug")
			idle, err := net.Dial("tcp", net.JoinHostPort("localhost", s.port))
			if err != nil {
				t.Fatal(err)
			}
			defer idle.Close()
			waiting := make(chan string)
			go func() {
				got, _ := fetch(t, s.port, key)
				waiting <- got
			}()
			eventually(t, func() bool {
				log := s.log()
				return strings.Contains(log, "needs approval") && strings.Contains(log, "Starting checker for host2")
			}, s.log)
			s.cmd.Process.Signal(signal)
			if err := s.cmd.Wait(); err != nil {
				t.Errorf("ended with %v\n%s", err, s.log())
			}
			if log := s.log(); strings.Contains(log, "i/o timeout") {
				t.Errorf("it waited for the peer that idles:\n%s", log)
			}
			if got := <-waiting; got != "" {
				t.Errorf("a client that waited for approval got %q", got)
			}
		})
	}
}

func TestFilesOnlyRootCanRead(t *testing.T) {
	first, second := keytlstest.NewKey(keytlstest.Ed25519), keytlstest.NewKey(keytlstest.Ed25519)
	secrets := t.TempDir()
	secretFile := func(name string) string {
		path := filepath.Join(secrets, name)
		if err := os.WriteFile(path, []byte(plain), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := func(name string, key *keytlstest.Key) string {
		return fmt.Sprintf("[%s]\nkey_id = %s\nsecfile = %s\nchecker = :\n", name, key.KeyID(), secretFile(name))
	}
	s := startServer(t, conf("host1", first), "--no-dbus")
	if got, err := fetch(t, s.port, first); got != plain {
		t.Errorf("at the start: got %q, error %v\n%s", got, err, s.log())
	}
	s.configure(conf("host1", first) + conf("host2", second))
	s.cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, func() bool { return strings.Contains(s.log(), "configuration reloaded") }, s.log)
	if got, err := fetch(t, s.port, second); got != plain {
		t.Errorf("after a reload: got %q, error %v\n%s", got, err, s.log())
	}
}

func TestABurstOfClientsIsServedAtOnce(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	s := startServer(t, plainSection(key), "--no-dbus")
	const clients = 15 // of one client, which may have 20
	results := make(chan string, clients)
	for range clients {
		go func() {
			got, err := fetch(t, s.port, key)
			if err != nil {
				got = err.Error()
			}
			results <- got
		}()
	}
	for range clients {
		if got := <-results; got != plain {
			t.Error(got)
		}
	}
}

func TestNoRestoreForgetsAndKeepsACopy(t *testing.T) {
	s, server := onBus(t, section("host1", keytlstest.NewKey(keytlstest.Ed25519), ""))
	if err := server.Disable(t.Context(), clientNamed(t, server, "host1")); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.args = append(s.args, "--no-restore")
	s.start()
	if !clientNamed(t, connect(t, os.Getenv("DBUS_SYSTEM_BUS_ADDRESS")), "host1").Enabled {
		t.Error("host1 is still disabled")
	}
	if copies, err := filepath.Glob(filepath.Join(s.state, "state.db.*")); err != nil || len(copies) != 1 {
		t.Errorf("copies of the former state: %v, error %v", copies, err)
	}
}

func TestADamagedStateStopsTheStart(t *testing.T) {
	s := startServer(t, section("host1", keytlstest.NewKey(keytlstest.Ed25519), ""), "--no-dbus")
	eventually(t, func() bool { return strings.Contains(s.log(), "serving version=") }, s.log)
	s.stop()
	path := filepath.Join(s.state, "state.db")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.ReplaceAll(content, []byte(`"Enabled":true`), []byte(`"Enabled":tru0`))
	if bytes.Equal(damaged, content) {
		t.Fatal("nothing to damage")
	}
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(s.cmd.Path, s.cmd.Args[1:]...)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), path) || !strings.Contains(string(out), "--no-restore") {
		t.Errorf("error %v\n%s", err, out)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
		t.Errorf("the file was changed, error %v", err)
	}
}

func TestAStateDirectoryOfSomebodyElse(t *testing.T) {
	debiantest.NeedRoot(t, "for the server to become another user")
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(mandos(t), "--foreground", "--no-dbus", "--no-zeroconf", "--port", freePort(t), "--configdir", dir, "--statedir", dir)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "chown it") || strings.Contains(string(out), "--no-restore") {
		t.Errorf("error %v\n%s", err, out)
	}
}

func TestNoMoreThanTheStateDirectoryIsMade(t *testing.T) {
	dir := t.TempDir()
	parent := filepath.Join(dir, "not mounted", "yet")
	cmd := exec.Command(mandos(t), "--foreground", "--no-dbus", "--no-zeroconf", "--port", freePort(t), "--configdir", dir, "--statedir", filepath.Join(parent, "mandos"))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "there is no "+parent+"; make that directory, mount what it is on, or set statedir") ||
		strings.Contains(string(out), "--no-restore") {
		t.Errorf("error %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Dir(parent)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was made, or %v", filepath.Dir(parent), err)
	}
}

// TestDaemon starts the server as init scripts do, with a /run of its own.
func TestDaemon(t *testing.T) {
	debiantest.NeedRoot(t, "to have mounts of its own")
	key := keytlstest.NewKey(keytlstest.Ed25519)
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "clients.conf"), []byte(plainSection(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	script := fmt.Sprintf(`
mount -t tmpfs none /run
start() { %[1]s --no-dbus --no-zeroconf --port "$1" --configdir %[2]s --statedir "$2"; }
start %[3]s %[2]s/state || exit 10
pid=$(cat /run/mandos.pid) || exit 11
kill -0 "$pid" || exit 12
[ "$(readlink /proc/$pid/cwd)" = / ] || exit 13
start %[4]s %[2]s/other && exit 14
echo ready
read -r go
kill -HUP "$pid" || exit 15
kill "$pid" || exit 16
while [ -d "/proc/$pid" ] && [ "$(sed -n 's/^State:\t\(.\).*/\1/p' /proc/$pid/status)" != Z ]; do sleep 0.05; done
[ -e /run/mandos.pid ] && [ ! -s /run/mandos.pid ] || exit 17
start x %[2]s/state
[ $? -eq 2 ] || exit 18
`, mandos(t), dir, port, freePort(t))
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(stdout, make([]byte, len("ready\n")))
	if got, err := fetch(t, port, key); got != plain {
		t.Errorf("got %q, error %v", got, err)
	}
	io.WriteString(stdin, "go\n")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &stderr)
	}
	if !strings.Contains(stderr.String(), "another server is running with process ID") {
		t.Errorf("the second server said\n%s", &stderr)
	}
}

func TestInheritedSockets(t *testing.T) {
	fromManager := func(pid string) string { return "export LISTEN_FDS=1 LISTEN_PID=" + pid + "; " }
	for sentence, c := range map[string]struct {
		args []string
		env  func(pidHere string) string
	}{
		"with --socket":            {args: []string{"--socket", "3"}},
		"from the service manager": {env: fromManager},
		"from the service manager, whatever port is asked for": {args: []string{"--port", "1"}, env: fromManager},
	} {
		t.Run(sentence, func(t *testing.T) {
			key := keytlstest.NewKey(keytlstest.Ed25519)
			dir := t.TempDir()
			if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "clients.conf"), []byte(plainSection(key)), 0o600); err != nil {
				t.Fatal(err)
			}
			listener, err := net.Listen("tcp", "[::]:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			file, err := listener.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			_, port, _ := net.SplitHostPort(listener.Addr().String())
			args := append([]string{"--foreground", "--no-dbus", "--no-zeroconf", "--configdir", dir, "--statedir", filepath.Join(dir, "state")}, c.args...)
			export := ""
			if c.env != nil {
				export = c.env("$$")
			}
			cmd := exec.Command("sh", append([]string{"-c", export + `exec "$0" "$@"`, mandos(t)}, args...)...)
			cmd.ExtraFiles = []*os.File{file}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			got, err := fetch(t, port, key)
			cmd.Process.Signal(syscall.SIGTERM)
			if ended := cmd.Wait(); got != plain || ended != nil {
				t.Errorf("got %q, error %v, ended with %v\n%s", got, err, ended, &stderr)
			}
		})
	}
}

func TestTheServiceManagerIsTold(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755)
	told := make(chan string, 100)
	go func() {
		for buf := make([]byte, 4096); ; {
			n, err := manager.Read(buf)
			if err != nil {
				close(told)
				return
			}
			for line := range strings.Lines(string(buf[:n])) {
				told <- strings.TrimSpace(line)
			}
		}
	}()
	hears := func(want string) {
		t.Helper()
		deadline := time.After(patience)
		for {
			select {
			case got := <-told:
				if strings.HasPrefix(got, want) {
					return
				}
			case <-deadline:
				t.Fatalf("the service manager did not hear %q", want)
			}
		}
	}
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "500000")
	s := startServer(t, plainSection(key)+"approval_delay = PT1H\n", "--no-dbus")
	hears("READY=1")
	hears("STATUS=1 client")
	hears("WATCHDOG=1")
	s.cmd.Process.Signal(syscall.SIGHUP)
	hears("RELOADING=1")
	hears("READY=1")
	go fetch(t, s.port, key)
	hears("STATUS=1 client, 1 waiting for approval")
	s.cmd.Process.Signal(unix.SIGTERM)
	hears("STOPPING=1")
	s.stop()
}
