// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"mandos/server/client"
)

// process is a checker's shell: the leader of its session and process group.
type process struct {
	pid   int
	ended <-chan struct{} // closed when it is a zombie
}

// starter starts checkers, all from a thread of its own, for three reasons.
// The thread has an empty signal mask, which checkers inherit. It lives as long
// as the starter, and a checker is killed when the thread that started it dies
// (PR_SET_PDEATHSIG in prctl(2)), so that no checker survives the server. And
// it is not the main thread, whose children are then the orphans alone.
type starter struct {
	jobs  chan func()
	locks unix.Rlimit // RLIMIT_LOCKS of this process
	env   []string
}

func newStarter(locks unix.Rlimit, env []string) *starter {
	s := &starter{jobs: make(chan func()), locks: locks, env: env}
	s.run()
	return s
}

func (s *starter) run() {
	locked := make(chan struct{})
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			s.run()
			runtime.UnlockOSThread()
			close(locked)
			return
		}
		close(locked)
		for job := range s.jobs {
			job()
		}
	}()
	<-locked
}

func (s *starter) close() { close(s.jobs) }

func (s *starter) start(mark uint64, command string, stdin, output *os.File) (p *process, err error) {
	done := make(chan struct{})
	s.jobs <- func() {
		defer close(done)
		p, err = s.fork(mark, command, stdin, output)
	}
	<-done
	return p, err
}

// fork runs on the starter's thread.
func (s *starter) fork(mark uint64, command string, stdin, output *os.File) (*process, error) {
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil); err != nil {
		return nil, fmt.Errorf("cannot empty the signal mask: %w", err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_LOCKS, &unix.Rlimit{Cur: mark, Max: s.locks.Max}, nil); err != nil {
		return nil, fmt.Errorf("cannot mark it with a file lock limit: %w", err)
	}
	defer func() {
		_ = unix.Prlimit(0, unix.RLIMIT_LOCKS, &s.locks, nil) // within the hard limit, so it cannot fail
	}()
	pidfd := -1
	pid, err := syscall.ForkExec("/bin/sh", []string{"/bin/sh", "-c", command}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   s.env,
		Files: []uintptr{stdin.Fd(), output.Fd(), output.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL, PidFD: &pidfd},
	})
	if err != nil {
		return nil, err
	}
	p := &process{pid: pid}
	if err := p.watch(pidfd); err != nil {
		return nil, errors.Join(err, unix.Kill(-pid, unix.SIGKILL), wait4(pid, nil))
	}
	return p, nil
}

// watch notices the end through the poller, as a wait system call would hold a
// thread for as long as the checker runs.
func (p *process) watch(pidfd int) error {
	if err := unix.SetNonblock(pidfd, true); err != nil {
		return fmt.Errorf("cannot watch it: %w", err)
	}
	file := os.NewFile(uintptr(pidfd), "pidfd")
	conn, err := file.SyscallConn()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	ended := make(chan struct{})
	p.ended = ended
	go func() {
		defer close(ended)
		defer file.Close()
		_ = conn.Read(func(fd uintptr) bool { return readable(int(fd)) }) // nobody closes it before
	}()
	return nil
}

func readable(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n > 0 || err != nil && err != unix.EINTR
}

// reap waits for the end and tells how it came.
func (p *process) reap() (client.CheckResult, error) {
	<-p.ended
	var status unix.WaitStatus
	if err := wait4(p.pid, &status); err != nil {
		return client.CheckResult{}, fmt.Errorf("cannot learn how the checker ended: %w", err)
	}
	if status.Signaled() {
		return client.CheckResult{Status: client.CheckerCrashed, Signal: int(status.Signal())}, nil
	}
	return client.CheckResult{Status: status.ExitStatus()}, nil
}

func wait4(pid int, status *unix.WaitStatus) error {
	for {
		if _, err := unix.Wait4(pid, status, 0, nil); err != unix.EINTR {
			return err
		}
	}
}
