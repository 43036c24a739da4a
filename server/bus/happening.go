// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"fmt"
	"net/netip"

	"mandos/dbusapi"
	"mandos/server/client"
)

// happened is the signal that has all of an event.
func happened(e client.Event) signal {
	return signal{dbusapi.ServerPath, dbusapi.ServerInterface1 + ".Happened", []any{Encode(e)}}
}

// Encode writes an event as the bus tells it.
func Encode(e client.Event) map[string]string {
	h := happening(e)
	return shortenedFields(h.Encode())
}

// happening is what the bus tells of an event.
func happening(e client.Event) dbusapi.Happening {
	h := dbusapi.Happening{
		Kind:    dbusapi.HappeningKind(e.Kind),
		Time:    e.Time,
		Client:  validText(e.Client.Name),
		Reason:  string(e.Reason),
		Key:     e.Identity.Hex,
		KeyKind: string(e.Identity.Kind),
		Command: validText(e.Command),
		Status:  e.Check.Status,
		Signal:  e.Check.Signal,
		Dropped: e.Dropped,
		Note:    validText(e.Note),
	}
	if e.Address != (netip.AddrPort{}) {
		h.Address = e.Address.String()
	}
	if e.Err != nil {
		h.Error = validText(e.Err.Error())
	}
	switch e.Kind {
	case client.Added, client.Removed, client.Forgotten, client.Enabled, client.Disabled, client.Vouched, client.CheckerStopped, client.Approved, client.Denied:
		h.By = e.By.String()
	case client.Changed:
		h.By, h.Values = e.By.String(), changedSettings(e)
	}
	return h
}

// changedSettings are the new values of the settings that an event changed. What
// only follows from them is none, and a secret is not told.
func changedSettings(e client.Event) map[string]string {
	settings := make(map[string]string)
	for _, name := range e.Properties {
		p, _, err := clientObject.property(dbusapi.ClientInterface, string(name))
		switch {
		case err != nil, name == client.PropExpires:
		case p.read == nil:
			settings[p.name] = ""
		default:
			settings[p.name] = fmt.Sprint(variant(p.read(&subject{client: &e.Client})).Value())
		}
	}
	return settings
}
