// SPDX-License-Identifier: Apache-2.0

package main

import (
	"mandos/server/bus"
	"mandos/server/client"
	"mandos/server/logging"
)

// Status is part of [bus.Daemon].
func (d *daemon) Status() bus.Status {
	announcement := "off"
	if d.zeroconf != nil {
		announcement = d.zeroconf.State().String()
	}
	return bus.Status{
		Version:       version,
		Address:       d.address().Addr().String(),
		Port:          d.address().Port(),
		Interface:     d.settings.Interface,
		ServiceName:   d.name.String(),
		ZeroconfState: announcement,
		StartedAt:     d.started,
		LogLevel:      logging.LevelName(d.level.Level()),
		ConfigDir:     d.settings.ConfigDir,
		StateDir:      d.settings.StateDir,
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
