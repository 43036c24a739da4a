// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"fmt"
	"testing"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
)

func TestListTellsWhatTheObjectManagerTells(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"), settings("bar\xff"))
	<-s.askForSecret(t, settings("foo"))
	root := dial(t, b.Address).Object(dbusapi.BusName, dbusapi.ServerPath)
	var objects map[dbus.ObjectPath]map[string]map[string]dbus.Variant
	if err := root.Call(dbusapi.ObjectManagerInterface+".GetManagedObjects", 0).Store(&objects); err != nil {
		t.Fatal(err)
	}
	var names []string
	var rows [][]string
	if err := root.Call(dbusapi.ServerInterface1+".ListClients", 0).Store(&names, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(objects) || len(rows) != 2 {
		t.Fatalf("%d clients are listed, of %d", len(rows), len(objects))
	}
	for _, row := range rows {
		listed := make(map[string]string)
		for i, name := range names {
			listed[name] = row[i]
		}
		told := 0
		for face, values := range objects[dbus.ObjectPath(listed["ObjectPath"])] {
			for name, value := range values {
				told++
				if want := fmt.Sprint(value.Value()); listed[name] != want {
					t.Errorf("%s.%s is %q, want %q", face, name, listed[name], want)
				}
			}
		}
		if told != len(names) {
			t.Errorf("%d properties are listed, of %d", len(names), told)
		}
	}
}
