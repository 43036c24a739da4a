// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"net/netip"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

// happened is the signal that has all of an event.
func happened(e client.Event) signal {
	return signal{dbusapi.ServerPath, dbusapi.ServerInterface1 + ".Happened", []any{encoded(e)}}
}

// encoded is an event as the bus carries it.
func encoded(e client.Event) map[string]dbus.Variant {
	whole := eventOf(e)
	return whole.Encode()
}

// eventOf is what the bus tells of an event.
func eventOf(e client.Event) dbusapi.Event {
	whole := dbusapi.Event{
		Kind:    dbusapi.EventKind(e.Kind),
		Time:    e.Time,
		Client:  validText(e.Client.Name),
		By:      actor(e.By),
		Reason:  dbusapi.Reason(e.Reason),
		Refusal: dbusapi.Refusal(e.Refusal),
		Key:     e.Identity.Hex,
		KeyKind: dbusapi.KeyKind(e.Identity.Kind),
		Command: field(e.Command),
		Status:  e.Check.Status,
		Signal:  e.Check.Signal,
		Output:  field(e.Check.Output),
		Dropped: e.Dropped,
		Failing: e.Failing,
		Enabled: e.Enabled,
		Expired: e.Expired,
		Note:    field(e.Note),
		Times:   e.Times,
	}
	if e.Address != (netip.AddrPort{}) {
		whole.Address = e.Address.String()
	}
	if e.Err != nil {
		whole.Error = field(e.Err.Error())
	}
	for _, c := range e.Changes {
		if whole.Changes == nil {
			whole.Changes = make(map[string]string)
		}
		whole.Changes[c.Setting] = field(c.Value)
	}
	return whole
}

// field is a text of an event as the bus can carry it.
func field(text string) string { return shortened(validText(text), maxField) }

func actor(a client.Actor) dbusapi.Actor {
	return dbusapi.Actor{Kind: dbusapi.ActorKind(a.Kind), BusName: a.BusName, UID: a.UID, PID: a.PID, For: validText(a.For)}
}
