// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
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
	t.Parallel()
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
	err = waysOn(s.create(nil, s.publish))
	if err == nil || !strings.HasPrefix(err.Error(), "another server has just created the state") || strings.Contains(err.Error(), "--no-restore") {
		t.Errorf("when there is one by then: %v", err)
	}
}

func TestFilesThatAreSetAside(t *testing.T) {
	dir := t.TempDir()
	var old []string
	for day := range keptAside + 3 {
		old = append(old, fmt.Sprintf("%s.202601%02dT030405.000000000Z", fileName, day+1))
	}
	notOurs := []string{"20260101T030405.000000000Z", "state.db.bak", "state.db.20260101", "notes.20260101T030405.000000000Z"}
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
	if err := s.sealAgain([]string{"a"}); err == nil || !strings.Contains(err.Error(), "it is too short") {
		t.Errorf("it is sealed again: %v", err)
	}
	if err := s.SaveHistory(map[string][]byte{"a": []byte("some")}); err == nil || !strings.HasPrefix(err.Error(), "cannot save the history: ") {
		t.Errorf("its history is saved: %v", err)
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
func spoil(t *testing.T, s *Store, name, content string) {
	t.Helper()
	if err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(clientsBucket).Put([]byte(name), []byte(content)) }); err != nil {
		t.Fatal(err)
	}
}

func TestARecordThatIsDamagedMeanwhile(t *testing.T) {
	s := open(t, t.TempDir())
	save(t, s, full("a"))
	spoil(t, s, "a", "utter nonsense")
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
	// That much memory is never touched, nor known to Go.
	most, err := unix.Mmap(-1, 0, bolt.MaxValueSize, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(most)
	for _, c := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"", nil, "it has no name"},
		{"a", nil, ""},
		{strings.Repeat("x", bolt.MaxKeySize), nil, ""},
		{strings.Repeat("x", bolt.MaxKeySize+1), nil, "its name is longer than 32768 bytes"},
		{"a", most[:len(most)-sumSize], ""},
		{"a", most[:len(most)-sumSize+1], "it is larger than 2147483638 bytes"},
	} {
		got := ""
		if err := fits(c.name, c.content); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%d bytes by a name of %d: %q", len(c.content), len(c.name), got)
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

func TestASavedNothingIsNotWritten(t *testing.T) {
	s := open(t, t.TempDir())
	save(t, s, full("a"))
	before := readFile(t, s.path)
	save(t, s)
	if err := s.Save([]client.Record{full("")}); err == nil {
		t.Error("a record without a name is saved")
	}
	if !bytes.Equal(before, readFile(t, s.path)) {
		t.Error("the file was written to")
	}
}

// TestANewFileThatIsNotMade has what is done with a new file fail, at each step.
func TestANewFileThatIsNotMade(t *testing.T) {
	dir := t.TempDir()
	s := newStore(dir, quiet)
	failed := errors.New("it failed")
	for sentence, c := range map[string]struct {
		records map[string]*record
		publish func(newFile string) error
		want    string
	}{
		"a record that bbolt refuses": {map[string]*record{"": {}}, s.publish, `client "": key required`},
		"a name that is refused":      {nil, func(string) error { return failed }, failed.Error()},
		"a name that is lost at once": {nil, func(newFile string) error { return errors.Join(s.publish(newFile), os.Remove(s.path)) }, errAnother.Error()},
	} {
		if err := s.create(c.records, c.publish); err == nil || !strings.Contains(err.Error(), c.want) || s.db != nil {
			t.Errorf("%s: it is answered %v", sentence, err)
		}
		if _, err := os.Lstat(s.path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s: there is a state, %v", sentence, err)
		}
	}
	for sentence, name := range map[string]func(newFile string) error{"where there is none": s.publish, "in place of none": s.setAside} {
		if err := name(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file that is gone is named %s: %v", sentence, err)
		}
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.setAside(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone is named in place of another: %v", err)
	}
}

// A name is not there to stay until the directory is on disk.
func TestADirectoryThatIsNotWrittenToDiskIsAnError(t *testing.T) {
	for dir, want := range map[string]error{
		t.TempDir():                        nil,
		filepath.Join(t.TempDir(), "none"): fs.ErrNotExist,
		"/proc" /* which is on no disk */ : unix.EINVAL,
	} {
		if err := syncDirectory(dir); !errors.Is(err, want) || err != nil && want == nil {
			t.Errorf("%s: %v, want %v", dir, err, want)
		}
	}
}

func TestTheLogTellsOfWhatIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	leavePickle(t, dir)
	var told bytes.Buffer
	s, err := Open(dir, slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	upstream := filepath.Join(dir, upstreamName)
	if want := `level=INFO msg="Taking over the state of the Python server" file=` + upstream + " clients=6"; !strings.Contains(told.String(), want) {
		t.Errorf("the log lacks %s:\n%s", want, &told)
	}
	told.Reset()
	long := filepath.Join(dir, strings.Repeat("x", 250)) // and a name with the suffix is too long
	if err := os.WriteFile(long, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.note(long)
	if want := `level=WARN msg="cannot note that ` + long + " has been taken over: "; !strings.Contains(told.String(), want) {
		t.Errorf("the log lacks %s:\n%s", want, &told)
	}
}

// A note of a former file must go before another is taken over, or else that could be
// taken over twice.
func TestAFormerNoteThatCannotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	leavePickle(t, dir)
	note := filepath.Join(dir, upstreamName+noteSuffix)
	if err := os.MkdirAll(filepath.Join(note, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir, quiet); err == nil || !strings.HasPrefix(err.Error(), note+" cannot be used: directory not empty") {
		t.Errorf("%v is opened, error %v", s, err)
	}
}
