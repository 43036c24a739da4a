// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

// listed are the properties of a client that ListClients tells.
var listed = func() (listed []property) {
	for _, face := range []*iface{clientInterface, clientInterface1} {
		for _, p := range face.properties {
			if p.read != nil {
				listed = append(listed, p)
			}
		}
	}
	return listed
}()

var listedNames = func() (names []string) {
	for _, p := range listed {
		names = append(names, p.name)
	}
	return names
}()

// valuesAsText are the values of the listed properties. Text, unlike variants,
// costs the bus next to nothing.
func valuesAsText(of *subject) []string {
	values := make([]string, len(listed))
	for i, p := range listed {
		values[i] = asText(p.read(of))
	}
	return values
}

// asText writes a property's value as text.
func asText(value any) string {
	switch v := value.(type) {
	case string:
		return validText(v)
	case bool:
		return strconv.FormatBool(v)
	case int16:
		return strconv.Itoa(int(v))
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case time.Duration:
		return strconv.FormatInt(int64(v/time.Millisecond), 10)
	case time.Time:
		return dbusapi.FormatTime(v)
	case dbus.ObjectPath:
		return string(v)
	}
	panic("bus: a property of a client has a value that cannot be written as text")
}

// goneColumn is one of the values that ListGone tells of a client.
type goneColumn struct {
	name string
	get  func(*client.Absentee) any
}

var goneColumns = []goneColumn{
	{"Name", func(a *client.Absentee) any { return a.Name }},
	{"KeyID", func(a *client.Absentee) any { return a.Key.KeyID }},
	{"Fingerprint", func(a *client.Absentee) any { return a.Key.Fingerprint }},
	{"GoneSince", func(a *client.Absentee) any { return a.GoneSince }},
	{"Because", func(a *client.Absentee) any { return string(a.Because) }},
	{"By", func(a *client.Absentee) any { return a.By }},
	{"Since", func(a *client.Absentee) any { return a.Since }},
	{"DeniedUntil", func(a *client.Absentee) any { return a.DeniedUntil }},
}

var goneNames = func() (names []string) {
	for _, column := range goneColumns {
		names = append(names, column.name)
	}
	return names
}()

func goneAsText(a *client.Absentee) []string {
	values := make([]string, len(goneColumns))
	for i, column := range goneColumns {
		values[i] = asText(column.get(a))
	}
	return values
}
