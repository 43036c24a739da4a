// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"mandos/server/client"
)

func TestTryChangesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	dir := filepath.Dir(s.path)
	save(t, s, full("a"))
	for _, restore := range []bool{true, false} {
		if _, err := Try(dir, restore); !errors.Is(err, ErrInUse) {
			t.Errorf("while a server runs: %v", err)
		}
	}
	save(t, s, full("b"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, restore := range []bool{true, false} {
		records, err := Try(dir, restore)
		if err != nil {
			t.Errorf("a sound state: %v", err)
		}
		slices.SortFunc(records, func(a, b client.Record) int { return strings.Compare(a.Settings.Name, b.Settings.Name) })
		if want := map[bool]int{true: 2, false: 0}[restore]; len(records) != want || restore && records[0].Settings.Name != "a" {
			t.Errorf("restore %v: found %v", restore, records)
		}
		if records, err := Try(t.TempDir(), restore); err != nil || len(records) != 0 {
			t.Errorf("an empty directory: %v, %v", records, err)
		}
	}
	if after, err := os.ReadFile(s.path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, error %v", err)
	}
	if names := ls(t, dir); !slices.Equal(names, []string{fileName}) {
		t.Errorf("the directory has %v", names)
	}

	if err := os.Truncate(s.path, 0); err != nil {
		t.Fatal(err)
	}
	for restore, want := range map[bool]string{true: "restore a copy", false: ""} {
		if _, err := Try(dir, restore); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("a damaged file, restore %v: %v", restore, err)
		}
	}
}

// TestTryFindsWhatAStartWould has each thing in the way once.
func TestTryFindsWhatAStartWould(t *testing.T) {
	for sentence, c := range map[string]struct {
		spoil         func(t *testing.T, path string)
		restore, anew string // what it says with and without restoring; empty for nothing
	}{
		"a sound state": {func(*testing.T, string) {}, "", ""},
		"a record that is damaged": {func(t *testing.T, path string) {
			if err := edit(path, func(tx *bolt.Tx) error { return tx.Bucket(clientsBucket).Put([]byte("a"), []byte("utter nonsense")) }); err != nil {
				t.Fatal(err)
			}
		}, `the record of client "a" is damaged`, ""},
		"a directory": {func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, "is a directory", "is a directory"},
		"a pipe": {func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, "it is not a regular file", "it is not a regular file"},
		"a link to nowhere": {func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Symlink("nowhere", path)); err != nil {
				t.Fatal(err)
			}
		}, "it is a link to nowhere", "it is a link to nowhere"},
		"a state that is lost since it was taken over": {func(t *testing.T, path string) {
			leavePickle(t, filepath.Dir(path))
			if err := errors.Join(noteTakenOver(filepath.Join(filepath.Dir(path), upstreamName)), os.Remove(path)); err != nil {
				t.Fatal(err)
			}
		}, "it is missing, and what happened since", ""},
		"a state to take over that is none": {func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.WriteFile(filepath.Join(filepath.Dir(path), upstreamName), []byte("nonsense"), 0o600)); err != nil {
				t.Fatal(err)
			}
		}, "clients.pickle cannot be used", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			path := sound(t)
			c.spoil(t, path)
			for restore, want := range map[bool]string{true: c.restore, false: c.anew} {
				_, err := Try(filepath.Dir(path), restore)
				if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("restore %v: %v, want %q", restore, err, want)
				}
			}
			if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
				held(t, path, unix.LOCK_EX)() // nothing holds its lock any more
			}
		})
	}
}

func TestWhatIsTakenOverIsTried(t *testing.T) {
	dir := t.TempDir()
	leavePickle(t, dir)
	records, err := Try(dir, true)
	if err != nil || len(records) == 0 {
		t.Errorf("%d records, error %v", len(records), err)
	}
	if records, err := Try(dir, false); err != nil || len(records) > 0 {
		t.Errorf("without restoring %d records, error %v", len(records), err)
	}
}

func TestANoteThatCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	upstream := filepath.Join(dir, upstreamName)
	leavePickle(t, dir)
	if err := os.Mkdir(upstream+noteSuffix, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := noteTakenOver(upstream); err == nil || !strings.HasPrefix(err.Error(), "cannot note that "+upstream+" has been taken over: ") {
		t.Errorf("it is answered %v", err)
	}
	if wasTakenOver(upstream) {
		t.Error("a note that cannot be read is one")
	}
	missing := filepath.Join(dir, "missing")
	if err := noteTakenOver(missing); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if err := os.WriteFile(missing+noteSuffix, []byte(sumOfFile(nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	if wasTakenOver(missing) {
		t.Error("a file that is gone counts as an empty one")
	}
}

func TestTryToMakeMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := TryToMake(dir, "mandos"); err != nil {
		t.Errorf("it is answered %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was made, or %v", err)
	}
	if err := TryToMake(filepath.Join(dir, "below"), "mandos"); err == nil || !strings.Contains(err.Error(), "there is no "+dir+"; ") {
		t.Errorf("without its parent: %v", err)
	}
}
