// SPDX-License-Identifier: Apache-2.0

package configreader_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mandos/server/configreader"
)

const fileVariable, roleVariable = "MANDOS_TEST_FILE", "MANDOS_TEST_ROLE"

// TestMain is also the program of the other processes.
func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "reader":
		if err := configreader.Serve(readFile); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	case "server":
		r, err := configreader.Start(readerProcess(os.Stdout), (*exec.Cmd).Start)
		if err != nil {
			panic(err)
		}
		_, err = r.Read(context.Background())
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// readFile reads the file of the environment, which is named for what to do.
func readFile() ([]byte, error) {
	data, err := os.ReadFile(os.Getenv(fileVariable))
	switch strings.TrimSpace(string(data)) {
	case "panic":
		panic("as told")
	case "hang":
		fmt.Println("hanging")
		time.Sleep(time.Hour)
	case "die":
		os.Exit(3)
	case "be slow":
		time.Sleep(500 * time.Millisecond)
	case "be large":
		data = bytes.Repeat([]byte("0123456789abcdef"), 2<<20)
	}
	return data, err
}

func readerProcess(stdout io.Writer) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=reader", "GORACE=atexit_sleep_ms=0")
	cmd.Stdout = stdout
	return cmd
}

func write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(os.Getenv(fileVariable), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, text string) *configreader.Reader {
	t.Helper()
	t.Setenv(fileVariable, t.TempDir()+"/file")
	write(t, text)
	r, err := configreader.Start(readerProcess(nil), (*exec.Cmd).Start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestReadsAnewEachTime(t *testing.T) {
	r := start(t, "one")
	for _, want := range []string{"one", "two", "", "be large", "three"} {
		write(t, want)
		if want == "be large" {
			want = strings.Repeat("0123456789abcdef", 2<<20)
		}
		got, err := r.Read(t.Context())
		if err != nil || string(got) != want {
			t.Errorf("read %d bytes (%v), want %d", len(got), err, len(want))
		}
	}
}

func TestErrors(t *testing.T) {
	r := start(t, "panic")
	if _, err := r.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "panic while reading the configuration: as told") {
		t.Errorf("after a panic: %v", err)
	}
	os.Remove(os.Getenv(fileVariable))
	if _, err := r.Read(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "no such file or directory") {
		t.Errorf("without the file: %v", err)
	}
	write(t, "fine again")
	if got, err := r.Read(t.Context()); err != nil || string(got) != "fine again" {
		t.Errorf("after the errors: %q, %v", got, err)
	}
}

func TestSlowReadingIsNotWaitedFor(t *testing.T) {
	r := start(t, "be slow")
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := r.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a reading that takes too long: %v", err)
		}
	}
	write(t, "new")
	if got, err := r.Read(t.Context()); err != nil || string(got) != "new" {
		t.Errorf("the next reading: %q, %v", got, err)
	}
}

func TestReadingAgainAtOnceIsFine(t *testing.T) {
	r := start(t, "quick")
	for i := range 3000 {
		if got, err := r.Read(t.Context()); err != nil || string(got) != "quick" {
			t.Fatalf("reading %d: %q, %v", i, got, err)
		}
	}
}

func TestDeadReaderIsAnError(t *testing.T) {
	r := start(t, "die")
	for range 2 {
		if _, err := r.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "restart the server") {
			t.Errorf("the reader is dead: %v", err)
		}
	}
}

func TestAReaderThatIsStuckDoesNotKeepTheServerFromEnding(t *testing.T) {
	t.Setenv(fileVariable, t.TempDir()+"/file")
	write(t, "any")
	cmd := readerProcess(nil)
	r, err := configreader.Start(cmd, (*exec.Cmd).Start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() { r.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		cmd.Process.Kill()
		t.Fatal("closing waits for it")
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestReaderThatCannotStart(t *testing.T) {
	if _, err := configreader.Start(exec.Command("/nonexistent"), (*exec.Cmd).Start); err == nil {
		t.Error("no error")
	}
}

// TestReaderDiesWithTheServer kills a server whose reader is in the middle of a
// reading that never ends.
func TestReaderDiesWithTheServer(t *testing.T) {
	t.Setenv(fileVariable, t.TempDir()+"/file")
	write(t, "hang")
	output, readersEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	server := exec.Command("/proc/self/exe")
	server.Env = append(os.Environ(), roleVariable+"=server")
	server.Stdout = readersEnd
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	readersEnd.Close()
	output.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.ReadFull(output, make([]byte, len("hanging\n"))); err != nil {
		t.Fatal(err)
	}
	server.Process.Kill()
	server.Wait()
	// Now only the reader holds the other end.
	if rest, err := io.ReadAll(output); err != nil {
		t.Errorf("the reader lives on: %v %q", err, rest)
	}
}

func TestDirect(t *testing.T) {
	t.Setenv(fileVariable, t.TempDir()+"/file")
	r := configreader.Direct(readFile)
	defer r.Close()
	write(t, "one")
	if got, err := r.Read(t.Context()); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	write(t, "panic")
	if _, err := r.Read(t.Context()); err == nil {
		t.Error("a panic is no error")
	}
}
