// SPDX-License-Identifier: Apache-2.0

package pidfile_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mandos/server/debiantest"
	"mandos/server/pidfile"
)

const (
	roleVariable = "MANDOS_TEST_ROLE"
	pathVariable = "MANDOS_TEST_PATH"
)

// TestMain is also the program of the daemons.
func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := daemon(role, os.Getenv(pathVariable)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func daemon(role, path string) error {
	if role == "one that does not lock" {
		fmt.Println(os.Getpid())
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	file, err := pidfile.Create(path)
	if err != nil {
		return err
	}
	switch role {
	case "one that gives up root":
		if os.Geteuid() != 0 {
			break // it has none
		}
		err = errors.Join(syscall.Setgid(65534), syscall.Setuid(65534))
	case "one with a checker":
		checker := exec.Command("cat")
		checker.Stdin = os.Stdin
		err = checker.Start()
	}
	if err != nil {
		return err
	}
	fmt.Println(os.Getpid())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return file.Release()
}

type process struct {
	*exec.Cmd
	stdin io.Closer
	said  string // its first line: its process ID, or an error
}

func run(t *testing.T, role, path string) process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, pathVariable+"="+path, "GORACE=atexit_sleep_ms=0")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	return process{cmd, stdin, strings.TrimSpace(line)}
}

// end lets the process end by itself.
func (p process) end(t *testing.T) {
	t.Helper()
	p.stdin.Close()
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

// newPath is a file in a directory like /run, which everybody can enter and only
// root can write to.
func newPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mandos-pidfile-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "mandos.pid")
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWrittenAndEmptied(t *testing.T) {
	for _, role := range []string{"one that stays root", "one that gives up root"} {
		t.Run(role, func(t *testing.T) {
			path := newPath(t)
			p := run(t, role, path)
			if got, want := content(t, path), fmt.Sprintf("%d\n", p.Process.Pid); got != want {
				t.Errorf("the file has %q, want %q", got, want)
			}
			p.end(t)
			if left := content(t, path); left != "" {
				t.Errorf("the file has %q after the end", left)
			}
		})
	}
}

// A file that others can write to would name whatever process they like for root to
// end.
func TestOnlyRootCanWriteToIt(t *testing.T) {
	debiantest.NeedRoot(t, "to give it up")
	path := newPath(t)
	run(t, "one that gives up root", path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 || info.Mode().Perm()&0o022 != 0 {
		t.Errorf("it is that of user %d, with mode %v", owner, info.Mode())
	}
}

func TestFileOfOneThatWasKilledIsReplaced(t *testing.T) {
	for _, role := range []string{"one that gives up root", "one with a checker"} {
		path := newPath(t)
		first := run(t, role, path)
		first.Process.Kill()
		first.Process.Wait()
		if err := pidfile.Running(path); err != nil {
			t.Errorf("%s is dead, but %v", role, err)
		}
		second := run(t, "one that stays root", path)
		if content(t, path) != fmt.Sprintln(second.Process.Pid) {
			t.Errorf("after %s, which is dead, the second says %q", role, second.said)
		}
	}
}

func TestLivingServerKeepsIt(t *testing.T) {
	path := newPath(t)
	first := run(t, "one that stays root", path)
	second := run(t, "one that stays root", path)
	want := fmt.Sprintf("another server is running with process ID %s, as %s says; stop it first", first.said, path)
	if second.said != want {
		t.Errorf("the second says %q, want %q", second.said, want)
	}
	if content(t, path) != first.said+"\n" {
		t.Error("the second changed the file")
	}
}

func TestLivingServerWithoutALockKeepsIt(t *testing.T) {
	path := newPath(t)
	other := run(t, "one that does not lock", path)
	if err := os.WriteFile(path, []byte(other.said+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var running *pidfile.RunningError
	if _, err := pidfile.Create(path); !errors.As(err, &running) || fmt.Sprint(running.PID) != other.said {
		t.Errorf("got %v, want that %s is running", err, other.said)
	}
}

func TestStaleFileIsReplaced(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for name, left := range map[string]string{
		"a dead process":                          fmt.Sprintln(dead.Process.Pid),
		"a process that is no server":             "1\n",
		"this process, which got the number anew": fmt.Sprintln(os.Getpid()),
		"nothing":                                   "",
		"no number":                                 "hello\n",
		"a number that is none of a process":        "-1\n",
		"a number that is too large":                "99999999999999999999\n",
		"a longer text than a process ID ever has ": strings.Repeat("1", 100),
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			if err := os.WriteFile(path, []byte(left), 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := pidfile.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := content(t, path), fmt.Sprintln(os.Getpid()); got != want {
				t.Errorf("the file has %q, want %q", got, want)
			}
			if err := f.Release(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTakenOverFromOneThatIsLeaving(t *testing.T) {
	path := newPath(t)
	first := run(t, "one that stays root", path)
	opened := opens(t, path)
	go func() {
		opened() // and found it locked
		opened() // and tries again
		first.Process.Kill()
	}()
	second := run(t, "one that stays root", path)
	if second.said != fmt.Sprint(second.Process.Pid) {
		t.Errorf("the second says %q", second.said)
	}
	if content(t, path) != second.said+"\n" {
		t.Error("the file is not the second one's")
	}
}

// opens waits, each time, until somebody has opened the file once more.
func opens(t *testing.T, path string) (wait func()) {
	t.Helper()
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(watch) })
	// The kernel makes one event of several that are the same.
	if _, err := unix.InotifyAddWatch(watch, path, unix.IN_OPEN|unix.IN_CLOSE); err != nil {
		t.Fatal(err)
	}
	return func() {
		for {
			event := make([]byte, unix.SizeofInotifyEvent)
			n, err := unix.Read(watch, event)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil || n < len(event) {
				t.Errorf("read %d of an event: %v", n, err)
				return
			}
			if binary.NativeEndian.Uint32(event[4:])&unix.IN_OPEN != 0 {
				return
			}
		}
	}
}

func TestFileOfAnotherIsNotEmptied(t *testing.T) {
	path := newPath(t)
	p := run(t, "one that stays root", path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.end(t)
	if content(t, path) != "another" {
		t.Error("it emptied it")
	}
}

func TestRefused(t *testing.T) {
	path := newPath(t)
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	fifo := path + ".fifo"
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a symbolic link":     path,
		"a FIFO":              fifo,
		"a directory":         filepath.Dir(path),
		"no directory for it": path + "/x",
	} {
		if _, err := pidfile.Create(path); err == nil {
			t.Errorf("%s is taken for a PID file", name)
		}
	}
}
