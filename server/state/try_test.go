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
