// SPDX-License-Identifier: Apache-2.0

// Package configreader reads the configuration on behalf of a server that has
// given up the right to.
//
// Files with secrets are readable by root only, and stay so. Before the server
// gives up root it starts a process of its own program that may read every file
// and nothing else: it runs as the server's user, has one capability, never sees
// a byte from the network, and answers one question only, which carries no data:
// "what does the configuration say?". What it reads goes to the server through a
// socket pair that nobody else has. When the server ends, so does the reader.
//
// A reader that died cannot be replaced, as nobody is left with the right to
// start one. Reloading then fails and says so; the server goes on with what it has.
package configreader

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// maxAnswer is the most bytes that one reading may have.
const maxAnswer = 512 << 20

// closeGrace is how long the other process may take to end, twice.
const closeGrace = time.Second

// Kinds of answers.
const (
	answerRead   = 'r' // what was read follows
	answerFailed = 'f' // an error message follows
)

// Reader reads the configuration, in another process or in this one.
type Reader struct {
	read func() ([]byte, error)
	busy chan struct{} // holds one token while a reading is under way
	conn net.Conn      // nil in this process
	gone chan struct{} // closed when the other process has ended; nil in this process

	process *os.Process // the other one
}

// Refusal is an error of the reading itself, which says what is wrong with the
// configuration. Any other means that nobody could look.
type Refusal struct{ error }

func (r Refusal) Unwrap() error { return r.error }

// Direct is a Reader that calls read in this process, for a server that gave
// nothing up.
func Direct(read func() ([]byte, error)) *Reader {
	return &Reader{
		read: func() ([]byte, error) {
			data, err := safely(read)
			if err != nil {
				return nil, Refusal{err}
			}
			return data, nil
		},
		busy: make(chan struct{}, 1),
	}
}

// Start starts cmd, a command that calls [Serve], by means of start, which takes
// its privileges away. It gets a socket as its standard input and nothing else of
// this process.
func Start(cmd *exec.Cmd, start func(*exec.Cmd) error) (*Reader, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot start the configuration reader: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "configuration reader"), os.NewFile(uintptr(pair[1]), "server")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("cannot start the configuration reader: %w", err)
	}
	cmd.Stdin = theirs
	if err := start(cmd); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot start the configuration reader: %w", err)
	}
	r := &Reader{busy: make(chan struct{}, 1), conn: conn, gone: make(chan struct{}), process: cmd.Process}
	r.read = r.ask
	go func() {
		defer close(r.gone)
		// How it ended does not matter: nothing can be done about it.
		_ = cmd.Wait()
	}()
	return r, nil
}

// Read reads the configuration anew. Readings take turns; one whose ctx ends is
// finished before the next, but nobody waits for it.
func (r *Reader) Read(ctx context.Context) ([]byte, error) {
	select {
	case r.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("the configuration is still being read: %w", context.Cause(ctx))
	}
	type answer struct {
		data []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() { <-r.busy }()
		data, err := r.read()
		done <- answer{data, err}
	}()
	select {
	case a := <-done:
		return a.data, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("reading the configuration takes too long: %w", context.Cause(ctx))
	}
}

// Gone is closed when the other process has ended, after which every reading fails.
// In a server that reads by itself it never is.
func (r *Reader) Gone() <-chan struct{} { return r.gone }

// Close ends the other process and waits for its end. One that does not go by
// itself is killed, and one that does not even go then, as it waits for a disk
// that does not answer, is left behind.
func (r *Reader) Close() {
	if r.conn == nil {
		return
	}
	r.conn.Close()
	for range 2 {
		select {
		case <-r.gone:
			return
		case <-time.After(closeGrace):
			// That it is gone by now is no error.
			_ = r.process.Kill()
		}
	}
}

// ask has the other process read.
func (r *Reader) ask() ([]byte, error) {
	if _, err := r.conn.Write([]byte{'?'}); err != nil {
		return nil, died(err)
	}
	var header [5]byte
	if _, err := io.ReadFull(r.conn, header[:]); err != nil {
		return nil, died(err)
	}
	length := int64(binary.BigEndian.Uint32(header[1:]))
	if length > maxAnswer {
		return nil, died(errors.New("it does not keep to the protocol"))
	}
	data, err := io.ReadAll(io.LimitReader(r.conn, length))
	switch {
	case err != nil:
		return nil, died(err)
	case int64(len(data)) < length:
		return nil, died(io.ErrUnexpectedEOF)
	case header[0] == answerFailed:
		return nil, Refusal{errors.New(string(data))}
	}
	return data, nil
}

// ErrGone says that the other process has ended.
var ErrGone = errors.New("the process that reads the configuration is gone, restart the server to have it read")

func died(err error) error { return fmt.Errorf("%w: %w", ErrGone, err) }
