// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"encoding/json"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

// serverObject is what is found at "/".
var serverObject = &object{interfaces: []*iface{introspectable, properties, peer, objectManager, serverInterface, serverInterface1}}

// plainNode is what is found at a path that only has others below it.
var plainNode = &object{interfaces: []*iface{introspectable, peer}}

var objectManager = &iface{
	name: dbusapi.ObjectManagerInterface,
	methods: map[string]method{
		"GetManagedObjects": {out: "a{oa{sa{sv}}}", long: true, do: func(c *call) ([]any, error) {
			views, err := listedClients(c.service.registry.Clients(), 1800)
			if err != nil {
				return nil, err
			}
			all := make([]managedObject, len(views))
			for i := range views {
				all[i] = managedObject{objectPath(&views[i]), interfacesOf(&views[i])}
			}
			return []any{all}, nil
		}},
	},
}

var serverInterface = &iface{
	name: dbusapi.ServerInterface,
	methods: map[string]method{
		"RemoveClient": {in: "o", do: changing(func(c *call, by client.Actor) error {
			path := c.args[0].(dbus.ObjectPath)
			view, ok := c.service.registry.ClientAt(string(path))
			if !ok {
				return errorf(dbusapi.ErrorUnknownObject, "no client has the object path %s", path)
			}
			return c.service.registry.Remove(c.ctx, by, view.Name)
		})},
		"GetAllClients": {out: "ao", do: func(c *call) ([]any, error) {
			paths := []dbus.ObjectPath{}
			for _, view := range c.service.registry.Clients() {
				paths = append(paths, objectPath(&view))
			}
			return []any{paths}, nil
		}},
		"GetAllClientsWithProperties": {out: "a{oa{sv}}", long: true, do: func(c *call) ([]any, error) {
			all := []clientValues{}
			views, err := listedClients(c.service.registry.Clients(), 1100)
			if err != nil {
				return nil, err
			}
			for _, view := range views {
				all = append(all, clientValues{objectPath(&view), clientInterface.values(&subject{client: &view})})
			}
			return []any{all}, nil
		}},
	},
}

var serverInterface1 = &iface{
	name: dbusapi.ServerInterface1,
	methods: map[string]method{
		"Reload": {out: "asasasas", do: answering(func(c *call, by client.Actor) ([]any, error) {
			var reloaded client.Reloaded
			err := c.tellingLogLevel(func() (err error) {
				reloaded, err = c.service.daemon.Reload(c.ctx, by)
				return err
			})
			return []any{validTexts(reloaded.Added), validTexts(reloaded.Removed), validTexts(reloaded.Changed), validTexts(reloaded.Away)}, err
		})},
		"EnableClient": {in: "s", do: changing(func(c *call, by client.Actor) error {
			return c.service.registry.Enable(c.ctx, by, c.args[0].(string))
		})},
		"Forget": {in: "s", do: changing(func(c *call, by client.Actor) error {
			return c.service.registry.Forget(c.ctx, by, c.args[0].(string))
		})},
		"Place": {in: "s", out: "s", do: func(c *call) ([]any, error) {
			return []any{validText(c.service.daemon.Place(c.args[0].(string)))}, nil
		}},
		"ReadSection": {in: "s", out: "s", do: func(c *call) ([]any, error) {
			return asJSON(c.service.daemon.ReadSection(c.args[0].(string)))
		}},
		"JudgeSecret": {in: "ay", out: "s", do: func(c *call) ([]any, error) {
			return asJSON(c.service.daemon.JudgeSecret(c.args[0].([]byte)))
		}},
		"ListNames": {out: "as", do: func(c *call) ([]any, error) {
			return []any{validTexts(c.service.registry.Names())}, nil
		}},
		"ListNamesWithKey": {in: "ss", out: "as", do: func(c *call) ([]any, error) {
			key := client.Key{KeyID: c.args[0].(string), Fingerprint: c.args[1].(string)}
			return []any{validTexts(c.service.registry.NamesWith(key))}, nil
		}},
		"LockDown": {in: "ts", do: changing(func(c *call, by client.Actor) error {
			d, err := duration("the time", c.args[0])
			if err != nil {
				return err
			}
			return c.service.registry.LockDown(c.ctx, by, c.args[1].(string), d)
		})},
		"EndLockdown": {do: changing(func(c *call, by client.Actor) error {
			return c.service.registry.EndLockdown(c.ctx, by)
		})},
		"ListStatistics": {out: "asaas", do: func(c *call) ([]any, error) {
			return listStatistics(c.service.daemon.ListStatistics()), nil
		}},
		"ListSettings": {out: "asaas", do: listSettings},
		"GetClients":   {in: "as", out: "asaas", long: true, do: getClients},
		"ListGone":     {in: "s", out: "asaas", long: true, do: listGone},
	},
	properties: []property{
		ofServer("Version", func(s *dbusapi.Status) any { return s.Version }),
		ofServer("Address", func(s *dbusapi.Status) any { return s.Address }).changingByItself(),
		ofServer("Port", func(s *dbusapi.Status) any { return s.Port }),
		ofServer("Interface", func(s *dbusapi.Status) any { return s.Interface }).changingByItself(),
		ofServer("ListenProblem", func(s *dbusapi.Status) any { return s.ListenProblem }).changingByItself(),
		ofServer("ServiceName", func(s *dbusapi.Status) any { return s.ServiceName }).changingByItself(),
		ofServer("ZeroconfState", func(s *dbusapi.Status) any { return s.ZeroconfState }).changingByItself(),
		ofServer("ClientCount", func(s *dbusapi.Status) any { return uint32(s.ClientCount) }).toldAt(client.Added, client.Removed),
		ofServer("PendingApprovals", func(s *dbusapi.Status) any { return uint32(s.PendingApprovals) }).toldAt(client.ApprovalNeeded, client.ApprovalOver, client.Removed),
		ofServer("StartedAt", func(s *dbusapi.Status) any { return s.StartedAt }),
		{name: "Statistics", read: func(s *subject) any { return s.statistics() }},
		ofServer("LogLevel", func(s *dbusapi.Status) any { return s.LogLevel }).writtenBy(setLogLevel),
		ofServer("ConfigDir", func(s *dbusapi.Status) any { return s.ConfigDir }),
		ofServer("StateDir", func(s *dbusapi.Status) any { return s.StateDir }),
		ofServer("StateProblem", func(s *dbusapi.Status) any { return s.StateProblem }).toldAt(client.StateNotSaved, client.StateSavedAgain),
		ofServer("ReloadProblem", func(s *dbusapi.Status) any { return s.ReloadProblem }),
		ofServer("MassFailureSince", func(s *dbusapi.Status) any { return s.MassFailureSince }).toldAt(client.MassFailure, client.MassFailureOver),
		ofServer("UplinkFailsSince", func(s *dbusapi.Status) any { return s.UplinkFailsSince }).toldAt(client.UplinkFails, client.UplinkWorks),
		ofLockdown("Lockdown", func(l *dbusapi.Lockdown) any { return l.On }),
		ofLockdown("LockdownID", func(l *dbusapi.Lockdown) any { return l.ID }),
		ofLockdown("LockdownSince", func(l *dbusapi.Lockdown) any { return l.Since }),
		ofLockdown("LockdownUntil", func(l *dbusapi.Lockdown) any { return l.Until }),
		ofLockdown("LockdownReason", func(l *dbusapi.Lockdown) any { return l.Why }),
		ofLockdown("LockdownBy", func(l *dbusapi.Lockdown) any { return string(l.By.Kind) }),
		ofLockdown("LockdownByUID", func(l *dbusapi.Lockdown) any { return l.By.UID }),
		ofLockdown("LockdownByPID", func(l *dbusapi.Lockdown) any { return l.By.PID }),
		ofLockdown("LockdownByBusName", func(l *dbusapi.Lockdown) any { return l.By.BusName }),
		ofLockdown("LockdownByFor", func(l *dbusapi.Lockdown) any { return l.By.For }),
	},
}

// asJSON is the answer of a method that has a document to tell.
func asJSON(document any) ([]any, error) {
	text, err := json.Marshal(document)
	return []any{string(text)}, err
}

func listStatistics(all []dbusapi.Statistic) []any {
	rows := make([][]string, len(all))
	for i, s := range all {
		rows[i] = []string{s.Name, string(s.Type), s.Unit, s.Label, s.Help}
	}
	return []any{[]string{"Name", "Type", "Unit", "Label", "Help"}, rows}
}

// ofServer makes the row of one of the server's properties.
func ofServer(name string, get func(*dbusapi.Status) any) property {
	return property{name: name, read: func(s *subject) any { return get(s.server) }}
}

// ofLockdown makes the row of what is told of the lockdown.
func ofLockdown(name string, get func(*dbusapi.Lockdown) any) property {
	return ofServer(name, func(s *dbusapi.Status) any { return get(&s.Lockdown) }).toldAt(client.LockdownOn, client.LockdownOff)
}

func setLogLevel(c *call, by client.Actor, value any) error {
	level, err := text("LogLevel", value)
	if err != nil {
		return err
	}
	return c.tellingLogLevel(func() error {
		if err := c.service.daemon.SetLogLevel(by, level); err != nil {
			return errorf(dbusapi.ErrorInvalidArgs, "%v", err)
		}
		return nil
	})
}

// tellingLogLevel does something and tells the log level if that changed it.
func (c *call) tellingLogLevel(do func() error) error {
	before := c.service.daemon.Status().LogLevel
	err := do()
	if now := c.service.daemon.Status().LogLevel; now != before {
		changed := values{{"LogLevel", variant(now)}}
		c.link.enqueue(item{signals: []signal{{dbusapi.ServerPath, propertiesChanged, []any{dbusapi.ServerInterface1, changed, []string{}}}}})
	}
	return err
}

func objectPath(v *client.View) dbus.ObjectPath { return dbus.ObjectPath(v.ObjectPath) }

// interfacesOf is what the ObjectManager shows of a client.
func interfacesOf(v *client.View) []interfaceValues {
	all := make([]interfaceValues, len(managed))
	for i, face := range managed {
		all[i] = interfaceValues{face.name, face.values(&subject{client: v})}
	}
	return all
}
