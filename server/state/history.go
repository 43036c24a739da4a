// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// historyBucket has the history of each client under its name. It may be missing.
var historyBucket = []byte("history")

// SaveHistory stores the histories of clients, each in place of the former one; an
// empty one is deleted. One that cannot be saved keeps no other from it, and is left
// out. What is in a history is its keeper's business.
func (s *Store) SaveHistory(histories map[string][]byte) error {
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

func putHistories(tx *bolt.Tx, histories map[string][]byte) error {
	bucket, err := tx.CreateBucketIfNotExists(historyBucket)
	if err != nil {
		return err
	}
	for name, content := range histories {
		switch {
		case fits(name, content) != nil:
			continue
		case len(content) == 0:
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
func (s *Store) History(name string) (content []byte, err error) {
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
		if bucket != nil {
			content = bytes.Clone(bucket.Get([]byte(name)))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the history of client %s: %w", name, err)
	}
	return content, nil
}
