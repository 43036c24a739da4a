// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// sound is the path of a sound state that nobody uses.
func sound(t *testing.T) string {
	t.Helper()
	s := open(t, t.TempDir())
	save(t, s, full("a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.path
}

// held takes a lock of the file, which ends with the function that it returns.
func held(t *testing.T, path string, kind int) (release func()) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), kind|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

func TestAStartWaitsForAServerThatEnds(t *testing.T) {
	path := sound(t)
	release := held(t, path, unix.LOCK_EX)
	opened := make(chan error, 1)
	go func() {
		s, err := Open(filepath.Dir(path), quiet)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(lockWait / 10): // and so after it has begun to wait, or else has not begun
	}
	release()
	if err := <-opened; err != nil {
		t.Errorf("it is answered %v", err)
	}
}

// Whoever held the lock may have given the name to another file, as --no-restore does,
// or have taken it away.
func TestTheLockOfAFileThatHasNoNameAnyMoreIsNone(t *testing.T) {
	for sentence, change := range map[string]func(path string) error{
		"another file has its name": func(path string) error { return os.Rename(path+".new", path) },
		"nothing has its name":      os.Remove,
	} {
		t.Run(sentence, func(t *testing.T) {
			path := sound(t)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+".new", content, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			if err := cannotOpen(path, lock(f, path)); !errors.Is(err, ErrInUse) {
				t.Errorf("it is answered %v", err)
			}
		})
	}
}

// A file whose name cannot be looked at is not known to be the one that was opened, nor
// that a server has it.
func TestTheLockOfAFileWhoseNameCannotBeLookedAtIsNone(t *testing.T) {
	path := sound(t)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := lock(f, filepath.Join(path, fileName)); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("it is answered %v", err)
	}
}

func TestWhoOnlyReadsSharesTheLock(t *testing.T) {
	path := sound(t)
	release := held(t, path, unix.LOCK_SH)
	if records, err := Try(filepath.Dir(path), true); err != nil || len(records) != 1 {
		t.Errorf("beside another reader: %d records, %v", len(records), err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := cannotOpen(path, lock(f, path)); !errors.Is(err, ErrInUse) {
		t.Errorf("a server beside a reader: %v", err)
	}
	release()
	release = held(t, path, unix.LOCK_EX)
	defer release()
	begun := time.Now()
	if _, err := Try(filepath.Dir(path), true); !errors.Is(err, ErrInUse) || time.Since(begun) > lockWait {
		t.Errorf("a reader beside a server, after %v: %v", time.Since(begun), err)
	}
}

// stumbling is a log that makes bbolt panic when it has opened a file, as its own
// checks do.
type stumbling struct{ bolt.Logger }

func (stumbling) Infof(format string, _ ...any) {
	if strings.Contains(format, "successfully") {
		panic("page 7: assertion failed")
	}
}
func (stumbling) Debugf(string, ...any) {}
func (stumbling) Errorf(string, ...any) {}

func TestAPanicOfBboltsIsAnError(t *testing.T) {
	path := sound(t)
	how := options(nil)
	how.Logger = stumbling{}
	db, err := openSound(path, how)
	if want := "the state file " + path + " cannot be used: page 7: assertion failed"; db != nil || err == nil || err.Error() != want {
		t.Errorf("it is answered %v, want %s", err, want)
	}
	held(t, path, unix.LOCK_EX)() // for the lock was let go of
	if db, err = openSound(path, options(nil)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
