// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"testing"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi/dbustest"
)

// earlier is a server of an earlier version, and one that nobody knows.
type earlier struct{}

func (earlier) Reload() *dbus.Error                         { return nil }
func (earlier) ListGone(string) (bool, string, *dbus.Error) { return true, "", nil }

func TestAnswersOfOtherVersions(t *testing.T) {
	bus := dbustest.Start(t)
	conn, err := dbus.Connect(bus.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Export(earlier{}, ServerPath, ServerInterface1); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(BusName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	server, err := Connect(t.Context(), bus.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if reloaded, err := server.Reload(t.Context()); err != nil || reloaded.Added != nil {
		t.Errorf("a reload that does not say what it did: %+v, %v", reloaded, err)
	}
	if _, err := server.Gone(t.Context()); err == nil || err.Error() != "the Mandos server could not do it: its answer cannot be understood; is it of another version?" {
		t.Errorf("an answer that makes no sense: %v", err)
	}
}
