// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// judge says of a peer to which everything was written, and which then ended the
// session with err (nil if properly), whether it has the secret: an error says that
// it has not, as far as anybody can tell, and a note why that it has is less than
// certain.
//
// Neither a good-bye nor a FIN proves anything alone, since it may have been under
// way before the secret was; with everything acknowledged it does. A peer that says
// nothing at all has what it has acknowledged: its good-bye may be lost. But a reset
// is what becomes of a connection that is closed with something unread in it.
func judge(conn net.Conn, err error) (note string, _ error) {
	left, known := unacknowledged(conn)
	switch has := known && left == 0; {
	case err == nil && (has || !known):
		return "", nil
	case left > 0 && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)):
		return "", fmt.Errorf("it closed the connection while %d bytes were still on their way to it", left)
	case has && errors.Is(err, io.ErrUnexpectedEOF):
		return "it acknowledged everything, and closed the connection without the close_notify of TLS", nil
	case has && errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("it acknowledged everything, and did not close the connection within %v", closeTime), nil
	case has && errors.Is(err, unix.ECONNRESET):
		return "", fmt.Errorf("it acknowledged everything, so that it may have read it, but reset the connection: %w", err)
	}
	return "", err
}

// unacknowledged is how many bytes of those that were written the peer's TCP has not
// acknowledged: what the kernel still has to send, or may have to send again.
func unacknowledged(conn net.Conn) (bytes int, known bool) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	controlErr := raw.Control(func(fd uintptr) {
		bytes, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	})
	return bytes, controlErr == nil && err == nil
}
