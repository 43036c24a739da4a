// SPDX-License-Identifier: Apache-2.0

// Package pidfile keeps the file that tells others the process ID of the daemon.
//
// The file is locked as long as the daemon lives, so that two daemons cannot have
// it. At its end the daemon empties the file through the descriptor that it has had
// since it was root, for it may not be able to remove it any more: an empty file is
// nobody's. What a dead process left is replaced.
package pidfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// handover is how long a daemon that ends may still have the file.
const handover = 2 * time.Second

// File is a PID file of this process.
type File struct {
	path string
	file *os.File
}

// RunningError says that another daemon has the file.
type RunningError struct {
	Path string
	PID  int // 0 if it has not written it yet
}

func (e *RunningError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another server is starting or ending: %s is locked", e.Path)
	}
	return fmt.Sprintf("another server is running with process ID %d, as %s says; stop it first", e.PID, e.Path)
}

// Create writes the process ID to the file. The error is a [*RunningError] if
// another server has it.
func Create(path string) (*File, error) {
	file, err := lock(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, file: file}
	if err := f.claim(); err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

// lock opens the file and locks it, waiting a little for one who is leaving.
func lock(path string) (*os.File, error) {
	for deadline := time.Now().Add(handover); ; time.Sleep(20 * time.Millisecond) {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
		if err != nil {
			return nil, fmt.Errorf("cannot open the PID file: %w", err)
		}
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			file.Close()
			return nil, fmt.Errorf("the PID file %s is no regular file; remove it", path)
		}
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil && isAt(file, path):
			return file, nil
		case err != nil && !errors.Is(err, unix.EWOULDBLOCK):
			file.Close()
			return nil, fmt.Errorf("cannot lock the PID file %s: %w", path, err)
		case time.Now().After(deadline):
			defer file.Close()
			return nil, &RunningError{Path: path, PID: content(file)}
		}
		// It is taken, or was removed between opening and locking.
		file.Close()
	}
}

// Running fails with a [*RunningError] if another server has the file, and changes
// nothing.
func Running(path string) error {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil // nobody has it, or nobody can
	}
	defer file.Close()
	err = unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if pid := content(file); errors.Is(err, unix.EWOULDBLOCK) || pid != os.Getpid() && isServer(pid) {
		return &RunningError{Path: path, PID: pid}
	}
	return nil
}

func isAt(file *os.File, path string) bool {
	locked, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(locked, there)
}

// content is the process ID in the file, or 0.
func content(file *os.File) int {
	text := make([]byte, 32)
	n, err := file.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:n])))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}

// claim writes the process ID, unless the file names a living server that does
// not lock it, as the first Mandos server did not.
func (f *File) claim() error {
	if pid := content(f.file); pid != os.Getpid() && isServer(pid) {
		return &RunningError{Path: f.path, PID: pid}
	}
	err := f.file.Truncate(0)
	if err == nil {
		_, err = f.file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	if err != nil {
		return fmt.Errorf("cannot write to the PID file: %w", err)
	}
	return nil
}

// isServer reports whether that process has the name of this one and is alive.
// Another name is that of a process which got the number of a dead server, and a
// process without a command line is dead itself and only not yet taken away.
func isServer(pid int) bool {
	own, err := os.ReadFile("/proc/self/comm")
	if err != nil || pid == 0 {
		return false
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || !bytes.Equal(name, own) {
		return false
	}
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && len(command) > 0
}

// Release empties the file and lets another server have it. It needs no right to
// the file or its directory.
func (f *File) Release() error {
	defer f.file.Close()
	if err := f.file.Truncate(0); err != nil {
		return fmt.Errorf("the PID file %s was not emptied: %w", f.path, err)
	}
	return nil
}
