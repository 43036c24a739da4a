// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mandos/server/client"
)

func lockedDown() client.ServerRecord {
	return client.ServerRecord{Lockdown: &client.Lockdown{
		ID: "1", By: client.Actor{Kind: client.Caller, BusName: ":1.7", UID: 1000, PID: 42, For: "alice"},
		At: time.Date(2026, 11, 26, 3, 4, 5, 6000, time.UTC), Why: "a burglary", Left: time.Hour,
	}}
}

func serverOf(t *testing.T, s *Store) client.ServerRecord {
	t.Helper()
	record, err := s.Server()
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func TestTheServersOwnRecordIsSaved(t *testing.T) {
	s := open(t, t.TempDir())
	save(t, s, full("a"))
	if got := serverOf(t, s); got != (client.ServerRecord{}) {
		t.Errorf("before it was saved it is %+v", got)
	}
	if err := s.SaveServer(lockedDown()); err != nil {
		t.Fatal(err)
	}
	save(t, s, full("b"))
	s = reopen(t, s)
	if got := serverOf(t, s); !reflect.DeepEqual(got, lockedDown()) {
		t.Errorf("it is %+v", got)
	}
	if got := recordsOf(t, s); len(got) != 2 {
		t.Errorf("there are %d clients", len(got))
	}
	if err := s.SaveServer(client.ServerRecord{}); err != nil {
		t.Fatal(err)
	}
	if got := serverOf(t, reopen(t, s)); got != (client.ServerRecord{}) {
		t.Errorf("it is %+v", got)
	}
}

// TestALockdownDoesNotDisappear from the file unnoticed.
func TestALockdownDoesNotDisappear(t *testing.T) {
	for sentence, spoil := range map[string]func(*bolt.Bucket) error{
		"a record that was deleted": func(b *bolt.Bucket) error { return b.Delete(serverKey) },
		"one that was changed": func(b *bolt.Bucket) error {
			value := []byte(strings.Replace(string(b.Get(serverKey)), "burglary", "carnival", 1))
			return b.Put(serverKey, value)
		},
		"one that was cut": func(b *bolt.Bucket) error { return b.Put(serverKey, b.Get(serverKey)[:4]) },
		"an older one": func(b *bolt.Bucket) error {
			return b.Put(serverKey, []byte("\x00\x00\x00\x00\x00\x00\x00\x00{}"))
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			if err := s.SaveServer(lockedDown()); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := edit(s.path, func(tx *bolt.Tx) error { return spoil(tx.Bucket(summaryBucket)) }); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir, quiet); err == nil || !strings.Contains(err.Error(), "the server's own record is missing or damaged") {
				t.Errorf("it is opened, error %v", err)
			}
		})
	}
	s := open(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveServer(lockedDown()); !errors.Is(err, errClosed) {
		t.Errorf("saving into what is closed: %v", err)
	}
	if _, err := s.Server(); !errors.Is(err, errClosed) {
		t.Errorf("reading what is closed: %v", err)
	}
}
