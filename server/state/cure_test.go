// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEachRefusalHasItsCure(t *testing.T) {
	dir := t.TempDir()
	missing, link := filepath.Join(dir, fileName), filepath.Join(dir, "link")
	closed := filepath.Join(dir, "closed")
	if err := errors.Join(os.Symlink("nowhere", link), os.Mkdir(closed, 0o500)); err != nil {
		t.Fatal(err)
	}
	const otherFileSystem, inTheWay = "set statedir to a directory of another", "something else is where it should be"
	for _, c := range []struct {
		path  string
		errno syscall.Errno
		want  string
	}{
		{closed, unix.EACCES, "chmod u+rwx it"},
		{closed, unix.EPERM, "chmod u+rwx it"},
		{dir, unix.EACCES, "owner and mode of " + dir + " are as they must be"},
		{missing, unix.EROFS, "add ReadWritePaths=" + dir + " to it"},
		{dir, unix.ENOLCK, otherFileSystem},
		{dir, unix.ENOTSUP, otherFileSystem},
		{dir, unix.ENOSYS, otherFileSystem},
		{dir, unix.ENODEV, otherFileSystem},
		{dir, unix.EINVAL, otherFileSystem},
		{dir, unix.ENOSPC, "make room for it"},
		{dir, unix.EDQUOT, "make room for it"},
		{dir, unix.EMFILE, "raise the limit of open files"},
		{dir, unix.ENFILE, "raise the limit of open files"},
		{missing, unix.ENOENT, "systemd-tmpfiles --create makes " + dir},
		{link, unix.ENOENT, "it is a link to nowhere"},
		{dir, unix.ENOTDIR, inTheWay},
		{dir, unix.EISDIR, inTheWay},
		{dir, unix.ELOOP, inTheWay},
		{dir, unix.ENXIO, inTheWay},
		{dir, unix.EIO, "the disk fails"},
		{dir, unix.EBADF, "nothing was changed; start again when that is mended"},
	} {
		err := Refused(c.path, &fs.PathError{Op: "open", Path: c.path, Err: c.errno})
		want := fmt.Sprintf("%s cannot be used: %v; ", c.path, c.errno)
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.want) || !errors.Is(err, c.errno) {
			t.Errorf("%v: %v, want %s… %s", c.errno, err, want, c.want)
		}
		if strings.Contains(err.Error(), "--no-restore") || strings.Contains(err.Error(), "--forget") {
			t.Errorf("%v is cured by forgetting: %v", c.errno, err)
		}
	}
	if err := Refused(dir, errors.New("it is damaged")); err != nil {
		t.Errorf("what no system says is refused: %v", err)
	}
}

func TestWhyTheDirectoryCannotBeMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	const make, protect = " && chown mandos: ", "a systemd unit must have ReadWritePaths="
	for err, want := range map[error]struct{ has, hasNot string }{
		errors.New("no errno"): {"cannot make the state directory: no errno", "; "},
		unix.ENOENT:            {"there is no " + filepath.Dir(dir) + "; make that directory", make},
		unix.EACCES:            {"mkdir -p -m 700 " + dir + make + dir, protect},
		unix.EPERM:             {"mkdir -p -m 700 " + dir + make + dir, protect},
		unix.EROFS:             {make + dir + "\" (for /var/lib/mandos \"systemd-tmpfiles --create\" does that); " + protect + dir, "chmod"},
		unix.ENOSPC:            {"cannot make the state directory " + dir + ": no space left on device; make room for it", make},
	} {
		got := CannotMake(dir, "mandos", err)
		if !strings.Contains(got.Error(), want.has) || strings.Contains(got.Error(), want.hasNot) || err != unix.ENOENT && !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// A mode is only blamed when it is in the way.
func TestWhatOfOursIsOpenedByItsMode(t *testing.T) {
	const sound = " are as they must be: something else forbids it"
	for sentence, c := range map[string]struct {
		dir, file os.FileMode
		want      string
	}{
		"a file that is not to be written": {0o700, 0o400, "the mode of FILE is -r--------: chmod u+rw it"},
		"a file that is not to be read":    {0o700, 0o200, "the mode of FILE is --w-------: chmod u+rw it"},
		"a directory without new files":    {0o500, 0o600, "the mode of DIR is dr-x------: chmod u+rwx it"},
		"a directory without its names":    {0o300, 0o644, "the mode of DIR is d-wx------: chmod u+rwx it"},
		"a file that is not there":         {0o500, 0, "the mode of DIR is dr-x------: chmod u+rwx it"},
		"nothing that a mode says":         {0o700, 0o600, "owner and mode of DIR" + sound},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			file := filepath.Join(dir, fileName)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if c.file != 0 {
				if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, c.file)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(dir, c.dir); err != nil {
				t.Fatal(err)
			}
			defer os.Chmod(dir, 0o700)
			want := strings.NewReplacer("FILE", file, "DIR", dir).Replace(c.want)
			if got := cureForPermissions(file); !strings.HasPrefix(got, want) {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "new", "x") // of which nothing is known but who should have it
	if got, want := cureForPermissions(missing), "the server runs as "+userName(uint32(os.Geteuid()))+": chown it to that user"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTheDirectoryOfAFile(t *testing.T) {
	for path, want := range map[string]string{
		"/s/" + fileName: "/s", "/s/" + newName: "/s", "/s/" + upstreamName: "/s", "/s": "/s", "/s/other": "/s/other",
	} {
		if got := directoryOf(path); got != want {
			t.Errorf("of %s it is %s", path, got)
		}
	}
}

func TestUsersAreNamed(t *testing.T) {
	for id, want := range map[uint32]string{0: "root", 4_000_000_000: "user 4000000000"} {
		if got := userName(id); got != want {
			t.Errorf("%d is %s", id, got)
		}
	}
}

func TestWhatIsALink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{link: true, dir: false, filepath.Join(dir, "missing"): false} {
		if got := isLink(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
