// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

// listed are the properties of a client that GetClients tells.
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

// page is how many clients are told of at once. More are asked for in pages, which the
// bus takes whatever the number of clients.
const page = 1000

// getClients tells of the clients of some names, without those that there are not.
func getClients(c *call) ([]any, error) {
	names := c.args[0].([]string)
	if len(names) > page {
		return nil, errorf(dbusapi.ErrorLimitsExceeded, "these are %d names; ask for at most %d at a time", len(names), page)
	}
	var views []client.View
	for _, name := range names {
		if view, ok := c.service.registry.Client(name); ok {
			views = append(views, view)
		}
	}
	views, err := listedClients(views, 800)
	if err != nil {
		return nil, err
	}
	all := make([][]string, len(views))
	for i := range views {
		all[i] = valuesAsText(&subject{client: &views[i]})
	}
	return []any{listedNames, all}, nil
}

// listGone tells of the clients that are gone whose names come after one.
func listGone(c *call) ([]any, error) {
	after := c.args[0].(string)
	all := [][]string{}
	for _, gone := range c.service.registry.Absent() {
		if gone.Name > after && len(all) < page {
			all = append(all, goneAsText(&gone))
		}
	}
	return []any{goneNames, all}, nil
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
	{"By", func(a *client.Absentee) any { return string(a.By.Kind) }},
	{"ByUID", func(a *client.Absentee) any { return a.By.UID }},
	{"ByPID", func(a *client.Absentee) any { return a.By.PID }},
	{"ByBusName", func(a *client.Absentee) any { return a.By.BusName }},
	{"ByFor", func(a *client.Absentee) any { return a.By.For }},
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
