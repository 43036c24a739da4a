// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	bolt "go.etcd.io/bbolt"
)

// mine is what tells the file that was opened from every other of its name. One that
// somebody has put in its place does not know what has happened since.
type mine struct {
	file  os.FileInfo // nil until it was opened
	total *summary    // of what was written last; nil if that is open
}

// errAnother is about a file that is not the one that was opened.
var errAnother = errors.New("it is not the file any more that the server works with: somebody has removed it or put another one in its place. " +
	"Put the right one back; or restart the server, which goes on with what is there, and then disable again who must not get a secret")

// is fails if there is another file by now, or none.
func (m *mine) is(path string) error {
	named, err := os.Stat(path)
	switch {
	case m.file == nil && err == nil:
		m.file = named
	case errors.Is(err, fs.ErrNotExist), err == nil && !os.SameFile(m.file, named):
		return errAnother
	}
	return err
}

// update makes a change, and fails if somebody has written to the file.
func (m *mine) update(tx *bolt.Tx, change func(*bolt.Tx) error) error {
	before, err := getSummary(tx)
	if err != nil {
		return err
	}
	if m.total != nil && *m.total != before {
		return fmt.Errorf("%s: %w", tx.DB().Path(), errAnother)
	}
	m.total = nil // until it is known that this is written
	if err := change(tx); err != nil {
		return err
	}
	after, err := getSummary(tx)
	if err == nil {
		tx.OnCommit(func() { m.total = &after })
	}
	return err
}
