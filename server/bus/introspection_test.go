// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"

	"mandos/dbusapi"
	"mandos/server/client"
)

// described reads what an object's introspection data says of its interfaces.
func described(t *testing.T, o *object) map[string]introspect.Interface {
	t.Helper()
	var node introspect.Node
	if err := xml.Unmarshal([]byte(dbusapi.Introspection(o.names(), nil, ownSettings())), &node); err != nil {
		t.Fatal(err)
	}
	interfaces := make(map[string]introspect.Interface)
	for _, face := range node.Interfaces {
		interfaces[face.Name] = face
	}
	return interfaces
}

func TestObjectsAreAsTheyAreDescribed(t *testing.T) {
	for name, o := range map[string]*object{"server": serverObject, "client": clientObject, "plain node": plainNode} {
		t.Run(name, func(t *testing.T) {
			interfaces := described(t, o)
			for _, face := range o.interfaces {
				compareMethods(t, face, interfaces[face.name])
				compareProperties(t, face, interfaces[face.name])
			}
			if len(interfaces) != len(o.interfaces) {
				t.Errorf("there are %d interfaces and %d are described", len(o.interfaces), len(interfaces))
			}
		})
	}
}

func compareMethods(t *testing.T, face *iface, described introspect.Interface) {
	if face == peer {
		return // the D-Bus library's
	}
	want := make(map[string]string)
	for _, m := range described.Methods {
		var in, out strings.Builder
		for _, arg := range m.Args {
			if arg.Direction == "out" {
				out.WriteString(arg.Type)
			} else {
				in.WriteString(arg.Type)
			}
		}
		want[m.Name] = fmt.Sprintf("(%s) -> (%s)", in.String(), out.String())
	}
	for name, m := range face.methods {
		if got := fmt.Sprintf("(%s) -> (%s)", m.in, m.out); got != want[name] {
			t.Errorf("%s.%s is %s, described as %s", face.name, name, got, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s.%s is described and does not exist", face.name, name)
	}
}

func compareProperties(t *testing.T, face *iface, described introspect.Interface) {
	var names []string
	for _, p := range described.Properties {
		names = append(names, p.Name)
		i := slices.IndexFunc(face.properties, func(q property) bool { return q.name == p.Name })
		if i < 0 {
			t.Errorf("%s.%s is described and does not exist", face.name, p.Name)
			continue
		}
		q := face.properties[i]
		if access := accessOf(q); access != p.Access {
			t.Errorf("%s.%s has access %s, described as %s", face.name, p.Name, access, p.Access)
		}
		if signature := signatureOf(q); signature != p.Type {
			t.Errorf("%s.%s is of type %s, described as %s", face.name, p.Name, signature, p.Type)
		}
		compareTelling(t, face, q, p)
	}
	if len(names) != len(face.properties) {
		t.Errorf("%s has %d properties, described are %v", face.name, len(face.properties), names)
	}
}

func accessOf(p property) string {
	switch {
	case p.read == nil:
		return "write"
	case p.write == nil:
		return "read"
	}
	return "readwrite"
}

func signatureOf(p property) string {
	if p.read == nil {
		return "ay"
	}
	of := subject{
		client:     &client.View{ObjectPath: "/x"},
		server:     &dbusapi.Status{},
		statistics: func() dbusapi.Statistics { return nil },
	}
	return variant(p.read(&of)).Signature().String()
}

// told are the properties that the registry names in its events. Those of fixed settings
// only a new configuration changes: the interface has always called them constant, and
// when they do change it is told all the same.
func told(fixed bool) []client.Property {
	all := []client.Property{
		client.PropApprovalPending, client.PropCheckerRunning, client.PropEnabled, client.PropExpires,
		client.PropLastApprovalRequest, client.PropLastCheckedOK, client.PropLastCheckerOutput, client.PropLastCheckerStatus,
		client.PropLastEnabled, client.PropLastHandout, client.PropLastHandoutKey, client.PropDeniedUntil, client.PropApprovedUntil,
		client.PropAbsenceUntil, client.PropOnBorrowedTime, client.PropHandoutsAllowed, client.PropAllowedUntil, client.PropApprovalsAhead, client.PropApprovedAheadUntil,
	}
	for _, setting := range client.AllSettings {
		if fixed || !setting.Fixed {
			all = append(all, setting.Property)
		}
	}
	return all
}

// compareTelling checks that EmitsChangedSignal is what happens.
func compareTelling(t *testing.T, face *iface, p property, described introspect.Property) {
	emits := "true"
	for _, a := range described.Annotations {
		if a.Name == "org.freedesktop.DBus.Property.EmitsChangedSignal" {
			emits = a.Value
		}
	}
	changes := slices.Contains(told(false), client.Property(p.name)) || len(p.told) > 0 || p.from != "" || p.byItself || p.name == "LogLevel"
	switch {
	case p.read == nil && emits == "invalidates":
	case changes != (emits == "true"):
		t.Errorf("%s.%s is described with EmitsChangedSignal=%s; that it is told is %v", face.name, p.name, emits, changes)
	}
}

func TestEveryPropertyThatTheRegistryTellsOfExists(t *testing.T) {
	for _, name := range told(true) {
		if _, _, err := clientObject.property("", string(name)); err != nil {
			t.Error(err)
		}
	}
}

func TestSignalsAreAsTheyAreDescribed(t *testing.T) {
	want := make(map[string]string)
	for _, o := range []*object{serverObject, clientObject} {
		for face, written := range described(t, o) {
			for _, s := range written.Signals {
				var signature strings.Builder
				for _, arg := range s.Args {
					signature.WriteString(arg.Type)
				}
				want[face+"."+s.Name] = signature.String()
			}
		}
	}
	sent := make(map[string]bool)
	for _, kind := range []client.EventKind{
		client.Added, client.Removed, client.CheckerStarted, client.CheckerCompleted,
		client.SecretSent, client.Rejected, client.ApprovalNeeded, client.NotFound,
	} {
		for _, s := range clientEvent(client.Event{Kind: kind, Client: client.View{ObjectPath: "/x"}}) {
			sent[s.name] = true
			if got := dictSignature(s.body); got != want[s.name] {
				t.Errorf("%s has the signature %s, described as %s", s.name, got, want[s.name])
			}
		}
	}
	for _, s := range append(clientProperties(client.Event{Properties: told(true), Client: client.View{ObjectPath: "/x"}}), happened(client.Event{})) {
		sent[s.name] = true
		if got := dictSignature(s.body); got != want[s.name] {
			t.Errorf("%s has the signature %s, described as %s", s.name, got, want[s.name])
		}
	}
	for name := range want {
		if !sent[name] {
			t.Errorf("%s is described and never sent", name)
		}
	}
}

// dictSignature is the signature that a message with that body goes out with.
func dictSignature(body []any) string {
	msg := &dbus.Message{Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(body...)),
	}}
	markDicts(msg)
	return msg.Headers[dbus.FieldSignature].Value().(dbus.Signature).String()
}

func TestListingDecryptsNoSecret(t *testing.T) {
	late := client.LateSecret(func() client.Secret {
		t.Error("it was decrypted")
		return client.Secret{}
	})
	valuesAsText(&subject{client: &client.View{Settings: client.Settings{Secret: late}}})
}
