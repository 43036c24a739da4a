// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"mandos/server/systemd"
)

// errStopped says that the server was told to end before it served.
var errStopped = errors.New("told to end before the start was done")

// starting is for all that comes before the server serves: the service manager
// waits longer while it goes on, and it is left behind when ctx ends, however long
// it would take. What it writes is complete at any time, so that nothing is lost.
func starting(ctx context.Context, start func() error) error {
	lasting, done := context.WithCancel(ctx)
	defer done()
	go systemd.ExtendStart(lasting)
	end := make(chan error, 1)
	go func() { end <- start() }()
	select {
	case err := <-end:
		return err
	case <-ctx.Done():
		return errStopped
	}
}
