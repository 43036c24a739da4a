// SPDX-License-Identifier: Apache-2.0

// Package enrolment takes new clients in: whether one may be, and its file in the
// server's configuration directory.
package enrolment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// File is a file that was added.
type File struct{ Path string }

// Add writes a client's section to a file of its own in clients.d, which it makes
// if need be. The file is whole or not there at all, is never written over
// another, and belongs to the owner of clients.conf, who alone can read it.
func Add(configDir, client, section string) (*File, error) {
	owner, err := ownerOf(configDir)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(configDir, "clients.d")
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		err = os.Chown(dir, owner.uid, owner.gid)
		if err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrExist):
		return nil, advise(err)
	}
	path := filepath.Join(dir, fileName(client))
	if err := write(path, section, owner); err != nil {
		return nil, advise(err)
	}
	return &File{path}, nil
}

// Remove takes the file away again.
func (f *File) Remove() error { return os.Remove(f.Path) }

type owner struct{ uid, gid int }

// ownerOf is the owner of clients.conf, or without one of the directory.
func ownerOf(configDir string) (owner, error) {
	info, err := os.Stat(filepath.Join(configDir, "clients.conf"))
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(configDir)
	}
	if err != nil {
		return owner{}, advise(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return owner{int(stat.Uid), int(stat.Gid)}, nil
}

// fileName is a name that is no path and not hidden, whatever the client's is.
func fileName(client string) string {
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == 0 {
			return '_'
		}
		return r
	}, client)
	if strings.HasPrefix(name, ".") {
		name = "_" + name
	}
	return name + ".conf"
}

// write makes the file under a hidden name, which the server passes over, and
// gives it its own name when it is whole and on the disk.
func write(path, text string, owner owner) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // readable for the owner alone
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // what stays is hidden
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chown(owner.uid, owner.gid), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already and is left as it is; take it away first, or rename the client", path)
		}
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func advise(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run this as root, with sudo", err)
	}
	return err
}
