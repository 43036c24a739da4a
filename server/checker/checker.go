// SPDX-License-Identifier: Apache-2.0

// Package checker runs the shell commands that tell whether clients are alive.
//
// Each command runs as its own session, and so its own process group, without a
// controlling terminal. When it has ended or is stopped, everything that it
// started is killed and reaped before the check is over, whether it stayed in
// the group or left it as daemons do. That works without privileges, because
//
//   - the process of the [Runner] is a child subreaper (prctl(2)): whatever loses
//     its parent becomes a child of this process, and stays a zombie, with its
//     process ID taken, until it is reaped here; and
//   - every checker starts with a file lock limit of its own (RLIMIT_LOCKS in
//     getrlimit(2)), which the kernel inherits to all descendants and has not
//     enforced since Linux 2.4. It tells which check an orphan belongs to.
//
// The limit is a mark and not a fence: a process may take another one, as
// prlimit(1) does. An orphan whose limit is that of no running check is ended
// with whichever check ends next, its own at the latest. One that takes the limit
// of another running check on purpose is ended with that one. Checkers are
// trusted: they run as the user of the server.
//
// What a checker runs as another user, with sudo say, may be beyond what this
// process is allowed to kill. That is logged, and it is reaped when it ends.
//
// A running check costs three goroutines and two descriptors, and no thread.
package checker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/client"
)

// grace is how long what is told to end (SIGTERM) has until it is killed (SIGKILL).
const grace = time.Second

// Runner is a [client.Checker] of real processes.
type Runner struct {
	log     *slog.Logger
	null    *os.File
	starter *starter
	orphans *orphans

	mu     sync.Mutex
	checks sync.WaitGroup
	closed bool
}

var _ client.Checker = (*Runner)(nil)

// New prepares to run checkers. At debug level, log is given what they print.
//
// It is for the process as a whole, which must have one Runner at a time and no
// other children in sessions of their own: it becomes a child subreaper for good.
// So that checkers do not inherit them, the descriptors that it has are marked to
// be closed by them, and the signals that it ignores are caught instead. New
// fails on kernels before Linux 5.10.
func New(log *slog.Logger) (*Runner, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("cannot become the reaper of what checkers leave behind: %w", err)
	}
	if err := keepDescriptors(); err != nil {
		return nil, err
	}
	catchIgnored()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot run checkers: %w", err)
	}
	var locks unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &locks); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot run checkers: cannot read the file lock limit: %w", err), null.Close())
	}
	orphans, err := newOrphans(locks, log)
	if err != nil {
		return nil, errors.Join(err, null.Close())
	}
	return &Runner{log: log, null: null, starter: newStarter(locks, environment(os.Environ(), os.Geteuid())), orphans: orphans}, nil
}

// keepDescriptors keeps those that this process has from its own parent, such as
// sockets handed to it, from checkers. All others are created so.
func keepDescriptors() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("cannot run checkers: is /proc mounted? %w", err)
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// catchIgnored makes ignored signals caught and dropped, which is the same to
// this process, but not passed on to checkers.
func catchIgnored() {
	dropped := make(chan os.Signal, 1)
	for s := syscall.Signal(1); s <= 64; s++ {
		if signal.Ignored(s) {
			signal.Notify(dropped, s)
		}
	}
}

func supported() error {
	fd, err := unix.PidfdOpen(os.Getpid(), unix.PIDFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot run checkers: this kernel has no non-blocking pidfd, which needs Linux 5.10: %w", err)
	}
	return unix.Close(fd)
}

// Close waits for the running checks, which their contexts should have ended
// before, and releases what the Runner holds.
func (r *Runner) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.checks.Wait()
	r.starter.close()
	r.orphans.close()
	return r.null.Close()
}

var errClosed = errors.New("no checker can be started any more: the server is exiting")

func (r *Runner) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	r.checks.Add(1)
	return nil
}

// Check runs command by /bin/sh -c in the root directory, until it ends, or ctx does, and nothing of it is left. Of what it
// prints the last line is kept if it fails; at debug level all of it is logged.
func (r *Runner) Check(ctx context.Context, name, command string) (client.CheckResult, error) {
	if err := context.Cause(ctx); err != nil {
		return client.CheckResult{}, err
	}
	if err := r.begin(); err != nil {
		return client.CheckResult{}, err
	}
	defer r.checks.Done()

	var log *slog.Logger
	if r.log.Enabled(ctx, slog.LevelDebug) {
		log = r.log.With("client", name)
	}
	out, err := newOutput(log)
	if err != nil {
		return client.CheckResult{}, fmt.Errorf("cannot start the checker: %w", err)
	}
	mark := r.orphans.mark()
	defer r.orphans.forget(mark)
	p, err := r.starter.start(mark, command, r.null, out.file)
	out.started()
	if err != nil {
		out.finish()
		return client.CheckResult{}, fmt.Errorf("cannot start the checker: %w", err)
	}
	if !r.end(ctx, p) {
		r.log.Warn("Not allowed to kill the checker; waiting until it ends", "client", name, "pid", p.pid)
	}
	result, err := p.reap()
	if left := r.orphans.kill(mark); len(left) > 0 {
		r.log.Warn("Not allowed to kill what the checker left behind", "client", name, "pids", left)
	}
	last := out.finish()
	if !result.OK() {
		result.Output = last
	}
	return result, err
}

// end waits until the checker ends, and makes it end when ctx does. It tells
// whether it was allowed to.
func (r *Runner) end(ctx context.Context, p *process) (allowed bool) {
	select {
	case <-p.ended:
		return true
	case <-ctx.Done():
	}
	allowed = signalProcess(-p.pid, unix.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
	}
	return signalProcess(-p.pid, unix.SIGKILL)
}

// signalProcess signals a process, or a process group by its negative ID, of
// which somebody is known to be unreaped, so that the ID cannot have become
// another's. It reports whether that was allowed.
func signalProcess(pid int, s syscall.Signal) (allowed bool) {
	err := unix.Kill(pid, s)
	if err == nil && s == unix.SIGTERM {
		err = unix.Kill(pid, unix.SIGCONT) // one that is stopped cannot follow
	}
	return !errors.Is(err, unix.EPERM)
}
