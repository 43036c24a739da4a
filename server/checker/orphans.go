// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// marks are the values of RLIMIT_LOCKS that tell whose a process is.
type marks struct {
	count, next uint64
	running     map[uint64]bool
}

func newMarks(locks unix.Rlimit) (marks, error) {
	count := min(locks.Max, 1<<31-1) // what a 32-bit kernel can keep
	if count == 0 {
		return marks{}, errors.New("cannot run checkers: the hard limit of file locks (ulimit -x) is 0; leave it unlimited")
	}
	return marks{count: count, next: rand.Uint64(), running: make(map[uint64]bool)}, nil
}

// orphans are the processes that became children of this one when their own
// parents died. They are told from the children that this process started by
// their sessions: no descendant of a checker can join this process's session. A
// child with a session of its own must be there before.
type orphans struct {
	mu       sync.Mutex // held from finding a child until after it was signalled or reaped
	marks    marks
	log      *slog.Logger
	own      map[int]bool // children from before there were checkers, which no checker left behind
	strays   map[int]bool // those without a running check's mark that it may not kill
	deaths   chan os.Signal
	done     chan struct{}
	children *os.File // kept open for when there are no descriptors left; nil where the kernel has no such file
}

func newOrphans(locks unix.Rlimit, log *slog.Logger) (*orphans, error) {
	marks, err := newMarks(locks)
	if err != nil {
		return nil, err
	}
	children, err := openChildren()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot watch for what checkers leave behind: %w", err)
	}
	o := &orphans{marks: marks, log: log, own: make(map[int]bool), deaths: make(chan os.Signal, 1), done: make(chan struct{}), children: children}
	for _, pid := range childrenOfAll() {
		// What has another limit is of the checkers of a runner before this one.
		if mark := markOf(pid); mark == locks.Cur || mark == 0 {
			o.own[pid] = true
		}
	}
	signal.Notify(o.deaths, unix.SIGCHLD)
	go func() {
		defer close(o.done)
		for range o.deaths {
			o.reap()
		}
	}()
	return o, nil
}

func (o *orphans) close() {
	signal.Stop(o.deaths)
	close(o.deaths)
	<-o.done
	if o.children != nil {
		o.children.Close()
	}
}

// mark is a mark for a check that is about to start, which forget takes back.
func (o *orphans) mark() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		mark := 1 + o.marks.next%o.marks.count
		o.marks.next++
		if !o.marks.running[mark] {
			o.marks.running[mark] = true
			return mark
		}
	}
}

func (o *orphans) forget(mark uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.marks.running, mark)
}

// find lists all orphans. Where the kernel keeps no lists of children, it lists
// the running checkers too.
func (o *orphans) find() []int {
	children := o.list()
	for pid := range o.own {
		if !slices.Contains(children, pid) {
			delete(o.own, pid) // another may get its number
		}
	}
	return slices.DeleteFunc(children, func(pid int) bool { return o.own[pid] })
}

// list lists the children in other sessions.
func (o *orphans) list() []int {
	if o.children == nil {
		return childrenByScan()
	}
	return foreignIn(o.children)
}

// reap buries the dead of checks that still run. Without a list of children,
// that is left to the ends of the checks.
func (o *orphans) reap() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.children == nil {
		return
	}
	for _, pid := range o.find() {
		reaped(pid)
	}
}

// kill ends every orphan of the check with that mark, and returns those that it
// is not allowed to. It ends as well whatever has the mark of no running check,
// and so took another limit by itself. The checker itself must have been reaped.
func (o *orphans) kill(mark uint64) (left []int) {
	started := time.Now()
	told := make(map[int]bool)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		killing := time.Since(started) > grace
		living, untouchable := o.round(mark, func(pid int, stray bool) (allowed bool) {
			send := signalTree
			if stray {
				send = signalProcess
			}
			if killing {
				return send(pid, unix.SIGKILL)
			}
			if told[pid] {
				return true
			}
			told[pid] = true
			return send(pid, unix.SIGTERM)
		})
		switch {
		case living == 0:
			return nil
		case killing && len(untouchable) == living:
			return untouchable
		}
		time.Sleep(pause)
	}
}

// signalTree signals an unreaped child and its process group. The child is
// signalled by itself as well since it may be about to leave the group. Its
// other descendants become orphans when it dies.
func signalTree(pid int, s syscall.Signal) (allowed bool) {
	allowed = signalProcess(pid, s)
	group, err := unix.Getpgid(pid)
	return err == nil && signalProcess(-group, s) && allowed
}

// round reaps the dead and signals the living orphans with that mark, or with
// none: these are strays, which may still be in the process group of a check that
// goes on. It repeats that while it finds dead ones, whose children may have become
// orphans since the list was made.
func (o *orphans) round(mark uint64, send func(pid int, stray bool) (allowed bool)) (living int, untouchable []int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for again := true; again; {
		again, living, untouchable = false, 0, nil
		strays := make(map[int]bool)
		for _, pid := range o.find() {
			of := markOf(pid)
			stray := !o.marks.running[of]
			if of != mark && !stray {
				continue
			}
			if reaped(pid) {
				again = true
				continue
			}
			allowed := send(pid, stray)
			switch {
			case stray && !allowed:
				strays[pid] = true
				continue // or every check would wait for it
			case !allowed:
				untouchable = append(untouchable, pid)
			}
			living++
		}
		o.warn(strays)
	}
	return living, untouchable
}

// warn tells once of each stray that is not to be had.
func (o *orphans) warn(strays map[int]bool) {
	for pid := range strays {
		if !o.strays[pid] {
			o.log.Warn("Not allowed to kill what a checker left behind", "pid", pid)
		}
	}
	o.strays = strays
}

// reaped reaps the child if it is a zombie.
func reaped(pid int) bool {
	got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return err == nil && got == pid
}

// markOf is the soft limit of file locks of a process, dead or alive, or 0.
func markOf(pid int) uint64 {
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_LOCKS, nil, &limit); err != unix.EPERM {
		return limit.Cur
	}
	// It runs as another user, but the file may be read by everybody.
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(limits, []byte("\nMax file locks "))
	fields := bytes.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	mark, err := strconv.ParseUint(string(fields[0]), 10, 64)
	if err != nil {
		return 0 // "unlimited"
	}
	return mark
}

// openChildren opens the list of the children of this process's main thread,
// which is the thread that gets the orphans (proc_pid_task(5)).
func openChildren() (*os.File, error) {
	pid := os.Getpid()
	return os.Open(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
}

func foreignIn(children io.ReaderAt) (pids []int) {
	content, err := io.ReadAll(io.NewSectionReader(children, 0, math.MaxInt64))
	if err != nil {
		return nil
	}
	for _, field := range bytes.Fields(content) {
		if pid, err := strconv.Atoi(string(field)); err == nil && isForeign(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// childrenOfAll lists the children of all threads of this process, also those whose
// entries in /proc are hidden from it (proc(5), hidepid) where the kernel keeps lists.
func childrenOfAll() (pids []int) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return childrenByScan()
	}
	for _, thread := range threads {
		children, err := os.Open("/proc/self/task/" + thread.Name() + "/children")
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Stat("/proc/self/task/" + thread.Name()); err != nil {
				return childrenOfAll() // the thread has ended, and left its children to another
			}
			return childrenByScan()
		}
		if err == nil {
			pids = append(pids, foreignIn(children)...)
			children.Close()
		}
	}
	return pids
}

// childrenByScan finds the children of all threads of this process that are not
// hidden from it.
func childrenByScan() (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && isForeign(pid) && parentOf(pid) == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isForeign reports whether a process is in another session than this one.
func isForeign(pid int) bool {
	session, err := unix.Getsid(pid)
	own, ownErr := unix.Getsid(0)
	return err == nil && ownErr == nil && session != own
}

func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // state, parent, ...
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return parent
}
