// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"context"
	"errors"
	"io"

	"mandos/server/keytls"
)

// maxChatter is how many bytes of application data a peer may send, which has
// nothing to say, before it is cut off.
const maxChatter = 64 << 10

// ear listens to a peer that has nothing more to say, to notice when it goes.
type ear struct {
	present context.Context // ends when the peer goes, or the server stops
	closed  chan struct{}
	err     error // once closed: nil if the peer closed the session properly
}

func listenTo(ctx context.Context, tls *keytls.Conn) *ear {
	present, gone := context.WithCancelCause(ctx)
	e := &ear{present: present, closed: make(chan struct{})}
	go func() {
		defer close(e.closed)
		e.err = listen(tls)
		gone(errGone)
	}()
	return e
}

// listen returns nil when the peer has closed the session.
func listen(r io.Reader) error {
	var scrap [64]byte
	for heard := 0; heard < maxChatter; {
		n, err := r.Read(scrap[:])
		heard += n
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the peer sends data, which no client does")
}

var errGone = errors.New("the peer closed the connection")
