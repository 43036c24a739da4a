// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mandos/server/bus"
	"mandos/server/client"
	"mandos/server/configreader"
	"mandos/server/systemd"
)

// hangupPatience is how long a reload on SIGHUP may take, for which nobody else
// has a limit.
const hangupPatience = time.Minute

func (d *daemon) reloadOnHangup(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.hangups:
			d.reloadFor(ctx)
		}
	}
}

// reloadFor reloads for somebody who will look for the outcome in the log.
func (d *daemon) reloadFor(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, hangupPatience, fmt.Errorf("it was given up after %v", hangupPatience))
	defer cancel()
	if err := d.Reload(ctx, client.FromConfiguration); err != nil {
		d.log.Error("the configuration was not reloaded, and nothing was changed", "error", err)
	}
}

// Reload reads the configuration again and follows it in all that concerns the
// clients, and in the log level. It is part of [bus.Daemon].
func (d *daemon) Reload(ctx context.Context, by client.Actor) error {
	select {
	case d.reloading <- struct{}{}:
		defer func() { <-d.reloading }()
	case <-ctx.Done():
		return fmt.Errorf("an earlier reload is still under way: %w", context.Cause(ctx))
	}
	d.notify(systemd.Reloading())
	defer func() { d.notify(systemd.Ready(d.sentence())) }()
	r, err := readAgain(ctx, d.reader)
	var refused configreader.Refusal
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%w: %w", bus.ErrBadConfiguration, err)
	case err != nil:
		return err
	}
	d.tellWarnings(r.Warnings, r.Clients)
	if err := d.registry.Reload(ctx, by, r.Clients); err != nil {
		return err
	}
	d.level.Set(r.Level)
	d.log.Info("configuration reloaded", "actor", by, "clients", len(r.Clients))
	return nil
}
