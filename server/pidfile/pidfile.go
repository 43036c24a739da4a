// SPDX-License-Identifier: Apache-2.0

// Package pidfile keeps the file that tells others the process ID of the daemon.
//
// The file is locked as long as the daemon lives, so that two daemons cannot have
// it. What a dead process left is replaced.
package pidfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// handover is how long a daemon that ends may still have the file.
const handover = 2 * time.Second

// File is a PID file of this process.
type File struct {
	path    string
	file    *os.File
	remover *exec.Cmd
	alive   *os.File // closed when this process ends
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

// Create writes the process ID to the file. With start, which starts a command,
// the file is removed by a process of its own when this one has ended, however
// that happens: only whoever may write to the directory can, and this process may
// give that right up. Without it, [File.Remove] does it.
//
// The error is a [*RunningError] if another server has the file.
func Create(path string, start func(*exec.Cmd) error) (*File, error) {
	file, err := lock(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, file: file}
	if err := f.claim(); err != nil {
		file.Close()
		return nil, err
	}
	if start != nil {
		if err := f.startRemover(start); err != nil {
			// The file is of no use without the process that it names.
			return nil, errors.Join(err, f.Remove())
		}
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

// isServer tells whether that process has the name of this one. Another name is
// that of a process which got the number of a dead server.
func isServer(pid int) bool {
	own, err := os.ReadFile("/proc/self/comm")
	if err != nil || pid == 0 {
		return false
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && bytes.Equal(name, own)
}

// remove is a shell script that waits for the end of standard input, which is that
// of the daemon, and removes its argument, if that is still the file whose lock it
// holds as descriptor 3.
const remove = `trap "" HUP INT TERM; read -r never; if [ "$1" -ef /dev/fd/3 ]; then exec rm -f -- "$1"; fi`

func (f *File) startRemover(start func(*exec.Cmd) error) error {
	waits, alive, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot see to the PID file: %w", err)
	}
	defer waits.Close()
	cmd := exec.Command("/bin/sh", "-c", remove, "sh", f.path)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdin = waits
	cmd.ExtraFiles = []*os.File{f.file}
	if err := start(cmd); err != nil {
		alive.Close()
		return fmt.Errorf("cannot see to the PID file: %w", err)
	}
	f.remover, f.alive = cmd, alive
	return nil
}

// Remove removes the file, unless another one is in its place.
func (f *File) Remove() error {
	defer f.file.Close()
	if f.remover != nil {
		f.alive.Close()
		late := time.AfterFunc(handover, func() { _ = f.remover.Process.Kill() })
		defer late.Stop()
		if err := f.remover.Wait(); err != nil {
			return fmt.Errorf("the PID file %s was not removed: %w", f.path, err)
		}
		return nil
	}
	if !isAt(f.file, f.path) {
		return nil
	}
	if err := os.Remove(f.path); err != nil {
		return fmt.Errorf("the PID file was not removed: %w", err)
	}
	return nil
}
