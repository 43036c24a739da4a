// SPDX-License-Identifier: Apache-2.0

// Package state keeps what must survive a restart, in the file state.db of the
// state directory. A record that [Store.Save] has taken is on disk, whatever
// happens next.
//
// The file is a bbolt database with one record a client and a summary of all of
// them. Everything in it is verified before anything of it is used: damage that
// makes a record differ or disappear is an error, never another state.
//
// No secret is in the file as it is. One that was set at run time is encrypted
// under the client's configured secret, which is not there at all, so that the
// file alone gives nothing away.
//
// A state directory without state.db but with the clients.pickle of the Python
// server is taken over from that, which stays where it is. A note beside it says so:
// the same file is not taken over a second time, when state.db is lost.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"mandos/server/client"
)

// Names in the state directory.
const (
	fileName     = "state.db"
	newName      = "state.db.new"
	upstreamName = "clients.pickle"
)

// lockWait is how long a start waits for another server to let go of the file.
const lockWait = 2 * time.Second

// keptAside is how many of the files that OpenAnew set aside are kept, under the
// name with the date in asideFormat.
const (
	keptAside   = 5
	asideFormat = "20060102T150405.000000000Z"
)

// Store is the state on disk. It is a [client.Journal].
type Store struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	db     *bolt.DB           // nil when it must be opened again
	read   map[string]*record // what there was when it was opened, until that is asked for or changed
	mine   mine
	closed bool
	sealed map[string]sealedSecret
}

var _ client.Journal = (*Store)(nil)

// Open opens the state in dir, which [MakeDirectory] makes as needed. It fails, and changes
// nothing, when the state is damaged, was written by a newer version, or is in
// use by another server.
func Open(dir string, log *slog.Logger) (*Store, error) {
	s := newStore(dir, log)
	if _, err := MakeDirectory(dir, userName(uint32(os.Geteuid()))); err != nil {
		return nil, err
	}
	upstream := filepath.Join(dir, upstreamName)
	_, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && wasTakenOver(upstream):
		err = lostSince(s.path, upstream)
	case errors.Is(err, fs.ErrNotExist):
		err = s.takeOver(upstream)
	case err == nil:
		err = s.open()
	default:
		err = unusable(s.path, err)
	}
	if err != nil {
		return nil, waysOn(err)
	}
	s.note(upstream)
	return s, nil
}

// note leaves a note of what the Python server left, unless there is one. That is no
// part of the state: without it the state is as good.
func (s *Store) note(upstream string) {
	if noted(upstream) {
		return
	}
	if err := noteTakenOver(upstream); err != nil {
		s.log.Warn(err.Error())
	}
}

// OpenAnew opens an empty state in dir. What is there already is not read and not
// destroyed: a former state.db is set aside under a name with the date, of which
// the newest five are kept.
func OpenAnew(dir string, log *slog.Logger) (*Store, error) {
	s := newStore(dir, log)
	if _, err := MakeDirectory(dir, userName(uint32(os.Geteuid()))); err != nil {
		return nil, err
	}
	if err := s.create(nil, s.setAside); err != nil {
		return nil, fmt.Errorf("cannot begin a new state: %w", err)
	}
	s.note(filepath.Join(dir, upstreamName))
	return s, nil
}

func newStore(dir string, log *slog.Logger) *Store {
	return &Store{path: filepath.Join(dir, fileName), log: log, sealed: make(map[string]sealedSecret)}
}

// unusableError says what is wrong with a file.
type unusableError struct {
	path string
	err  error
}

func (e *unusableError) Error() string {
	return fmt.Sprintf("the state file %s cannot be used: %v", e.path, e.err)
}

func (e *unusableError) Unwrap() error { return e.err }

// unusable is for a file that is damaged, or that the operating system refuses.
func unusable(path string, err error) error {
	if refused := Refused(path, err); refused != nil {
		return refused
	}
	return &unusableError{path, err}
}

// waysOn adds what the administrator can do about a file that is damaged.
func waysOn(err error) error {
	var unusable *unusableError
	if !errors.As(err, &unusable) {
		return err
	}
	return fmt.Errorf("%w. Nothing was changed. Either restore a copy of the file, or start once with --no-restore, which forgets "+
		"what happened at run time: clients that were disabled or removed are valid again if the configuration has them enabled", err)
}

// MakeDirectory makes the state directory if it is missing, and reports whether
// it did. Its parent must be there: one that is missing is more likely mistyped
// or not mounted than meant to be made. An error tells how to make the directory
// for the user.
func MakeDirectory(dir, user string) (made bool, err error) {
	if _, err := os.Stat(dir); err == nil {
		return false, nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return false, CannotMake(dir, user, err)
	}
	return true, syncDirectory(filepath.Dir(dir))
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// options are bbolt's. It finds the free pages by looking for them, so that
// there is no list of them that may be damaged.
func options(openFile func(string, int, os.FileMode) (*os.File, error)) *bolt.Options {
	return &bolt.Options{
		Timeout:        lockWait,
		NoFreelistSync: true,
		FreelistType:   bolt.FreelistMapType,
		OpenFile:       openFile,
		NoStatistics:   true,
	}
}

// open opens the existing file once it is known to be sound.
func (s *Store) open() error {
	db, err := openSound(s.path, options(nil))
	if err != nil {
		return err
	}
	read, err := readAll(db)
	if err != nil {
		return errors.Join(unusable(s.path, err), db.Close())
	}
	if err := s.mine.is(s.path); err != nil {
		return errors.Join(unusable(s.path, err), db.Close())
	}
	s.db, s.read = db, read
	return nil
}

// takeOver begins the state with what the Python server left, if anything.
func (s *Store) takeOver(upstream string) error {
	records, err := readUpstream(upstream)
	if errors.Is(err, fs.ErrNotExist) {
		return s.create(nil, s.publish)
	}
	if err != nil {
		return unusable(upstream, err)
	}
	s.log.Info("Taking over the state of the Python server", "file", upstream, "clients", len(records))
	if err := os.Remove(upstream + noteSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unusable(upstream+noteSuffix, err) // which is about a former file
	}
	return s.create(records, s.publish)
}

// create makes a new file, complete before it has its name.
func (s *Store) create(records map[string]*record, publish func(newFile string) error) error {
	newFile := filepath.Join(filepath.Dir(s.path), newName)
	db, err := bolt.Open(newFile, 0o600, options(s.openEmpty))
	if err != nil {
		return s.cannotCreate(newFile, err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return begin(tx, records) })
	if err == nil {
		err = publish(newFile)
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(s.path))
	}
	if err != nil {
		return errors.Join(s.cannotCreate(newFile, err), db.Close())
	}
	if err := s.mine.is(s.path); err != nil {
		return errors.Join(unusable(s.path, err), db.Close())
	}
	s.db = db
	return nil
}

// cannotCreate speaks of the file as it will be called, unless it is the new file
// itself that is in the way.
func (s *Store) cannotCreate(newFile string, err error) error {
	path := s.path
	if info, statErr := os.Lstat(newFile); statErr == nil && !info.Mode().IsRegular() {
		path = newFile
	}
	if refused := Refused(path, err); refused != nil || errors.Is(err, berrors.ErrTimeout) {
		return cannotOpen(path, err)
	}
	return err
}

// openEmpty leaves nothing of a file that was never finished. What goes wrong with
// it later goes wrong with the file of the name that it has by then.
func (s *Store) openEmpty(path string, flags int, mode os.FileMode) (*os.File, error) {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, uint32(mode))
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), s.path)
	if err := lock(f, path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// publish names the new file. Since its lock is held, no other server does so at
// the same time, but one may have done so just before.
func (s *Store) publish(newFile string) error {
	if _, err := os.Lstat(s.path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errors.New("another server has just created the state"), err)
	}
	return os.Rename(newFile, s.path)
}

// setAside names the new file and keeps the one that had the name.
func (s *Store) setAside(newFile string) error {
	former, err := os.OpenFile(s.path, os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !isLink(s.path):
		return s.publish(newFile)
	case err != nil:
		return unusable(s.path, err)
	}
	defer former.Close()
	if err := lock(former, s.path); err != nil {
		return cannotOpen(s.path, err)
	}
	kept := s.path + "." + time.Now().UTC().Format(asideFormat)
	if err := os.Link(s.path, kept); err != nil {
		return err
	}
	if err := os.Rename(newFile, s.path); err != nil {
		return err
	}
	s.log.Info("The former state was set aside", "file", kept)
	if err := s.thin(); err != nil { // which is no part of the state
		s.log.Warn("A state that was set aside long ago cannot be removed", "error", err)
	}
	return nil
}

// thin removes the oldest of the files set aside.
func (s *Store) thin() error {
	entries, err := os.ReadDir(filepath.Dir(s.path)) // sorted, and so by date
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !isSetAside(e.Name()) })
	for _, oldest := range entries[:max(len(entries)-keptAside, 0)] {
		if err := os.Remove(filepath.Join(filepath.Dir(s.path), oldest.Name())); err != nil {
			return err
		}
	}
	return nil
}

func isSetAside(name string) bool {
	date, ok := strings.CutPrefix(name, fileName+".")
	_, err := time.Parse(asideFormat, date)
	return ok && err == nil
}

// Records are all saved records. Each gets its secrets from configured: a secret
// set at run time stays in force if the client still has the configured secret
// under which it was saved, else the configured one is. It is decrypted when it is
// first needed (see [client.LateSecret]), or by [Store.DecryptAll]. Records of clients that
// are not configured have no secrets.
func (s *Store) Records(configured []client.Settings) ([]client.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if err := s.reopen(); err != nil {
		return nil, waysOn(err)
	}
	saved := s.read
	s.read = nil
	if saved == nil {
		var err error
		if saved, err = readAll(s.db); err != nil {
			return nil, waysOn(unusable(s.path, err))
		}
	}
	return s.unseal(saved, configured), nil
}

var errClosed = errors.New("the state is closed")

// Save stores the records durably, all or none but those of which a
// [client.UnsavableError] says that they cannot be saved, and deletes those that are
// dropped. After another error nothing is lost that was saved before, and a later
// Save may succeed; whether the failed one took effect is open until then.
func (s *Store) Save(records []client.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	changes := make(map[string][]byte, len(records))
	unsavable := make(client.UnsavableError)
	for i := range records {
		name := records[i].Settings.Name
		if records[i].Dropped {
			delete(s.sealed, name)
			changes[name] = nil
			continue
		}
		content, err := s.encode(&records[i])
		if err == nil {
			err = fits(name, content)
		}
		if err != nil {
			unsavable[name] = err
			continue
		}
		changes[name] = content
	}
	if len(changes) > 0 {
		if err := s.write(func(tx *bolt.Tx) error { return replace(tx, changes) }); err != nil {
			return fmt.Errorf("cannot save the state: %w", err)
		}
	}
	if len(unsavable) > 0 {
		return unsavable
	}
	return nil
}

// fits tells what keeps a value from being saved under a name.
func fits(name string, content []byte) error {
	switch {
	case name == "":
		return errors.New("it has no name")
	case len(name) > bolt.MaxKeySize:
		return fmt.Errorf("its name is longer than %d bytes", bolt.MaxKeySize)
	case len(content) > bolt.MaxValueSize-sumSize:
		return fmt.Errorf("it is larger than %d bytes", bolt.MaxValueSize-sumSize)
	}
	return nil
}

// write makes a change. What bbolt has in memory is not trusted after an
// error, such as a full disk: the file is opened anew before the next write.
func (s *Store) write(change func(*bolt.Tx) error) (err error) {
	if err := s.reopen(); err != nil {
		return err
	}
	if err := s.mine.is(s.path); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.read = nil
	err = s.db.Update(func(tx *bolt.Tx) error { return s.mine.update(tx, change) })
	if err != nil {
		err = errors.Join(err, s.db.Close())
		s.db = nil
	}
	return err
}

func (s *Store) reopen() error {
	if s.db != nil {
		return nil
	}
	return s.open()
}

// Close lets go of the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.db == nil {
		return nil
	}
	return s.db.Close() // which may be closed
}
