// SPDX-License-Identifier: Apache-2.0

package configreader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Serve is the whole life of the other process: it answers questions on standard
// input with what read gives, and returns when the server has ended. A reading
// that is under way is not waited for.
func Serve(read func() ([]byte, error)) error {
	server := os.Stdin
	questions := make(chan error)
	go func() {
		question := make([]byte, 1)
		for {
			_, err := server.Read(question)
			questions <- err
			if err != nil {
				return
			}
		}
	}()
	answers := make(chan error, 1)
	begin := func() { answers <- answer(server, read) }
	for unanswered := 0; ; {
		select {
		case err := <-questions:
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return fmt.Errorf("no questions from the server: %w", err)
			case unanswered == 2:
				return errors.New("the server asks without waiting for the answers")
			}
			// The server may have the answer, and ask again, before we know that
			// it was sent.
			if unanswered++; unanswered == 1 {
				go begin()
			}
		case err := <-answers:
			if err != nil {
				return fmt.Errorf("cannot answer the server: %w", err)
			}
			if unanswered--; unanswered > 0 {
				go begin()
			}
		}
	}
}

func answer(server io.Writer, read func() ([]byte, error)) error {
	kind := byte(answerRead)
	data, err := safely(read)
	if err == nil && len(data) > maxAnswer {
		err = fmt.Errorf("the configuration has %d bytes, and %d are the most", len(data), maxAnswer)
	}
	if err != nil {
		kind, data = answerFailed, []byte(err.Error())
	}
	header := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(data)))
	if _, err := server.Write(header); err != nil {
		return err
	}
	_, err = server.Write(data)
	return err
}

// safely makes a panic an error, for there is no second reader.
func safely(read func() ([]byte, error)) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while reading the configuration: %v", p)
		}
	}()
	return read()
}
