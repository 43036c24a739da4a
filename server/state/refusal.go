// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Refused says why the operating system refuses to let this process have what is
// at path, and what cures it: never to forget the state, for that is sound. It is
// nil when err is not the operating system's.
func Refused(path string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return nil
	}
	return &refusal{path, errno, cureFor(path, errno)}
}

// refusal is what the operating system said, and what to do.
type refusal struct {
	path  string
	errno syscall.Errno
	cure  string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s cannot be used: %v; %s", r.path, r.errno, r.cure)
}

func (r *refusal) Unwrap() error { return r.errno }

func cureFor(path string, errno syscall.Errno) string {
	switch errno {
	case unix.EACCES, unix.EPERM:
		return cureForPermissions(path)
	case unix.EROFS:
		return fmt.Sprintf("mount it for writing, or set statedir to a directory elsewhere; if it is the systemd unit that forbids writing there, "+
			"add ReadWritePaths=%s to it with \"systemctl edit mandos\"", directoryOf(path))
	case unix.ENOLCK, unix.ENOTSUP, unix.ENOSYS, unix.ENODEV, unix.EINVAL:
		return "this file system does not lock or map files, as the state needs it: set statedir to a directory of another, a local one"
	case unix.ENOSPC, unix.EDQUOT:
		return "make room for it"
	case unix.EMFILE, unix.ENFILE:
		return "raise the limit of open files"
	case unix.ENOENT:
		if isLink(path) {
			return "it is a link to nowhere: mount what it leads to, or remove it"
		}
		return fmt.Sprintf("make the directory that it should be in; systemd-tmpfiles --create makes %s where the package has said so", directoryOf(path))
	case unix.ENOTDIR, unix.EISDIR, unix.ELOOP, unix.ENXIO:
		return "something else is where it should be: move that away, or set statedir"
	case unix.EIO:
		return "the disk fails: see what the kernel says of it, and copy what can still be read"
	}
	return "nothing was changed; start again when that is mended"
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// CannotMake says why the state directory cannot be made for the user of that
// name, and what to do.
func CannotMake(dir, owner string, err error) error {
	var errno syscall.Errno
	switch {
	case !errors.As(err, &errno):
		return fmt.Errorf("cannot make the state directory: %w", err)
	case closedAbove(dir) != "":
	case errno == unix.ENOENT:
		return fmt.Errorf("cannot make the state directory %s: there is no %s; make that directory, mount what it is on, or set statedir to another one", dir, filepath.Dir(dir))
	case errno == unix.EACCES, errno == unix.EPERM, errno == unix.EROFS:
		err := fmt.Errorf("cannot make the state directory %[1]s: %[2]w; make it with \"mkdir -p -m 700 %[1]s && chown %[3]s: %[1]s\" "+
			"(for /var/lib/mandos \"systemd-tmpfiles --create\" does that)", dir, errno, owner)
		if errno == unix.EROFS {
			err = fmt.Errorf("%w; a systemd unit must have ReadWritePaths=%s besides", err, dir)
		}
		return err
	}
	return fmt.Errorf("cannot make the state directory %s: %w; %s", dir, errno, cureFor(dir, errno))
}

// cureForPermissions looks for what stands in the way of this process.
func cureForPermissions(path string) string {
	me := userName(uint32(os.Geteuid()))
	blocked := closedAbove(path)
	if blocked != "" && blocked != directoryOf(path) {
		return fmt.Sprintf("the server runs as %s, which may not go through %s: chmod o+x it, or set statedir to a directory elsewhere", me, blocked)
	}
	target := path
	if blocked != "" {
		target = blocked
	}
	info, err := os.Lstat(target)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && isOurs(info) && lacks(info) == "" { // and so cannot be made, or replaced
		target = filepath.Dir(target)
		info, err = os.Lstat(target)
	}
	switch {
	case err != nil:
		return fmt.Sprintf("the server runs as %s: chown it to that user", me)
	case !isOurs(info):
		return fmt.Sprintf("%s belongs to %s, and the server runs as %s: chown it, with \"chown -R %s: %s\"",
			target, userName(ownerOf(info)), me, me, directoryOf(path))
	case lacks(info) == "":
		return fmt.Sprintf("owner and mode of %s are as they must be: something else forbids it, such as AppArmor or \"chattr +i\"", target)
	}
	return fmt.Sprintf("the mode of %s is %v: chmod %s it", target, info.Mode(), lacks(info))
}

func ownerOf(info fs.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Uid }

func isOurs(info fs.FileInfo) bool { return ownerOf(info) == uint32(os.Geteuid()) }

// lacks is what chmod must give the owner of a file or directory, or "".
func lacks(info fs.FileInfo) string {
	needed, rights := fs.FileMode(0o600), "u+rw"
	if info.IsDir() {
		needed, rights = 0o700, "u+rwx"
	}
	if info.Mode()&needed == needed {
		return ""
	}
	return rights
}

// closedAbove is the first directory on the way to path that this process may not
// go through, or "".
func closedAbove(path string) string {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	above := strings.Split(filepath.Dir(absolute), "/")
	for i := range above {
		dir := "/" + filepath.Join(above[:i+1]...)
		if unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, unix.AT_EACCESS) == unix.EACCES {
			return dir
		}
	}
	return ""
}

// directoryOf is path itself if it is a directory or should be one, and else the
// directory that it is in.
func directoryOf(path string) string {
	switch base := filepath.Base(path); base {
	case fileName, newName, upstreamName:
		return filepath.Dir(path)
	}
	return path
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}
