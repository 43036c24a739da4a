// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

// property is one property of an interface. Everything about it follows from
// its row in the interface's table and its description in dbusapi.
type property struct {
	name  string
	read  func(*subject) any                   // nil if it can only be written
	write func(*call, client.Actor, any) error // nil if it can only be read
	told  []client.EventKind                   // events that change it without naming it
	from  client.Property                      // the one that it follows from and is told with, if any
	// byItself: it changes without an event, see StatusChanged.
	byItself bool
}

func (p property) changingByItself() property {
	p.byItself = true
	return p
}

func (p property) writtenBy(write func(*call, client.Actor, any) error) property {
	p.write = write
	return p
}

// toldAt names the events that change the property although the registry does
// not count it among those that it tells of.
func (p property) toldAt(kinds ...client.EventKind) property {
	p.told = kinds
	return p
}

// following names the property that this one follows from.
func (p property) following(other client.Property) property {
	p.from = other
	return p
}

// subject is what the properties of an object are read from: a client's, or
// the server's.
type subject struct {
	client     *client.View
	server     *dbusapi.Status
	statistics func() dbusapi.Statistics // of the server
}

func (s *Service) subject() subject {
	status := s.daemon.Status()
	status.ClientCount, status.PendingApprovals = s.registry.Pending()
	status.Lockdown = lockdown(s.registry)
	status.UplinkFailsSince = s.registry.UplinkFailsSince()
	status.MassFailureSince = s.registry.MassFailureSince()
	s.mu.Lock()
	defer s.mu.Unlock()
	status.StateProblem = s.stateProblem
	return subject{server: &status, statistics: s.daemon.Statistics}
}

// lockdown is what the bus tells of it.
func lockdown(registry *client.Registry) dbusapi.Lockdown {
	in, until, on := registry.LockedDown()
	return dbusapi.Lockdown{On: on, ID: in.ID, By: actor(in.By), Since: in.At, Until: until, Why: validText(in.Why)}
}

// Dictionaries as arrays of pairs; see markDicts.
type (
	values []value
	value  struct {
		Name  string
		Value dbus.Variant
	}
	interfaceValues struct {
		Name   string
		Values values
	}
	managedObject struct {
		Path       dbus.ObjectPath
		Interfaces []interfaceValues
	}
	clientValues struct {
		Path   dbus.ObjectPath
		Values values
	}
)

// variant makes what the bus carries of a property's value.
func variant(value any) dbus.Variant {
	switch v := value.(type) {
	case string:
		value = validText(v)
	case time.Duration:
		value = uint64(v / time.Millisecond)
	case time.Time:
		value = dbusapi.FormatTime(v)
	case dbusapi.Statistics:
		value = v.Encode()
	}
	return dbus.MakeVariant(value)
}

// validText makes a string one that the bus can carry: UTF-8 without NUL (D-Bus
// Specification, "Valid strings").
func validText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func validTexts(texts []string) []string {
	valid := make([]string, len(texts))
	for i, text := range texts {
		valid[i] = validText(text)
	}
	return valid
}

// values are all readable properties of an interface.
func (i *iface) values(of *subject) values {
	all := make(values, 0, len(i.properties))
	for _, p := range i.properties {
		if p.read != nil {
			all = append(all, value{p.name, variant(p.read(of))})
		}
	}
	return all
}

// property finds a property of an interface, or of any for an empty name.
func (o *object) property(face, name string) (property, *iface, error) {
	interfaces, err := o.named(face)
	if err != nil {
		return property{}, nil, err
	}
	for _, i := range interfaces {
		for _, p := range i.properties {
			if p.name == name {
				return p, i, nil
			}
		}
	}
	return property{}, nil, errorf(dbusapi.ErrorUnknownProperty, "there is no property %s", strings.TrimPrefix(face+"."+name, "."))
}

var introspectable = &iface{
	name: dbusapi.IntrospectableInterface,
	methods: map[string]method{
		"Introspect": {out: "s", do: func(c *call) ([]any, error) {
			return []any{dbusapi.Introspection(c.object.names(), c.service.children(c.path), ownSettings())}, nil
		}},
	},
}

// peer is answered by the D-Bus library for every object.
var peer = &iface{name: dbusapi.PeerInterface}

var properties = &iface{
	name: dbusapi.PropertiesInterface,
	methods: map[string]method{
		"Get":    {in: "ss", out: "v", do: getProperty},
		"GetAll": {in: "s", out: "a{sv}", do: getAllProperties},
		"Set":    {in: "ssv", do: changing(setProperty)},
	},
}

// names are the names of the object's interfaces.
func (o *object) names() (names []string) {
	for _, i := range o.interfaces {
		names = append(names, i.name)
	}
	return names
}

func getProperty(c *call) ([]any, error) {
	p, _, err := c.object.property(c.args[0].(string), c.args[1].(string))
	if err != nil {
		return nil, err
	}
	if p.read == nil {
		return nil, errorf(dbusapi.ErrorAccessDenied, "the property %s cannot be read", p.name)
	}
	return []any{variant(p.read(&c.subject))}, nil
}

func getAllProperties(c *call) ([]any, error) {
	interfaces, err := c.object.named(c.args[0].(string))
	if err != nil {
		return nil, err
	}
	all := values{}
	for _, i := range interfaces {
		all = append(all, i.values(&c.subject)...)
	}
	return []any{all}, nil
}

func setProperty(c *call, by client.Actor) error {
	p, _, err := c.object.property(c.args[0].(string), c.args[1].(string))
	if err != nil {
		return err
	}
	if p.write == nil {
		return errorf(dbusapi.ErrorPropertyReadOnly, "the property %s cannot be written", p.name)
	}
	return p.write(c, by, c.args[2].(dbus.Variant).Value())
}
