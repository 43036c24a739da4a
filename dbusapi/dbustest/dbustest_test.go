// SPDX-License-Identifier: Apache-2.0

package dbustest

import (
	"testing"

	"github.com/godbus/dbus/v5"
)

func TestTheRealBusesAreOutOfReach(t *testing.T) {
	if conn, err := dbus.ConnectSystemBus(); err == nil {
		conn.Close()
		t.Error("the system bus can be reached")
	}
	if conn, err := dbus.SessionBusPrivateNoAutoStartup(); err == nil {
		conn.Close()
		t.Error("the session bus can be reached")
	}
}

func TestABusEndsAndStartsAgainAtItsAddress(t *testing.T) {
	b := Start(t)
	for range 2 {
		conn, err := dbus.Connect(b.Address)
		if err != nil {
			t.Fatal(err)
		}
		b.Stop()
		<-conn.Context().Done()
		if _, err := dbus.Connect(b.Address); err == nil {
			t.Error("a bus that was stopped can be reached")
		}
		b.Restart()
	}
}
