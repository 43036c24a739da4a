// SPDX-License-Identifier: Apache-2.0

// Package privileges gives up what the server does not need any more, for good,
// before anybody on the network can talk to it.
//
// A server that root started becomes an unprivileged user. One that was started
// without root stays who it is. Either has no capability afterwards, and no other
// process of the same user, such as a checker, can look into its memory.
//
// The no_new_privs attribute is not set, for checkers may need a file capability
// or a set-user-ID bit: fping does.
package privileges

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// User is a user and a group to run as.
type User struct {
	Name     string
	UID, GID uint32
}

// overflow is the user that the kernel uses when there is no other
// (user_namespaces(7)).
var overflow = User{Name: "65534", UID: 65534, GID: 65534}

// Makeshift reports whether the user is none that was made for the server, so that
// others may be it as well.
func (u User) Makeshift() bool { return u.Name == "nobody" || u == overflow }

// candidates are the users to look for, in that order.
var candidates = []struct{ user, group string }{
	{"_mandos", "_mandos"},
	{"mandos", "mandos"},
	{"nobody", "nogroup"},
}

// Find is the user to run as: the first of those meant for it that exists
// together with its group.
func Find() User { return find(user.Lookup, user.LookupGroup) }

func find(lookup func(string) (*user.User, error), lookupGroup func(string) (*user.Group, error)) User {
	for _, c := range candidates {
		u, err := lookup(c.user)
		if err != nil {
			continue
		}
		g, err := lookupGroup(c.group)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(g.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 && gid != 0 {
			return User{Name: c.user, UID: uint32(uid), GID: uint32(gid)}
		}
	}
	return overflow
}

// ReadsAll reports whether this process can read files that are not meant for
// its user, which it cannot any more after [Drop].
func ReadsAll() bool {
	caps, err := capabilities()
	return err == nil && caps.effective&(1<<unix.CAP_DAC_READ_SEARCH) != 0
}

// Drop becomes that user if root runs the process, without supplementary groups,
// and gives up all capabilities, in all threads. It fails if anything of that
// could be regained; the process must not go on then.
func Drop(to User) error {
	owner := User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	if os.Geteuid() == 0 {
		if err := become(to); err != nil {
			return fmt.Errorf("cannot become the user %s (start the server without root if it cannot): %w", to.Name, err)
		}
		owner = to
	}
	if err := clearCapabilities(); err != nil {
		return fmt.Errorf("cannot give up capabilities: %w", err)
	}
	return verify(owner)
}

func become(to User) error {
	if to.UID == 0 || to.GID == 0 {
		return errors.New("that is root")
	}
	uid, gid := int(to.UID), int(to.GID)
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("setresgid: %w", err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("setresuid: %w", err)
	}
	return nil
}

// Harden makes the process leave no core dump and be traced by nobody but root.
// A change of user and an exec undo it: it comes after [Drop], and first in a
// new process.
func Harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("cannot forbid core dumps: setrlimit: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot forbid tracing: prctl: %w", err)
	}
	return nil
}
