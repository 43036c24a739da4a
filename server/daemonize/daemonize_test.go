// SPDX-License-Identifier: Apache-2.0

package daemonize_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mandos/server/daemonize"
)

const (
	behaviour = "MANDOS_TEST_BEHAVIOUR" // what the daemon does
	report    = "MANDOS_TEST_REPORT"    // the file in which it says what it sees
)

// TestMain is also the program that becomes a daemon.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(behaviour) == "":
		os.Exit(m.Run())
	case len(os.Args) != 3 || os.Args[1] != "--some" || os.Args[2] != "argument":
		panic("arguments are lost")
	}
	pipe, _ := os.Readlink("/proc/self/fd/" + os.Getenv("MANDOS_READY_FD"))
	if parent := daemonize.Inherited(); parent != nil {
		os.Exit(daemon(parent, pipe))
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { // which is time's up for one that is up, and not ready
		for ; ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(os.Getenv(report) + ".up"); err == nil {
				cancel(context.DeadlineExceeded)
			}
		}
	}()
	status, err := daemonize.Launch(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mandos:", err)
	}
	os.Exit(status)
}

// daemon behaves as told; pipe is what it is connected to its parent with.
func daemon(parent *daemonize.Parent, pipe string) int {
	switch os.Getenv(behaviour) {
	case "fail":
		fmt.Fprintln(os.Stderr, "mandos: the port is taken")
		return 3
	case "end":
		return 0
	case "crash":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "never be ready":
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		if err := os.WriteFile(os.Getenv(report)+".up", nil, 0o600); err != nil {
			panic(err)
		}
		<-terminated
		fmt.Fprintln(os.Stderr, "terminated")
		return 0
	}
	inherited := read(5)
	if err := parent.Ready(); err != nil {
		panic(err)
	}
	time.Sleep(50 * time.Millisecond) // the parent is gone by now
	sid, err := syscall.Getpgid(0)
	dir, dirErr := os.Getwd()
	name, nameErr := os.ReadFile("/proc/self/comm")
	text := fmt.Sprintln("name:", strings.TrimSpace(string(name)), nameErr) +
		fmt.Sprintln("own session:", sid == os.Getpid(), err) +
		fmt.Sprintln("directory:", dir, dirErr) +
		fmt.Sprintln("descriptor 5:", inherited) +
		fmt.Sprintln("variable:", os.Getenv("MANDOS_READY_FD"))
	for fd := range 3 {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		text += fmt.Sprintln("standard", fd, target, err)
	}
	descriptors, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	text += fmt.Sprintln("children have the pipe:", strings.Contains(string(descriptors), pipe), err)
	file := os.Getenv(report)
	if err := errors.Join(os.WriteFile(file+".new", []byte(text), 0o600), os.Rename(file+".new", file)); err != nil {
		return 1
	}
	return 0
}

func read(fd uintptr) string {
	data, err := io.ReadAll(os.NewFile(fd, "inherited"))
	return fmt.Sprintf("%s %v", data, err)
}

// launch runs the program until it returns to its caller.
func launch(t *testing.T, behave string) (stderr, file string, err error) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "report")
	inherited, err := os.Create(filepath.Join(dir, "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	inherited.WriteString("its content")
	inherited.Seek(0, io.SeekStart)

	cmd := exec.Command("/proc/self/exe", "--some", "argument")
	cmd.Env = append(os.Environ(), behaviour+"="+behave, report+"="+file, "GORACE=atexit_sleep_ms=0")
	cmd.Dir = dir
	cmd.ExtraFiles = []*os.File{nil, nil, inherited}
	var out bytes.Buffer
	cmd.Stderr = &out // a pipe: Run ends only when nobody has the other end any more
	err = cmd.Run()
	return out.String(), file, err
}

func TestReturnsWhenReady(t *testing.T) {
	stderr, file, err := launch(t, "work")
	if err != nil || stderr != "" {
		t.Fatalf("%v %q", err, stderr)
	}
	var got []byte
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, err = os.ReadFile(file); err == nil {
			break
		}
	}
	want := `name: daemonize.test <nil>
own session: true <nil>
directory: / <nil>
descriptor 5: its content <nil>
variable: 
standard 0 /dev/null <nil>
standard 1 /dev/null <nil>
standard 2 /dev/null <nil>
children have the pipe: false <nil>
`
	if string(got) != want {
		t.Errorf("the daemon saw\n%s\nwant\n%s", got, want)
	}
}

func TestReturnsTheFailure(t *testing.T) {
	for behave, want := range map[string]struct {
		status int
		stderr string
	}{
		"fail":           {3, "mandos: the port is taken\n"},
		"end":            {1, "mandos: the daemon ended before it was ready\n"},
		"crash":          {1, "mandos: the daemon ended before it was ready: signal: killed\n"},
		"never be ready": {1, "terminated\nmandos: the daemon was not ready in time: context deadline exceeded\n"},
	} {
		t.Run(behave, func(t *testing.T) {
			t.Parallel()
			stderr, _, err := launch(t, behave)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != want.status || stderr != want.stderr {
				t.Errorf("%v, %q; want status %d, %q", err, stderr, want.status, want.stderr)
			}
		})
	}
}

func TestNoParent(t *testing.T) {
	for name, value := range map[string]string{
		"a number that is no descriptor":   "999",
		"a descriptor that is no pipe":     "3",
		"standard output":                  "1",
		"what is no number":                "x",
		"a negative number":                "-1",
		"a number that is no number in Go": "99999999999999999999",
	} {
		t.Setenv("MANDOS_READY_FD", value)
		if name == "a descriptor that is no pipe" {
			f, err := os.Open("/dev/null")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			t.Setenv("MANDOS_READY_FD", fmt.Sprint(f.Fd()))
		}
		if daemonize.Inherited() != nil {
			t.Errorf("%s is taken for a parent", name)
		}
		if _, set := os.LookupEnv("MANDOS_READY_FD"); set {
			t.Errorf("after %s the variable is left for checkers to see", name)
		}
	}
	if daemonize.Inherited() != nil {
		t.Error("without the variable there is a parent")
	}
}
