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
	if _, err := d.Reload(ctx, client.FromConfiguration); err != nil {
		d.log.Error("the configuration was not reloaded, and nothing was changed", "error", err)
	}
}

// Reload reads the configuration again and follows it in all that concerns the
// clients, and in the log level. It is part of [bus.Daemon].
func (d *daemon) Reload(ctx context.Context, by client.Actor) (client.Reloaded, error) {
	reloaded, err := d.reload(ctx, by)
	d.counted.Reloaded(err)
	return reloaded, err
}

func (d *daemon) reload(ctx context.Context, by client.Actor) (client.Reloaded, error) {
	select {
	case d.reloading <- struct{}{}:
		defer func() { <-d.reloading }()
	case <-ctx.Done():
		return client.Reloaded{}, fmt.Errorf("an earlier reload is still under way: %w", context.Cause(ctx))
	}
	d.notify(systemd.Reloading())
	defer func() { d.notify(systemd.Ready(d.sentence())) }()
	r, err := readAgain(ctx, d.reader)
	var refused configreader.Refusal
	switch {
	case errors.As(err, &refused):
		return client.Reloaded{}, fmt.Errorf("%w: %w", bus.ErrBadConfiguration, err)
	case err != nil:
		return client.Reloaded{}, err
	}
	d.tellWarnings(r.Warnings, r.Clients)
	if names := d.registry.Missing(r.Clients); r.NoFile && len(names) > 0 {
		return client.Reloaded{}, fmt.Errorf("%w: %w", bus.ErrBadConfiguration, d.settings.refuseToLose(names, r.NoFile))
	}
	reloaded, err := d.registry.Reload(ctx, by, r.Clients)
	if vanished := (*client.VanishedError)(nil); errors.As(err, &vanished) {
		return client.Reloaded{}, fmt.Errorf("%w: %w", bus.ErrBadConfiguration, d.settings.refuseToLose(vanished.Names, r.NoFile))
	}
	if err != nil {
		return client.Reloaded{}, err
	}
	d.level.Set(r.Level)
	d.places.Store(&r.Places)
	d.log.Info("configuration reloaded", "actor", by, "clients", len(r.Clients),
		"added", reloaded.Added, "removed", reloaded.Removed, "changed", reloaded.Changed)
	d.tellAway(reloaded.Away)
	return reloaded, nil
}

// tellAway says which sections have no effect.
func (d *daemon) tellAway(names []string) {
	for _, name := range names {
		d.log.Info("Client "+name+" stays away, for it was removed; mandosctl enable brings it back", "client", name)
	}
}

// refuseToLose is the error about a configuration in which those clients are
// missing although nobody can have meant that.
func (s *settings) refuseToLose(names []string, noFile bool) error {
	file := s.ClientsFile
	problem := fmt.Sprintf("there is no client in %s, nor in clients.d beside it", file)
	if noFile {
		problem = fmt.Sprintf("%s does not exist (an empty one will do if all clients are in clients.d)", file)
	}
	return fmt.Errorf("%s, and so these would be gone: %s; put the file back, or, if they are to go, "+
		"remove each with mandosctl remove beforehand, or start once with --forget-all, which forgets who is disabled", problem, client.Enumerate(names))
}
