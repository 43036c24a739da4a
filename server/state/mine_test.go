// SPDX-License-Identifier: Apache-2.0

package state

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
