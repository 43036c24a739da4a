// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"mandos/server/client"
	"mandos/server/systemd"
)

func (d *daemon) reloadOnHangup(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := d.Reload(ctx, client.FromConfiguration); err != nil {
				d.log.Error("the configuration was not reloaded, and nothing was changed", "error", err)
			}
		}
	}
}

// Reload reads the configuration again and follows it in all that concerns the
// clients, and in the log level. It is part of [bus.Daemon].
func (d *daemon) Reload(ctx context.Context, by client.Actor) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.notify(systemd.Reloading())
	defer func() { d.notify(systemd.Ready(d.sentence())) }()
	r, err := readAgain(ctx, d.reader)
	if err != nil {
		return fmt.Errorf("bad configuration: %w", err)
	}
	d.tellWarnings(r.Warnings, r.Clients)
	if err := d.registry.Reload(ctx, by, r.Clients); err != nil {
		return err
	}
	d.level.Set(r.Level)
	d.log.Info("configuration reloaded", "actor", by, "clients", len(r.Clients))
	return nil
}
