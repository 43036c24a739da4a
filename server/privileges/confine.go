// SPDX-License-Identifier: Apache-2.0

package privileges

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Capability is one of capabilities(7).
type Capability uintptr

// ReadAll is the right to read every file, and no other.
const ReadAll = Capability(unix.CAP_DAC_READ_SEARCH)

// Start starts a command that has only the capabilities given and can never gain
// more: those that it starts in turn and set-user-ID programs included. It runs as
// that user if root runs this process, and in a session of its own, so that no
// terminal can stop it.
func Start(cmd *exec.Cmd, as User, keep ...Capability) error {
	var err error
	onThreadOfItsOwn(func() { err = confine(cmd, as, keep) })
	if err != nil {
		return fmt.Errorf("cannot start a process with fewer privileges: %w", err)
	}
	return nil
}

// onThreadOfItsOwn runs f in a thread that ends with it, and with it all that f
// has given up: the child gets that of the thread which starts it.
func onThreadOfItsOwn(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread never ends. While this goroutine has it, f gets another.
			onThreadOfItsOwn(f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
}

func confine(cmd *exec.Cmd, as User, keep []Capability) error {
	caps, err := capabilities()
	if err != nil {
		return err
	}
	caps.inheritable = 0
	if err := caps.set(); err != nil {
		return err
	}
	if caps.effective&(1<<unix.CAP_SETPCAP) != 0 {
		if err := boundTo(keep); err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	attr := &syscall.SysProcAttr{Setsid: true}
	for _, c := range keep {
		attr.AmbientCaps = append(attr.AmbientCaps, uintptr(c))
	}
	if os.Geteuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: as.UID, Gid: as.GID}
	}
	cmd.SysProcAttr = attr
	return cmd.Start()
}

// boundTo takes from the bounding set all but those capabilities.
func boundTo(keep []Capability) error {
	var kept uint64
	for _, c := range keep {
		kept |= 1 << c
	}
	for c := range uintptr(64) {
		if kept&(1<<c) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // the last one was before this
		}
		if err != nil {
			return err
		}
	}
	return nil
}
