// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestHistoriesAreKept(t *testing.T) {
	s := open(t, t.TempDir())
	want := func(name string, want []byte) {
		t.Helper()
		got, err := s.History(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("the history of %q is %q, error %v, want %q", name, got, err, want)
		}
	}
	keep := func(histories map[string][]byte) {
		t.Helper()
		if err := s.SaveHistory(histories); err != nil {
			t.Error(err)
		}
	}
	want("a", nil) // in a file that never had any
	first, second := []byte("ä\x00"), []byte("another")
	keep(map[string][]byte{"a": first, "b": second, "": first, strings.Repeat("x", 32769): first})
	want("a", first)
	want("b", second)
	want("c", nil)
	s = reopen(t, s)
	want("a", first)
	want("b", second)
	keep(map[string][]byte{"a": second, "b": nil, "c": nil})
	want("a", second)
	want("b", nil)
	save(t, s, full("a"))
	want("a", second)
	if got := recordsOf(t, reopen(t, s)); len(got) != 1 {
		t.Errorf("there are %d records", len(got))
	}
}

func TestAHistoryOfAClosedState(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveHistory(map[string][]byte{"a": []byte("some")}); !errors.Is(err, errClosed) {
		t.Errorf("saved: %v", err)
	}
	if got, err := s.History("a"); !errors.Is(err, errClosed) {
		t.Errorf("read: %v, %v", got, err)
	}
}
