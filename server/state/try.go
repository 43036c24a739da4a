// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"mandos/server/client"
)

// Try finds out whether [Open] would succeed on an existing directory, or without
// restore [OpenAnew], and changes nothing. It returns the records that there would
// be, without secrets. It fails with [ErrInUse] while a server runs.
func Try(dir string, restore bool) ([]client.Record, error) {
	saved := make(map[string]*record)
	path := filepath.Join(dir, fileName)
	_, err := os.Lstat(path)
	switch {
	case err == nil && restore:
		_, err = tryFile(path, saved)
	case err == nil:
		if err = tryLock(path); err == nil {
			err = mayMake(path)
		}
	case !errors.Is(err, fs.ErrNotExist):
		err = unusable(path, err)
	default:
		upstream := filepath.Join(dir, upstreamName)
		switch err = mayMake(path); {
		case err != nil || !restore:
		case wasTakenOver(upstream):
			err = lostSince(path, upstream)
		default:
			saved, err = tryUpstream(upstream)
		}
	}
	if err != nil {
		return nil, waysOn(err)
	}
	return newStore(dir, slog.New(slog.DiscardHandler)).unseal(saved, nil), nil
}

// tryUpstream reads what the Python server left, if anything.
func tryUpstream(path string) (map[string]*record, error) {
	saved, err := readUpstream(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unusable(path, err)
	}
	return saved, nil
}

// onlyReading is for those who do not wait for a server.
func onlyReading() *bolt.Options {
	how := options(nil)
	how.ReadOnly, how.Timeout = true, 0
	return how
}

// tryFile verifies and reads the file, and shares its lock meanwhile.
func tryFile(path string, saved map[string]*record) (server client.ServerRecord, err error) {
	if err := tryAccess(path); err != nil {
		return server, err
	}
	db, err := openSound(path, onlyReading())
	if err != nil {
		return server, err
	}
	if err := db.View(func(tx *bolt.Tx) error {
		if err := decodeAll(tx, saved); err != nil {
			return err
		}
		server, err = getServer(tx)
		return err
	}); err != nil {
		return server, errors.Join(unusable(path, err), db.Close())
	}
	return server, db.Close()
}

// tryLock finds out whether a server has the file that is to be set aside.
func tryLock(path string) error {
	if err := tryAccess(path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return unusable(path, err)
	}
	defer f.Close()
	if err := lockFor(f, path, onlyReading()); err != nil {
		return cannotOpen(path, err)
	}
	return nil
}

// tryAccess fails as opening the file for writing would. To open what is no file
// for reading might wait or succeed.
func tryAccess(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return unusable(path, err)
	case info.IsDir():
		return unusable(path, unix.EISDIR)
	case !info.Mode().IsRegular():
		return unusable(path, errors.New("it is not a regular file"))
	}
	return mayWrite(path, path, unix.R_OK|unix.W_OK)
}

// mayMake asks whether this process can make the file in its directory.
func mayMake(path string) error { return mayWrite(path, filepath.Dir(path), unix.W_OK|unix.X_OK) }

// mayWrite asks the kernel whether this process has those rights at what is there,
// and says what that means for path.
func mayWrite(path, there string, rights uint32) error {
	if err := unix.Faccessat(unix.AT_FDCWD, there, rights, unix.AT_EACCESS); err != nil {
		return unusable(path, err)
	}
	return nil
}

// TryToMake finds out whether [MakeDirectory] would succeed, and changes nothing.
func TryToMake(dir, user string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, filepath.Dir(dir), unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return CannotMake(dir, user, err)
	}
	return nil
}
