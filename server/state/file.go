// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// openSound opens a database after its pages were checked. bbolt maps the file
// and follows what it finds there: pages that lie beyond the end of the file, or
// that contain themselves, would end this process.
func openSound(path string, how *bolt.Options) (db *bolt.DB, err error) {
	var file *os.File
	defer func() {
		if damage := recover(); damage != nil { // bbolt's own checks end so, with the file still mapped, which keeps its lock
			unlockErr := unix.Flock(int(file.Fd()), unix.LOCK_UN)
			db, err = nil, errors.Join(unusable(path, fmt.Errorf("%v", damage)), unlockErr, file.Close())
		}
	}()
	how.OpenFile = func(path string, flags int, mode os.FileMode) (*os.File, error) {
		if file, err = os.OpenFile(path, flags&^os.O_CREATE, mode); err != nil {
			return nil, err
		}
		if err := lockFor(file, path, how); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if err := checkPages(file); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return file, nil
	}
	db, err = bolt.Open(path, 0o600, how)
	if err != nil {
		return nil, cannotOpen(path, err)
	}
	return db, nil
}

// ErrInUse says why a state that is sound cannot be had.
var ErrInUse = errors.New("another mandos server runs on this state directory; stop it first")

func cannotOpen(path string, err error) error {
	if errors.Is(err, berrors.ErrTimeout) {
		return fmt.Errorf("the state file %s is in use: %w", path, ErrInUse)
	}
	return unusable(path, err)
}

// lock takes the lock of a server.
func lock(f *os.File, path string) error { return lockFor(f, path, options(nil)) }

// lockFor takes the lock that bbolt takes afterwards. The file must still have the
// name then by which it was opened: whoever held the lock may have given the name
// to another. Who only reads shares the lock.
func lockFor(f *os.File, path string, how *bolt.Options) error {
	kind := unix.LOCK_EX
	if how.ReadOnly {
		kind = unix.LOCK_SH
	}
	for deadline := time.Now().Add(how.Timeout); ; time.Sleep(50 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), kind|unix.LOCK_NB)
		switch {
		case err == nil:
			return stillNamed(f, path)
		case err == unix.EWOULDBLOCK && time.Now().After(deadline):
			return berrors.ErrTimeout
		case err != unix.EWOULDBLOCK && err != unix.EINTR:
			return err
		}
	}
}

func stillNamed(f *os.File, path string) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !os.SameFile(opened, named):
		return berrors.ErrTimeout
	}
	return err
}

// The layout of bbolt's files, version 2, in the byte order of the machine. A
// page has a header (id 8, flags 2, count 2, overflow 4) and then its elements,
// whose offsets count from the element itself.
const (
	pageHeader   = 16
	elementSize  = 16 // of a branch: offset 4, key size 4, page 8; of a leaf: flags 4, offset 4, key size 4, value size 4
	bucketHeader = 16 // root page 8, sequence 8
	branchPage   = 1
	leafPage     = 2
	metaPage     = 4
	bucketLeaf   = 1
	metaSize     = 64 // magic 4, version 4, page size 4, flags 4, root 16, free list 8, pages 8, transaction 8, checksum 8
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	noFreeList   = 1<<64 - 1
)

var order = binary.NativeEndian

// pages walks a database file.
type pages struct {
	file    io.ReaderAt
	size    uint64 // of a page
	count   uint64
	visited map[uint64]bool
}

// checkPages checks that every page in use is within the file, is used once, and
// has its elements within itself.
func checkPages(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	first := make([]byte, pageHeader+metaSize)
	if _, err := f.ReadAt(first, 0); err != nil {
		return fmt.Errorf("it is too short: %w", err)
	}
	size := uint64(order.Uint32(first[pageHeader+8:]))
	if size < 512 || size > 1<<24 || size&(size-1) != 0 {
		return errors.New("its first page is damaged, or it is another kind of file")
	}
	meta, err := newestMeta(f, size)
	if err != nil {
		return err
	}
	p := &pages{file: f, size: size, count: order.Uint64(meta[40:]), visited: map[uint64]bool{0: true, 1: true}}
	if p.count > uint64(info.Size())/size {
		return fmt.Errorf("it is cut off: %d bytes of %d pages of %d bytes", info.Size(), p.count, size)
	}
	if list := order.Uint64(meta[32:]); list != noFreeList {
		return errors.New("another program has written to it")
	}
	return p.walk(order.Uint64(meta[16:]))
}

// newestMeta checks both of the pages that say where the rest is, and returns
// the content of the newer one. A transaction replaces the older one by writing
// less than a sector, so neither is ever half written.
func newestMeta(f io.ReaderAt, size uint64) (newest []byte, err error) {
	for i := range uint64(2) {
		page := make([]byte, pageHeader+metaSize)
		if _, err := f.ReadAt(page, int64(i*size)); err != nil {
			return nil, fmt.Errorf("it is too short: %w", err)
		}
		meta := page[pageHeader:]
		sum := fnv.New64a()
		sum.Write(meta[:metaSize-8])
		if order.Uint16(page[8:]) != metaPage || order.Uint32(meta) != metaMagic || order.Uint32(meta[4:]) != metaVersion ||
			uint64(order.Uint32(meta[8:])) != size || order.Uint64(meta[metaSize-8:]) != sum.Sum64() {
			return nil, fmt.Errorf("page %d, which says where the rest is, is damaged", i)
		}
		if newest == nil || order.Uint64(meta[48:]) > order.Uint64(newest[48:]) {
			newest = meta
		}
	}
	return newest, nil
}

// subtree is a page and what is below it, whose keys are in a range.
type subtree struct {
	root     uint64
	from, to []byte // exclusive of to; nil without a bound
}

// walk checks the tree whose root is the page of that number.
func (p *pages) walk(root uint64) error {
	for todo := []subtree{{root: root}}; len(todo) > 0; {
		tree := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		page, err := p.read(tree.root)
		if err != nil {
			return err
		}
		below, ok := children(page, tree)
		if !ok {
			return fmt.Errorf("page %d is damaged", tree.root)
		}
		todo = append(todo, below...)
	}
	return nil
}

// read takes a page with those that it overflows into.
func (p *pages) read(id uint64) ([]byte, error) {
	header := make([]byte, pageHeader)
	if id < 2 || id >= p.count {
		return nil, fmt.Errorf("it refers to page %d, which it does not have", id)
	}
	if _, err := p.file.ReadAt(header, int64(id*p.size)); err != nil {
		return nil, err
	}
	overflow := uint64(order.Uint32(header[12:]))
	if order.Uint64(header) != id || overflow >= p.count-id {
		return nil, fmt.Errorf("page %d is damaged", id)
	}
	for used := id; used <= id+overflow; used++ {
		if p.visited[used] {
			return nil, fmt.Errorf("page %d is used twice", used)
		}
		p.visited[used] = true
	}
	page := make([]byte, (overflow+1)*p.size)
	_, err := p.file.ReadAt(page, int64(id*p.size))
	return page, err
}

// children are the trees that a page, of the given tree, refers to.
func children(page []byte, tree subtree) (below []subtree, ok bool) {
	if len(page) < pageHeader {
		return nil, false
	}
	kind, count := order.Uint16(page[8:]), int(order.Uint16(page[10:]))
	elements := page[pageHeader:]
	if kind != leafPage && (kind != branchPage || count == 0) || count*elementSize > len(elements) {
		return nil, false
	}
	parse := leaf
	if kind == branchPage {
		parse = branch
	}
	former := tree.from
	for i := range count {
		key, child, ok := parse(elements[i*elementSize:])
		distance := bytes.Compare(key, former)
		if !ok || distance < 0 || distance == 0 && i > 0 || tree.to != nil && bytes.Compare(key, tree.to) >= 0 {
			return nil, false
		}
		former = key
		if child == nil {
			continue
		}
		if last := len(below) - 1; kind == branchPage && last >= 0 {
			below[last].to = key
		}
		below = append(below, *child)
	}
	if last := len(below) - 1; kind == branchPage {
		below[last].to = tree.to
	}
	return below, true
}

func branch(element []byte) (key []byte, child *subtree, ok bool) {
	key, ok = part(element, uint64(order.Uint32(element)), order.Uint32(element[4:]))
	return key, &subtree{root: order.Uint64(element[8:]), from: key}, ok
}

// leaf is the key of a leaf's element, and the tree below if it is a bucket.
func leaf(element []byte) (key []byte, child *subtree, ok bool) {
	offset, keySize := uint64(order.Uint32(element[4:])), order.Uint32(element[8:])
	key, ok = part(element, offset, keySize)
	if !ok {
		return nil, nil, false
	}
	value, ok := part(element, offset+uint64(keySize), order.Uint32(element[12:]))
	if !ok || order.Uint32(element)&bucketLeaf == 0 {
		return key, nil, ok
	}
	if len(value) < bucketHeader {
		return nil, nil, false
	}
	if root := order.Uint64(value); root != 0 {
		return key, &subtree{root: root}, true
	}
	// A small bucket is a page within the value, without buckets below.
	below, ok := children(value[bucketHeader:], subtree{})
	return key, nil, ok && below == nil
}

// part is what an element refers to within its page.
func part(element []byte, offset uint64, size uint32) ([]byte, bool) {
	end := offset + uint64(size)
	if offset < elementSize || end > uint64(len(element)) {
		return nil, false
	}
	return element[offset:end], true
}
