// SPDX-License-Identifier: Apache-2.0

// Package daemonize lets a program go on in the background, and its caller
// return only when the background really works.
//
// A Go program cannot fork. The parent starts the program again, in a session of
// its own, and waits: for the word that it is ready, or for its end. Until then
// the daemon has the standard error of the caller and says there what is wrong.
// Inherited descriptors keep their numbers.
package daemonize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// variable tells the daemon which descriptor its parent listens on.
const variable = "MANDOS_READY_FD"

// endTime is how long a daemon that is not wanted any more may take to end.
const endTime = 5 * time.Second

const ready = "ready"

// Launch starts this program again as a daemon, with the same arguments, and
// waits until it is ready. It returns the exit status for the caller: 0, or that
// of the daemon, which has told the reason itself. When ctx ends before, the
// daemon is ended and the status is an error.
func Launch(ctx context.Context) (status int, err error) {
	// Not by way of /proc/self/exe, which would name the process "exe".
	program, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("cannot start the daemon: %w", err)
	}
	words, theirs, err := listen()
	if err != nil {
		return 1, fmt.Errorf("cannot start the daemon: %w", err)
	}
	defer words.Close()
	cmd := exec.Command(program)
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), variable+"="+strconv.Itoa(theirs))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	// Now the daemon alone has it.
	unix.Close(theirs)
	if err != nil {
		return 1, fmt.Errorf("cannot start the daemon: %w", err)
	}
	end := context.AfterFunc(ctx, func() { _ = words.SetReadDeadline(time.Now()) })
	defer end()
	word, err := io.ReadAll(words)
	switch {
	case string(word) == ready:
		return 0, nil
	case err != nil:
		stop(cmd)
		return 1, fmt.Errorf("the daemon was not ready in time: %w", context.Cause(ctx))
	}
	return ended(cmd.Wait())
}

// listen makes the pipe. The writing end is inherited under the number it has,
// which is none that the caller of this program had in use.
func listen() (words *os.File, theirs int, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, 0, err
	}
	words = os.NewFile(uintptr(pipe[0]), "daemon")
	if _, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_SETFD, 0); err != nil {
		words.Close()
		unix.Close(pipe[1])
		return nil, 0, err
	}
	return words, pipe[1], nil
}

func stop(cmd *exec.Cmd) {
	kill := time.AfterFunc(endTime, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
}

// ended is the status for a daemon that ended before it was ready.
func ended(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 1, errors.New("the daemon ended before it was ready")
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	}
	return 1, fmt.Errorf("the daemon ended before it was ready: %w", err)
}

// Parent is whoever waits for this daemon to be ready.
type Parent struct{ words *os.File }

// Inherited returns the parent if this process was started by [Launch], and else
// nil. It must be called before anything else is started.
func Inherited() *Parent {
	text, ok := os.LookupEnv(variable)
	if !ok {
		return nil
	}
	_ = os.Unsetenv(variable) // it was there, so that its name is one
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil
	}
	var info unix.Stat_t
	if unix.Fstat(fd, &info) != nil || info.Mode&unix.S_IFMT != unix.S_IFIFO {
		return nil
	}
	unix.CloseOnExec(fd)
	return &Parent{words: os.NewFile(uintptr(fd), "parent")}
}

// Ready leaves the caller's directory and its standard input, output and error,
// and tells the parent to return. Relative paths and the descriptors 0 to 2 mean
// something else from here on.
func (p *Parent) Ready() error {
	if err := leave(); err != nil {
		return fmt.Errorf("cannot become a daemon: %w", err)
	}
	defer p.words.Close()
	if _, err := p.words.WriteString(ready); err != nil {
		return fmt.Errorf("nobody waits for this daemon any more: %w", err)
	}
	return nil
}

func leave() error {
	if err := os.Chdir("/"); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return nil
}
