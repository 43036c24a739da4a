// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"context"
	"errors"
	"io"

	"mandos/server/keytls"
)

// maxUnasked is how many bytes of application data a peer may send, from which none
// is wanted, before it is cut off.
const maxUnasked = 64 << 10

// presence tells when a peer goes that has nothing more to say.
type presence struct {
	ctx    context.Context // ends when the peer goes, or the server stops
	closed chan struct{}
	err    error // once closed: nil if the peer closed the session properly
}

func watch(ctx context.Context, session *keytls.Conn) *presence {
	ctx, gone := context.WithCancelCause(ctx)
	p := &presence{ctx: ctx, closed: make(chan struct{})}
	go func() {
		defer close(p.closed)
		p.err = readToEnd(session)
		gone(errGone)
	}()
	return p
}

// readToEnd returns nil when the peer has closed the session.
func readToEnd(r io.Reader) error {
	var unasked [64]byte
	for total := 0; total < maxUnasked; {
		n, err := r.Read(unasked[:])
		total += n
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
