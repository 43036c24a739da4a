// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"mandos/server/client"
)

// TestWhatIsSavedIsSavedInTheFileThatIsRead replaces the file of a running server by
// an older copy, which the next start would go on with.
func TestWhatIsSavedIsSavedInTheFileThatIsRead(t *testing.T) {
	for sentence, replace := range map[string]func(t *testing.T, path, older string){
		"it was removed": func(t *testing.T, path, _ string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"an older one has its name": func(t *testing.T, path, older string) {
			if err := os.Rename(older, path); err != nil {
				t.Fatal(err)
			}
		},
		"an older one was copied into it": func(t *testing.T, path, older string) {
			content, err := os.ReadFile(older)
			if err == nil {
				err = os.WriteFile(path, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := open(t, t.TempDir())
			a, b := full("a"), full("b")
			save(t, s, a, b)
			older := filepath.Join(t.TempDir(), "copy")
			content, err := os.ReadFile(s.path)
			if err == nil {
				err = os.WriteFile(older, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			a.LastCheckerStatus = 7
			save(t, s, a)
			replace(t, s.path, older)
			b.LastCheckerStatus = 7
			for range 3 {
				if err := s.Save([]client.Record{b}); err == nil || !strings.Contains(err.Error(), "is not the file any more that the server works with") {
					t.Fatalf("saving answered %v", err)
				}
			}
		})
	}
	t.Run("and goes on when it is put back", func(t *testing.T) {
		s := open(t, t.TempDir())
		a := full("a")
		save(t, s, a)
		aside := s.path + ".aside"
		if err := os.Rename(s.path, aside); err != nil {
			t.Fatal(err)
		}
		if err := s.Save([]client.Record{a}); err == nil {
			t.Error("it is saved in a file of another name")
		}
		if err := os.Rename(aside, s.path); err != nil {
			t.Fatal(err)
		}
		save(t, s, a)
	})
}

func TestWhichFileIsTheOneThatWasOpened(t *testing.T) {
	dir := t.TempDir()
	path, another := filepath.Join(dir, "file"), filepath.Join(dir, "another")
	for _, file := range []string{path, another} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var opened mine
	if err := opened.is(path); err != nil {
		t.Fatal(err)
	}
	for sentence, c := range map[string]struct {
		mine mine
		path string
		want error
	}{
		"the same one":                     {opened, path, nil},
		"another one":                      {opened, another, errAnother},
		"none any more":                    {opened, filepath.Join(dir, "none"), errAnother},
		"none that could be opened":        {mine{}, filepath.Join(dir, "none"), errAnother},
		"what cannot be looked at":         {opened, filepath.Join(path, "x"), unix.ENOTDIR},
		"what could never be looked at":    {mine{}, filepath.Join(path, "x"), unix.ENOTDIR},
		"the first one, whichever that is": {mine{}, another, nil},
	} {
		if err := c.mine.is(c.path); !errors.Is(err, c.want) || err != nil && c.want == nil {
			t.Errorf("%s: %v, want %v", sentence, err, c.want)
		}
	}
}

// TestAnotherFileIsNotGoneOnWith has the file opened anew, as it is after a write that
// failed, when an older one has its name.
func TestAnotherFileIsNotGoneOnWith(t *testing.T) {
	s := open(t, t.TempDir())
	save(t, s, full("a"))
	older := sound(t)
	if err := errors.Join(s.db.Close(), os.Rename(older, s.path)); err != nil {
		t.Fatal(err)
	}
	s.db = nil
	if records, err := s.Records(nil); !errors.Is(err, errAnother) {
		t.Errorf("it is read as %v, error %v", records, err)
	}
	if _, err := s.History("a"); !errors.Is(err, errAnother) {
		t.Errorf("its history: %v", err)
	}
}

// TestASaveThatFailedMayHaveTakenEffect has the disk say that it failed to write what it
// has written: that is not what somebody else has written.
func TestASaveThatFailedMayHaveTakenEffect(t *testing.T) {
	s := open(t, t.TempDir())
	save(t, s, full("a"))
	content, err := s.encode(&client.Record{Settings: client.Settings{Name: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string][]byte{"b": content}
	failed := errors.New("the disk failed")
	if err := s.db.Update(func(tx *bolt.Tx) error {
		return errors.Join(s.mine.update(tx, func(tx *bolt.Tx) error { return replace(tx, changes) }), failed)
	}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if err := s.db.Update(func(tx *bolt.Tx) error { return replace(tx, changes) }); err != nil {
		t.Fatal(err)
	}
	save(t, s, full("c"))
	if got := recordsOf(t, reopen(t, s)); len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

func TestWhatCannotBeWrittenIsAnError(t *testing.T) {
	for sentence, c := range map[string]struct {
		spoil func(tx *bolt.Tx) error
		name  string
		want  string
	}{
		"a record that bbolt refuses": {func(*bolt.Tx) error { return nil }, "", `client "": key required`},
		"a summary that is damaged": {func(tx *bolt.Tx) error { return tx.Bucket(summaryBucket).Put(summaryKey, []byte("{")) }, "b",
			"its summary is damaged"},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := open(t, t.TempDir())
			save(t, s, full("a"))
			if err := s.db.Update(c.spoil); err != nil {
				t.Fatal(err)
			}
			if err := s.write(func(tx *bolt.Tx) error { return replace(tx, map[string][]byte{c.name: []byte("{}")}) }); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it is answered %v", err)
			}
		})
	}
}
