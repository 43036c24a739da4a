// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

type entries = []map[string]string

func TestHistoriesAreKept(t *testing.T) {
	s := open(t, t.TempDir())
	want := func(name string, want entries) {
		t.Helper()
		got, err := s.History(name)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("the history of %q is %v, error %v, want %v", name, got, err, want)
		}
	}
	keep := func(histories map[string]entries) {
		t.Helper()
		if err := s.SaveHistory(histories); err != nil {
			t.Error(err)
		}
	}
	want("a", nil) // in a file that never had any
	first, second := entries{{"kind": "checked"}, {"kind": "disabled", "by": "ä\x00"}}, entries{{"kind": "enabled"}}
	keep(map[string]entries{"a": first, "b": second, "": first, strings.Repeat("x", 32769): first})
	want("a", first)
	want("b", second)
	want("c", nil)
	s = reopen(t, s)
	want("a", first)
	want("b", second)
	keep(map[string]entries{"a": second, "b": nil, "c": nil})
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
	if err := s.SaveHistory(map[string]entries{"a": {{"kind": "checked"}}}); !errors.Is(err, errClosed) {
		t.Errorf("saved: %v", err)
	}
	if got, err := s.History("a"); !errors.Is(err, errClosed) {
		t.Errorf("read: %v, %v", got, err)
	}
}
