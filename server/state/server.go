// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"mandos/server/client"
)

// serverKey is the key of the server's own record, beside the summary.
var serverKey = []byte("server")

// serverRecord is [client.ServerRecord]. In the file a sum precedes it.
type serverRecord struct {
	Lockdown         *lockdown `json:",omitempty"`
	UplinkFailsSince time.Time `json:",omitzero"`
}

// lockdown is [client.Lockdown].
type lockdown struct {
	ID   string
	By   actor
	At   time.Time
	Why  string        `json:",omitempty"`
	Left time.Duration `json:",omitempty"`
}

// SaveServer stores the server's own record durably. After an error the former one may
// be there, or this one.
func (s *Store) SaveServer(record client.ServerRecord) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	saved := serverRecord{UplinkFailsSince: record.UplinkFailsSince.UTC()}
	if l := record.Lockdown; l != nil {
		saved.Lockdown = &lockdown{ID: l.ID, By: actor(l.By), At: l.At.UTC(), Why: l.Why, Left: l.Left}
	}
	content, err := json.Marshal(&saved)
	if err != nil {
		return err
	}
	if err := s.write(func(tx *bolt.Tx) error { return putServer(tx, content) }); err != nil {
		return fmt.Errorf("cannot save the state: %w", err)
	}
	return nil
}

// Server is the server's own record, as it is saved.
func (s *Store) Server() (record client.ServerRecord, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return record, errClosed
	}
	if err := s.reopen(); err != nil {
		return record, waysOn(err)
	}
	if err := s.db.View(func(tx *bolt.Tx) error { record, err = getServer(tx); return err }); err != nil {
		return record, waysOn(unusable(s.path, err))
	}
	return record, nil
}

// putServer notes the sum in the summary, so that the record cannot disappear unnoticed.
func putServer(tx *bolt.Tx, content []byte) error {
	total, err := getSummary(tx)
	if err != nil {
		return err
	}
	total.Schema, total.Server = schema, sumOf(serverKey, content)
	if err := tx.Bucket(summaryBucket).Put(serverKey, append(binary.BigEndian.AppendUint64(nil, total.Server), content...)); err != nil {
		return err
	}
	return putSummary(tx, total)
}

// getServer verifies and decodes the record. A state in which there never was one has an
// empty one.
func getServer(tx *bolt.Tx) (record client.ServerRecord, err error) {
	total, err := getSummary(tx)
	if err != nil {
		return record, err
	}
	value := tx.Bucket(summaryBucket).Get(serverKey)
	if value == nil && total.Server == 0 {
		return record, nil
	}
	if len(value) < sumSize || binary.BigEndian.Uint64(value) != total.Server || total.Server != sumOf(serverKey, value[sumSize:]) {
		return record, errors.New("the server's own record is missing or damaged")
	}
	var saved serverRecord
	d := json.NewDecoder(bytes.NewReader(value[sumSize:]))
	d.DisallowUnknownFields()
	if err := d.Decode(&saved); err != nil {
		return record, fmt.Errorf("the server's own record is damaged: %w", err)
	}
	record.UplinkFailsSince = saved.UplinkFailsSince
	if l := saved.Lockdown; l != nil {
		record.Lockdown = &client.Lockdown{ID: l.ID, By: client.Actor(l.By), At: l.At, Why: l.Why, Left: l.Left}
	}
	return record, nil
}
