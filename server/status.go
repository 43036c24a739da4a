// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mandos/dbusapi"
	"mandos/server/client"
	"mandos/server/configreader"
	"mandos/server/handout"
	"mandos/server/logging"
	"mandos/server/statistics"
	"mandos/server/systemd"
)

// Status is part of [bus.Daemon].
func (d *daemon) Status() dbusapi.Status {
	announcement := "off"
	if d.zeroconf != nil {
		announcement = d.zeroconf.State().String()
	}
	sockets := d.sockets.State()
	return dbusapi.Status{
		Version:       version,
		Address:       sockets.Addresses(),
		Port:          sockets.Port,
		Interface:     sockets.Interfaces(),
		ListenProblem: strings.Join(sockets.Problems, "; "),
		ServiceName:   d.name.String(),
		ZeroconfState: announcement,
		StartedAt:     d.started,
		LogLevel:      logging.LevelName(d.level.Level()),
		ConfigDir:     d.settings.ConfigDir,
		StateDir:      d.settings.StateDir,
		ReloadProblem: d.reloadProblem(),
	}
}

// Statistics is part of [bus.Daemon].
func (d *daemon) Statistics() dbusapi.Statistics { return d.counted.Values() }

// ListStatistics is part of [bus.Daemon].
func (d *daemon) ListStatistics() []dbusapi.Statistic { return statistics.List() }

// reloadProblem is why the configuration cannot be read again; empty if it can.
func (d *daemon) reloadProblem() string {
	select {
	case <-d.reader.Gone():
		return configreader.ErrGone.Error()
	default:
		return ""
	}
}

// tellReaderGone logs that the process which reads the configuration has ended.
func (d *daemon) tellReaderGone(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-d.reader.Gone():
		d.log.Error(configreader.ErrGone.Error())
	}
}

// SetLogLevel is part of [bus.Daemon].
func (d *daemon) SetLogLevel(by client.Actor, name string) error {
	level, err := logging.ParseLevel(name)
	if err != nil {
		return err
	}
	d.level.Set(level)
	d.log.Info("log level changed", "level", logging.LevelName(level), "actor", by)
	return nil
}

// Place is part of [bus.Daemon].
func (d *daemon) Place(name string) string { return (*d.places.Load())[name] }

// History is part of [bus.Daemon].
func (d *daemon) History(name string) ([]client.Event, error) { return d.history.History(name) }

// InterfaceTo is part of [bus.Daemon].
func (d *daemon) InterfaceTo(address netip.Addr) string { return handout.InterfaceTo(address) }

// statusInterval is how often the service manager is told at most how we are.
const statusInterval = time.Second

// tellStatus tells the service manager how the server is whenever that changes.
func (d *daemon) tellStatus(ctx context.Context) {
	told := ""
	tick := time.NewTicker(statusInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if sentence := d.sentence(); sentence != told {
				d.notify(systemd.Status(sentence))
				told = sentence
			}
		}
	}
}

// sentence says how the server is.
func (d *daemon) sentence() string {
	clients, enabled, pending := d.registry.Counts()
	sentence := counted(clients, "client")
	if disabled := clients - enabled; disabled > 0 {
		sentence += fmt.Sprintf(", %d disabled", disabled)
	}
	if pending > 0 {
		sentence += fmt.Sprintf(", %d waiting for approval", pending)
	}
	if !d.registry.UplinkFailsSince().IsZero() {
		sentence += ", own network does not work"
	}
	if !d.registry.MassFailureSince().IsZero() {
		sentence += ", more than half of them failing their checks"
	}
	if _, _, on := d.registry.LockedDown(); on {
		sentence = "LOCKDOWN, nobody gets a secret; " + sentence
	}
	if d.reloadProblem() != "" {
		sentence += ", cannot read the configuration again"
	}
	if problems := d.sockets.State().Problems; len(problems) > 0 {
		sentence += "; " + strings.Join(problems, "; ")
	}
	return sentence
}

// notify logs that the service manager could not be told.
func (d *daemon) notify(err error) {
	if err != nil {
		d.log.Warn("cannot tell the service manager how the server is", "error", err)
	}
}
