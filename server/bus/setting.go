// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"strconv"
	"time"

	"mandos/dbusapi"
	"mandos/server/client"
)

// interfaceOf is the interface that has a setting.
func interfaceOf(s *client.Setting) string {
	if s.Ours {
		return dbusapi.ClientInterface1
	}
	return dbusapi.ClientInterface
}

// settings are the properties of an interface that are settings of a client.
func settings(face string) (all []property) {
	for i := range client.AllSettings {
		if s := &client.AllSettings[i]; interfaceOf(s) == face {
			all = append(all, setting(s))
		}
	}
	return all
}

// setting makes the row of a property that is one of a client's settings. A secret can
// only be written.
func setting(s *client.Setting) property {
	name := string(s.Property)
	p := of(name, func(v *client.View) any { return onBus(s.Value(&v.Settings)) })
	if typeOf(s) == "ay" {
		p.read = nil
	}
	if s.Fixed {
		return p
	}
	return p.writtenBy(func(c *call, by client.Actor, value any) error {
		decoded, err := decode(s, name, value)
		if err != nil {
			return err
		}
		return c.service.registry.Update(c.ctx, by, c.client.Name, client.Update{s.Property: decoded})
	})
}

// onBus is the value of a setting as the bus has it. A number that is not set is 1.
func onBus(value any) any {
	if n, is := value.(int); is {
		return uint32(max(n, 1))
	}
	return value
}

// typeOf is the D-Bus type of a setting's property.
func typeOf(s *client.Setting) string {
	switch s.Field(new(client.Settings)).(type) {
	case *time.Duration:
		return "t"
	case *bool:
		return "b"
	case *int:
		return "u"
	case *client.Secret:
		return "ay"
	}
	return "s"
}

// decode makes a value of a setting of what a caller writes to its property.
func decode(s *client.Setting, name string, value any) (any, error) {
	switch typeOf(s) {
	case "t":
		return duration(name, value)
	case "b":
		return truth(name, value)
	case "u":
		return count(name, value)
	case "ay":
		return secret(name, value)
	}
	return text(name, value)
}

// ownSettings describes the settings that the contract does not: those of this
// server's own interface.
func ownSettings() (described []dbusapi.Property) {
	for i := range client.AllSettings {
		s := &client.AllSettings[i]
		if interfaceOf(s) == dbusapi.ClientInterface {
			continue
		}
		access := "readwrite"
		switch {
		case s.Fixed:
			access = "read"
		case typeOf(s) == "ay":
			access = "write"
		}
		described = append(described, dbusapi.Property{Name: string(s.Property), Type: typeOf(s), Access: access})
	}
	return described
}

// listSettings tells of the settings of clients that there are.
func listSettings(*call) ([]any, error) {
	columns := []string{"Key", "Property", "Interface", "Type", "Writable", "Default"}
	rows := make([][]string, len(client.AllSettings))
	for i := range client.AllSettings {
		s := &client.AllSettings[i]
		rows[i] = []string{
			s.Key, string(s.Property), interfaceOf(s), typeOf(s), strconv.FormatBool(!s.Fixed),
			s.Default,
		}
	}
	return []any{columns, rows}, nil
}
