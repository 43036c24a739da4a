// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"

	"github.com/godbus/dbus/v5"
)

// Try finds out whether the system bus would let this process be the server. A
// server that is on the bus stays there: the answer is [ErrTaken] then. Where there
// is none, the name is had for a moment.
func Try(ctx context.Context) error {
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return err
	}
	defer conn.Close()
	return takeName(ctx, conn)
}
