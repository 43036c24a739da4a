// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"slices"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

// signal is one signal, its name with the interface in front.
type signal struct {
	path dbus.ObjectPath
	name string
	body []any
}

const propertiesChanged = dbusapi.PropertiesInterface + ".PropertiesChanged"

// signals are what an event looks like on the bus: first the properties that it
// changed, each on its own, then the event itself, and last all of it in one.
func (l *link) signals(e client.Event) []signal {
	all := append(clientProperties(e), clientEvent(e)...)
	all = append(all, l.serverProperties(serverInterface1.toldAt(e.Kind))...)
	return append(all, happened(e))
}

// serverProperties tells which of the server's properties are others than were
// told last. An event does not always change what it may change.
func (l *link) serverProperties(may []property) (all []signal) {
	if len(may) == 0 {
		return nil
	}
	of := l.service.subject()
	for _, p := range may {
		now := p.read(&of)
		if l.told[p.name] == now {
			continue
		}
		l.told[p.name] = now
		all = append(all, changed(dbusapi.ServerPath, serverInterface1, p, &of)...)
	}
	return all
}

// clientProperties tells which of the client's properties an event changed.
func clientProperties(e client.Event) (all []signal) {
	path, of := objectPath(&e.Client), &subject{client: &e.Client}
	for _, name := range e.Properties {
		if p, face, err := clientObject.property("", string(name)); err == nil {
			all = append(all, changed(path, face, p, of)...)
		}
		for _, p := range clientInterface1.properties {
			if p.from == name {
				all = append(all, changed(path, clientInterface1, p, of)...)
			}
		}
	}
	if together := clientInterface1.toldAt(e.Kind); len(together) > 0 {
		now := values{}
		for _, p := range together {
			now = append(now, value{p.name, variant(p.read(of))})
		}
		all = append(all, signal{path, propertiesChanged, []any{clientInterface1.name, now, []string{}}})
	}
	return all
}

// toldAt are the interface's properties that events of that kind change.
func (i *iface) toldAt(kind client.EventKind) (told []property) {
	for _, p := range i.properties {
		if slices.Contains(p.told, kind) {
			told = append(told, p)
		}
	}
	return told
}

// changed tells of one changed property. On the interface that had it before
// there was PropertiesChanged, its own signal comes first.
func changed(path dbus.ObjectPath, face *iface, p property, of *subject) (all []signal) {
	if p.read == nil {
		return []signal{{path, propertiesChanged, []any{face.name, values{}, []string{p.name}}}}
	}
	now := variant(p.read(of))
	if face == clientInterface {
		all = append(all, signal{path, dbusapi.ClientInterface + ".PropertyChanged", []any{p.name, now}})
	}
	return append(all, signal{path, propertiesChanged, []any{face.name, values{{p.name, now}}, []string{}}})
}

// clientEvent is the signal for the event itself, if it has one.
func clientEvent(e client.Event) []signal {
	path := objectPath(&e.Client)
	one := func(name string, body ...any) []signal {
		return []signal{{path, dbusapi.ClientInterface + "." + name, body}}
	}
	switch e.Kind {
	case client.Added:
		return added(e.Client)
	case client.Removed:
		return removed(e.Client)
	case client.CheckerStarted:
		return one("CheckerStarted", validText(e.Command))
	case client.CheckerCompleted:
		return one("CheckerCompleted", int16(e.Check.Status), waitStatus(e.Check), validText(e.Command))
	case client.SecretSent:
		return one("GotSecret")
	case client.Rejected:
		return one("Rejected", dbusapi.RejectedTexts[dbusapi.Refusal(e.Refusal)])
	case client.ApprovalNeeded:
		return one("NeedApproval", uint64(e.Client.ApprovalDelay/time.Millisecond), e.Client.ApprovedByDefault)
	case client.NotFound:
		return []signal{{dbusapi.ServerPath, dbusapi.ServerInterface + ".ClientNotFound", []any{e.Identity.Hex, e.Address.Addr().String()}}}
	}
	return nil
}

func added(v client.View) []signal {
	return []signal{
		{dbusapi.ServerPath, dbusapi.ObjectManagerInterface + ".InterfacesAdded", []any{objectPath(&v), interfacesOf(&v)}},
		{dbusapi.ServerPath, dbusapi.ServerInterface + ".ClientAdded", []any{objectPath(&v)}},
	}
}

func removed(v client.View) []signal {
	names := (&object{interfaces: managed}).names()
	return []signal{
		{dbusapi.ServerPath, dbusapi.ObjectManagerInterface + ".InterfacesRemoved", []any{objectPath(&v), names}},
		{dbusapi.ServerPath, dbusapi.ServerInterface + ".ClientRemoved", []any{objectPath(&v), validText(v.Name)}},
	}
}

// waitStatus writes how a checker ended as the interface describes it.
func waitStatus(c client.CheckResult) int64 {
	if c.Signal != 0 {
		return int64(-256 | c.Signal)
	}
	return int64(c.Status) << 8
}
