// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"mandos/server/client"
)

// load fills the registry, unless a part of the configuration seems to be lost.
func (d *daemon) load(records []client.Record) error {
	if d.settings.ForgetAll {
		if err := d.forget(records); err != nil {
			return err
		}
		records = nil
	}
	noFile := d.settings.NoClientsFile
	if names := client.Missing(d.settings.Clients, records); noFile && len(names) > 0 {
		return d.settings.refuseToLose(names, noFile)
	}
	loaded, err := d.registry.Load(d.settings.Clients, records)
	if vanished := (*client.VanishedError)(nil); errors.As(err, &vanished) {
		return d.settings.refuseToLose(vanished.Names, noFile)
	}
	if len(loaded.Removed) > 0 {
		d.log.Warn("clients are gone from the configuration; what is known of them is kept", "removed", loaded.Removed)
	}
	d.tellAway(loaded.Away)
	return err
}

// resume goes on with what was saved of the server itself, which --forget-all leaves.
func (d *daemon) resume() error {
	saved, err := d.store.Server()
	if err != nil {
		return err
	}
	if d.settings.UplinkCheck != "" {
		d.registry.Lend(d.settings.UplinkGrace)
	}
	d.registry.Resume(saved)
	if in, until, on := d.registry.LockedDown(); on {
		ends := "when somebody ends it"
		if !until.IsZero() {
			ends = until.Format(time.RFC3339)
		}
		d.log.Warn("Lockdown: nobody gets a secret", "since", in.At, "ends", ends, "actor", in.By, "note", in.Why)
	}
	return nil
}

// forget forgets all records, because the command line says so.
func (d *daemon) forget(records []client.Record) error {
	dropped := make([]client.Record, len(records))
	histories := make(map[string][]byte, len(records))
	lowered := 0
	for i := range records {
		name := records[i].Name
		dropped[i] = client.Record{Settings: client.Settings{Name: name}, Dropped: true}
		histories[name] = nil
		if !records[i].Enabled {
			lowered++
		}
	}
	if err := errors.Join(d.store.Save(dropped), d.store.SaveHistory(histories)); err != nil {
		return fmt.Errorf("cannot forget the clients: %w", err)
	}
	d.log.Warn("everything that was saved of the clients is forgotten, for --forget-all says so", "clients", len(records), "disabled_or_removed", lowered)
	return nil
}
