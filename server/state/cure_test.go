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
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	const otherFileSystem, inTheWay = "set statedir to a directory of another", "something else is where it should be"
	for _, c := range []struct {
		path  string
		errno syscall.Errno
		want  string
	}{
		{dir, unix.EACCES, "chmod u+rwx it"},
		{dir, unix.EPERM, "chmod u+rwx it"},
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

func TestAFileOfOursIsOpenedByItsMode(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, fileName)
	if err := os.WriteFile(file, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:                           "the mode of " + file + " is -r--------: chmod u+rw it",
		dir:                            "chmod u+rwx it",
		filepath.Join(dir, "new", "x"): "the mode of " + filepath.Join(dir, "new"),
	} {
		got := cureForPermissions(path)
		if path != file && path != dir {
			want = "the server runs as" // of what is not there, nothing is known but who should have it
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
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
