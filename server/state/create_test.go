// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"mandos/server/client"
)

// leavePickle puts a state of the Python server into a directory.
func leavePickle(t *testing.T, dir string) {
	t.Helper()
	content, err := os.ReadFile("testdata/upstream/clients.pickle")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, upstreamName), content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The error is about the file that is in the way, and the start fails with it: also
// where the Python server has left something to take over.
func TestANewFileThatCannotBeMade(t *testing.T) {
	for sentence, takesOver := range map[string]bool{"in an empty directory": false, "with a state to take over": true} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			if takesOver {
				leavePickle(t, dir)
			}
			inTheWay := filepath.Join(dir, newName)
			if err := os.Mkdir(inTheWay, 0o700); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, quiet)
			if want := inTheWay + " cannot be used: is a directory; something else is where it should be"; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v is opened, error %v", s, err)
			}
			if err := os.Remove(inTheWay); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(dir, quiet); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestANewFileThatAnotherServerMakes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, newName)
	if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	release := held(t, path, unix.LOCK_EX)
	if _, err := Open(dir, quiet); !errors.Is(err, ErrInUse) {
		t.Errorf("while it does: %v", err)
	}
	release()
	s, err := Open(dir, quiet)
	if err != nil {
		t.Fatalf("after it was killed: %v", err)
	}
	defer s.Close()
	if err := s.create(nil, s.publish); err == nil || !strings.Contains(err.Error(), "another server has just created the state") {
		t.Errorf("when there is one by then: %v", err)
	}
}

func TestFilesThatAreSetAside(t *testing.T) {
	dir := t.TempDir()
	var old []string
	for day := range keptAside + 3 {
		old = append(old, fmt.Sprintf("%s.202601%02dT030405.000000000Z", fileName, day+1))
	}
	notOurs := []string{"state.db.bak", "state.db.20260101", "notes.20260101T030405.000000000Z"}
	for _, name := range append(notOurs, old...) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	save(t, s, full("a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	s, err := OpenAnew(dir, slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	names := ls(t, dir)
	var aside []string
	for _, name := range names {
		if isSetAside(name) {
			aside = append(aside, name)
		}
	}
	if len(aside) != keptAside || !slices.Equal(aside[:keptAside-1], old[len(old)-keptAside+1:]) {
		t.Errorf("kept are %q", aside)
	}
	for _, name := range notOurs {
		if !slices.Contains(names, name) {
			t.Errorf("%s was removed", name)
		}
	}
	if want := `msg="The former state was set aside" file=` + filepath.Join(dir, aside[keptAside-1]); !strings.Contains(told.String(), want) {
		t.Errorf("told is %s", &told)
	}
	held(t, filepath.Join(dir, aside[keptAside-1]), unix.LOCK_EX)() // whoever wants it back need not wait for the server to end
}

// A new state that has its name is the state, whatever becomes of the old ones.
func TestASetAsideFileThatCannotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	for day := range keptAside + 1 {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprintf("%s.202601%02dT030405.000000000Z", fileName, day+1), "full"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	s, err := OpenAnew(dir, slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.Contains(told.String(), "A state that was set aside long ago cannot be removed") || !strings.Contains(told.String(), "directory not empty") {
		t.Errorf("told is %s", &told)
	}
}

// TestAStateThatIsDamagedMeanwhile has the file opened anew, as it is after a write that
// failed.
func TestAStateThatIsDamagedMeanwhile(t *testing.T) {
	s := open(t, t.TempDir())
	a := full("a")
	save(t, s, a)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	s.db = nil
	if err := os.Truncate(s.path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Records(nil); err == nil || !strings.Contains(err.Error(), "restore a copy of the file") {
		t.Errorf("it is read: %v", err)
	}
	if err := s.Save([]client.Record{a}); err == nil || !strings.Contains(err.Error(), "cannot save the state: ") {
		t.Errorf("it is saved: %v", err)
	}
	if _, err := s.History("a"); err == nil {
		t.Error("there is a history")
	}
	if err := s.Close(); err != nil {
		t.Errorf("it is closed with %v", err)
	}
	if err := s.Save([]client.Record{a}); !errors.Is(err, errClosed) {
		t.Errorf("closed it is saved: %v", err)
	}
}

// spoil makes a record one that cannot be read.
func spoil(t *testing.T, s *Store, name string) {
	t.Helper()
	if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(clientsBucket).Put([]byte(name), []byte("utter nonsense")) }); err != nil {
		t.Fatal(err)
	}
}

func TestARecordThatIsDamagedMeanwhile(t *testing.T) {
	s := open(t, t.TempDir())
	save(t, s, full("a"))
	spoil(t, s, "a")
	if records, err := s.Records(nil); err == nil || !strings.Contains(err.Error(), `the record of client "a" is damaged`) || !strings.Contains(err.Error(), "restore a copy of the file") {
		t.Errorf("it is read as %v, error %v", records, err)
	}
}

func TestAStateIsClosedOnce(t *testing.T) {
	s := open(t, t.TempDir())
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("it is closed with %v", err)
		}
	}
	if err := s.Save([]client.Record{full("a")}); !errors.Is(err, errClosed) {
		t.Errorf("closed it is saved: %v", err)
	}
}

func TestWhatFits(t *testing.T) {
	for name, want := range map[string]string{
		"":                                     "it has no name",
		"a":                                    "",
		strings.Repeat("x", bolt.MaxKeySize):   "",
		strings.Repeat("x", bolt.MaxKeySize+1): "its name is longer than 32768 bytes",
	} {
		got := ""
		if err := fits(name, nil); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("a name of %d bytes: %q", len(name), got)
		}
	}
}

// What the Python server has written since the note was made is no part of what was
// taken over, and the note stays as it is.
func TestTheNoteIsOfWhatWasTakenOver(t *testing.T) {
	dir := t.TempDir()
	upstream := filepath.Join(dir, upstreamName)
	leavePickle(t, dir)
	s := open(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !wasTakenOver(upstream) {
		t.Error("there is no note")
	}
	if err := os.WriteFile(upstream, []byte("of later"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if wasTakenOver(upstream) {
		t.Error("another one counts as taken over")
	}
}
