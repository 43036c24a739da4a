// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"mandos/server/debiantest"
)

// nobody is the user that the server of these tests runs as.
const nobody = 65534

// tryToOpen is the life of a child that says how it went to open the state, and
// to begin a new one.
func tryToOpen(dir string, withoutLocks bool) {
	if withoutLocks {
		if err := refuse(unix.SYS_FLOCK, unix.ENOLCK); err != nil { // as where the file system knows no locks
			fmt.Println(err)
			os.Exit(1)
		}
	}
	for i, open := range []func(string, *slog.Logger) (*Store, error){Open, OpenAnew} {
		restore := i == 0
		try := func() error {
			_, err := Try(dir, restore)
			return err
		}
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			try = func() error { return TryToMake(dir, "nobody") }
		}
		fmt.Printf("%v try %v\n", restore, try())
		s, err := open(dir, quiet)
		fmt.Printf("%v open %v\n", restore, err)
		if err == nil {
			s.Close()
		}
	}
	os.Exit(0)
}

// refuse has the kernel answer a system call with that error, as long as this goroutine
// lives, whose thread ends with it.
func refuse(call uint32, errno syscall.Errno) error {
	runtime.LockOSThread()
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x00050000 | uint32(errno)}, // SECCOMP_RET_ERRNO
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000},                 // SECCOMP_RET_ALLOW
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0)
}

// TestNobodyIsToldToForgetWhatIsSound has the real kernel refuse what the state
// needs, in all the ways it has.
func TestNobodyIsToldToForgetWhatIsSound(t *testing.T) {
	debiantest.NeedRoot(t, "to run as another user")
	own := func(path string) error { return os.Chown(path, nobody, nobody) }
	for name, test := range map[string]struct {
		role    string // of the child, "open" if empty
		spoil   func(dir string) error
		before  string // what a shell does in a mount namespace, with the directory as $1
		want    []string
		anewToo bool // a new state cannot be begun either
		anew    bool // and nothing else fails
	}{
		"a state.db of another user, left by a run as that": {
			spoil: func(dir string) error { return own(dir) },
			want:  []string{"state.db cannot be used: permission denied", "state.db belongs to root, and the server runs as nobody", `chown -R nobody: DIR"`}, anewToo: true},
		"a directory of another user": {
			spoil: func(dir string) error {
				return errors.Join(os.Chmod(dir, 0o755), os.Remove(filepath.Join(dir, fileName)))
			},
			want: []string{"permission denied", "DIR belongs to root", `chown -R nobody: DIR"`}, anewToo: true},
		"a directory of another user, with a file that is ours": {
			spoil: func(dir string) error {
				return errors.Join(os.Chmod(dir, 0o755), own(filepath.Join(dir, fileName)))
			},
			want: []string{"state.db cannot be used: permission denied", "DIR belongs to root, and the server runs as nobody", `chown -R nobody: DIR"`}, anew: true},
		"a directory that is ours and closed, with a file that is ours": {
			spoil: func(dir string) error {
				return errors.Join(own(dir), own(filepath.Join(dir, fileName)), os.Chmod(dir, 0o500))
			},
			want: []string{"state.db cannot be used: permission denied", "the mode of DIR is dr-x------: chmod u+rwx it"}, anew: true},
		"a closed directory of another user": {
			spoil: func(string) error { return nil },
			want:  []string{"permission denied", "DIR belongs to root", `chown -R nobody: DIR"`}, anewToo: true},
		"a way that is closed": {
			spoil: func(dir string) error {
				return errors.Join(own(dir), own(filepath.Join(dir, fileName)), os.Chmod(filepath.Dir(dir), 0o700))
			},
			want: []string{"permission denied", "may not go through PARENT: chmod o+x it"}, anewToo: true},
		"a mode that shuts out the owner": {
			spoil: func(dir string) error {
				return errors.Join(own(dir), own(filepath.Join(dir, fileName)), os.Chmod(filepath.Join(dir, fileName), 0))
			},
			want: []string{"permission denied", "chmod u+rw it"}, anewToo: true},
		"a read-only file system": {
			spoil:  func(dir string) error { return errors.Join(own(dir), own(filepath.Join(dir, fileName))) },
			before: `mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"`,
			want:   []string{"read-only file system", "mount it for writing", "ReadWritePaths=DIR "}, anewToo: true},
		"a file system without locks": {
			role:  "open without locks",
			spoil: func(dir string) error { return errors.Join(own(dir), own(filepath.Join(dir, fileName))) },
			want:  []string{"no locks available", "set statedir to a directory of another"}, anewToo: true},
		"a directory with the name of the file": {
			spoil: func(dir string) error {
				path := filepath.Join(dir, fileName)
				return errors.Join(os.Remove(path), os.Mkdir(path, 0o700), own(dir), own(path))
			},
			want: []string{"state.db cannot be used: is a directory; something else is where it should be"}, anewToo: true},
		"a file with the name of the directory": {
			spoil: func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
			want:  []string{"not a directory; something else is where it should be"}, anewToo: true},
		"a link to what is not mounted yet": {
			spoil: func(dir string) error {
				path := filepath.Join(dir, fileName)
				return errors.Join(os.Remove(path), own(dir), os.Symlink("/nonexistent/state.db", path))
			},
			want: []string{"state.db cannot be used: no such file or directory; it is a link to nowhere"}, anewToo: true},
		"a directory that cannot be made": {
			spoil: func(dir string) error { return os.RemoveAll(dir) },
			want:  []string{"cannot make the state directory DIR: permission denied", `"mkdir -p -m 700 DIR && chown nobody: DIR"`, "systemd-tmpfiles --create"}, anewToo: true},
		"a state of the Python server that is somebody else's": {
			spoil: func(dir string) error {
				return errors.Join(os.Rename(filepath.Join(dir, fileName), filepath.Join(dir, upstreamName)), own(dir))
			},
			want: []string{"clients.pickle cannot be used: permission denied", "clients.pickle belongs to root", `chown -R nobody: DIR"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			if err := errors.Join(os.Chmod(filepath.Dir(parent), 0o755), os.Chmod(parent, 0o755)); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(parent, "state")
			s := open(t, dir)
			save(t, s, full("a"))
			if err := errors.Join(s.Close(), test.spoil(dir)); err != nil {
				t.Fatal(err)
			}
			role := test.role
			if role == "" {
				role = "open"
			}
			before := test.before
			if before == "" {
				before = ":"
			}
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			// The directory of the test's program is closed to others.
			script := before + ` && exec setpriv --reuid 65534 --regid 65534 --clear-groups /proc/self/fd/3 "$1"`
			cmd := exec.Command("unshare", "--mount", "sh", "-c", script, "sh", dir)
			self, err := os.Open(program)
			if err != nil {
				t.Fatal(err)
			}
			defer self.Close()
			cmd.ExtraFiles = []*os.File{self}
			cmd.Env = append(os.Environ(), childVariable+"="+role)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, &stderr)
			}
			said := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(said) != 4 {
				t.Fatalf("it said %q", said)
			}
			for _, one := range said {
				switch goesOn := strings.HasPrefix(one, "true "); {
				case test.anew && goesOn:
					if !strings.HasSuffix(one, " <nil>") {
						t.Errorf("it does not go on: %s", one)
					}
					continue
				case !test.anew && !test.anewToo && !goesOn:
					continue
				}
				for _, want := range test.want {
					want = strings.ReplaceAll(strings.ReplaceAll(want, "DIR", dir), "PARENT", parent)
					if !strings.Contains(one, want) {
						t.Errorf("it lacks %q: %s", want, one)
					}
				}
				for _, bad := range []string{"no-restore", "restore a copy", "<nil>"} {
					if strings.Contains(one, bad) {
						t.Errorf("it says %q: %s", bad, one)
					}
				}
			}
		})
	}
}

func TestWhatIsNotTheSystemsIsNoRefusal(t *testing.T) {
	if err := Refused("/x", errors.New("page 3 is damaged")); err != nil {
		t.Error(err)
	}
	if err := Refused("/x", &os.PathError{Op: "open", Path: "/x", Err: syscall.ENOSPC}); err == nil || err.Error() != "/x cannot be used: no space left on device; make room for it" {
		t.Error(err)
	}
}

// TestWhatTheKernelRefusesIsNoSuccess has the kernel refuse one thing from a moment on.
func TestWhatTheKernelRefusesIsNoSuccess(t *testing.T) {
	for sentence, c := range map[string]struct {
		call uint32
		do   func(dir string, refuse func()) error
	}{
		"to write the name of a new directory to disk": {unix.SYS_FSYNC, func(dir string, refuse func()) error {
			refuse()
			_, err := MakeDirectory(filepath.Join(dir, "made"), "mandos")
			return err
		}},
		"to write the name of a new state to disk": {unix.SYS_FSYNC, func(dir string, refuse func()) error {
			s := newStore(filepath.Join(dir, "new"), quiet)
			if err := os.Mkdir(filepath.Dir(s.path), 0o700); err != nil {
				return err
			}
			return s.create(nil, func(newFile string) error {
				refuse()
				return s.publish(newFile)
			})
		}},
		"a second name for the state that is set aside": {unix.SYS_LINKAT, func(dir string, refuse func()) error {
			refuse()
			_, err := OpenAnew(dir, quiet)
			return err
		}},
		"to list what was set aside": {unix.SYS_GETDENTS64, func(dir string, refuse func()) error {
			refuse()
			return newStore(dir, quiet).thin()
		}},
		"to open what would be set aside": {unix.SYS_OPENAT, func(dir string, refuse func()) error {
			refuse()
			_, err := Try(dir, false)
			return err
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := filepath.Dir(sound(t))
			done := make(chan error)
			go func() {
				done <- c.do(dir, func() {
					if err := refuse(c.call, unix.EIO); err != nil {
						t.Error(err)
					}
				})
			}()
			if err := <-done; !errors.Is(err, unix.EIO) {
				t.Errorf("it is answered %v", err)
			}
			if got := recordsOf(t, open(t, dir)); len(got) != 1 {
				t.Errorf("there are %d records in the state that there was", len(got))
			}
		})
	}
}
