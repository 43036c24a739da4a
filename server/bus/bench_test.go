// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"fmt"
	"testing"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/client"
)

// serveMany serves n clients and waits until all are announced.
func serveMany(b *testing.B, address string, n int) *dbusapi.Connection {
	b.Helper()
	all := make([]client.Settings, n)
	for i := range all {
		all[i] = settings(fmt.Sprintf("client-%05d.example.org", i))
	}
	serve(b, address, all...)
	api := connect(b, address)
	if err := api.SetLogLevel(b.Context(), "info"); err != nil {
		b.Fatal(err)
	}
	return api
}

// BenchmarkAllClients is a round trip over a bus, with the answer read.
func BenchmarkAllClients(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			daemon := dbustest.Start(b)
			api := serveMany(b, daemon.Address, n)
			for b.Loop() {
				if clients, err := api.Clients(b.Context()); err != nil || len(clients) != n {
					b.Fatalf("%d clients, %v", len(clients), err)
				}
			}
		})
	}
}

// BenchmarkIntrospect is what mandos-ctl does for each client.
func BenchmarkIntrospect(b *testing.B) {
	daemon := dbustest.Start(b)
	serveMany(b, daemon.Address, 10_000)
	conn := dial(b, daemon.Address)
	for b.Loop() {
		if call := conn.Object(dbusapi.BusName, "/clients/client_00000_example_org").Call(dbusapi.IntrospectableInterface+".Introspect", 0); call.Err != nil {
			b.Fatal(call.Err)
		}
	}
}

// BenchmarkSet is a change with its signals, from call to answer.
func BenchmarkSet(b *testing.B) {
	daemon := dbustest.Start(b)
	serveMany(b, daemon.Address, 1_000)
	conn := dial(b, daemon.Address)
	for i := 0; b.Loop(); i++ {
		call := conn.Object(dbusapi.BusName, "/clients/client_00000_example_org").Call(setOf, 0, face, "Host", dbus.MakeVariant(fmt.Sprint(i)))
		if call.Err != nil {
			b.Fatal(call.Err)
		}
	}
}
