// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// historyBucket has the history of each client under its name. It may be missing.
var historyBucket = []byte("history")

// SaveHistory stores the histories of clients, each in place of the former one;
// one without entries is deleted. One that cannot be saved keeps no other from it,
// and is left out.
func (s *Store) SaveHistory(histories map[string][]map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if err := s.reopen(); err != nil {
		return fmt.Errorf("cannot save the history: %w", err)
	}
	err := s.db.Update(func(tx *bolt.Tx) error { return putHistories(tx, histories) })
	if err != nil {
		err = fmt.Errorf("cannot save the history: %w", errors.Join(err, s.db.Close()))
		s.db = nil
	}
	return err
}

func putHistories(tx *bolt.Tx, histories map[string][]map[string]string) error {
	bucket, err := tx.CreateBucketIfNotExists(historyBucket)
	if err != nil {
		return err
	}
	for name, entries := range histories {
		content, err := json.Marshal(entries)
		switch {
		case err != nil || fits(name, content) != nil:
			continue
		case len(entries) == 0:
			err = bucket.Delete([]byte(name))
		default:
			err = bucket.Put([]byte(name), content)
		}
		if err != nil {
			return fmt.Errorf("client %q: %w", name, err)
		}
	}
	return nil
}

// History is the saved history of a client, nil if there is none.
func (s *Store) History(name string) (entries []map[string]string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if err := s.reopen(); err != nil {
		return nil, err
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(historyBucket)
		if bucket == nil {
			return nil
		}
		content := bucket.Get([]byte(name))
		if content == nil {
			return nil
		}
		return json.Unmarshal(content, &entries)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the history of client %s: %w", name, err)
	}
	return entries, nil
}
