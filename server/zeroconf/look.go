// SPDX-License-Identifier: Apache-2.0

package zeroconf

import (
	"context"
	"fmt"
	"slices"

	"github.com/godbus/dbus/v5"
)

// Presence is how Avahi is to be had on the bus.
type Presence int

// Ways in which Avahi is there.
const (
	Absent      Presence = iota
	Activatable          // the bus starts it for whoever calls it
	Present
)

// Look finds out whether Avahi is on the system bus, without having the bus start
// it.
func Look(ctx context.Context) (Presence, error) {
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return Absent, err
	}
	defer conn.Close()
	for _, list := range []struct {
		method string
		means  Presence
	}{{"ListNames", Present}, {"ListActivatableNames", Activatable}} {
		var names []string
		if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus."+list.method, 0).Store(&names); err != nil {
			return Absent, fmt.Errorf("the bus does not say who is there: %w", err)
		}
		if slices.Contains(names, avahiName) {
			return list.means, nil
		}
	}
	return Absent, nil
}
