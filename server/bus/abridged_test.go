// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/bus"
	"mandos/server/client"
)

func TestValuesThatAreTooLongAreRefused(t *testing.T) {
	b := dbustest.Start(t)
	serve(t, b.Address, settings("foo"))
	conn, api := dial(t, b.Address), connect(t, b.Address)
	foo := conn.Object(dbusapi.BusName, "/clients/foo")
	const days = 24 * 60 * 60 * 1000 // milliseconds
	for _, set := range []struct {
		property string
		value    any
		want     string
	}{
		{"Checker", "true " + strings.Repeat("x", 17<<20), "the checker is longer than 131071 bytes; make it shorter"},
		{"Host", strings.Repeat("x", 17<<20), "the host is longer than 4096 bytes; make it shorter"},
		{"Secret", make([]byte, client.MaxSecret+1), "the secret is longer than 1048576 bytes; make it shorter"},
		{"Checker", strings.Repeat("%(host)s ", 10_000), "the checker, with its attributes expanded, is longer than 131071 bytes; make it shorter"},
		{"Interval", uint64(18_201 * days), "Interval must be a number of milliseconds from 0 to 1572480000000"},
		{"Timeout", uint64(1 << 63), "Timeout must be a number of milliseconds from 0 to 1572480000000"},
		{"Interval", uint64(0), "the interval is no time at all"},
	} {
		err := foo.Call(setOf, 0, face, set.property, dbus.MakeVariant(set.value)).Err
		answer, ok := err.(dbus.Error)
		if !ok || answer.Name != failed+"InvalidArgs" || !strings.Contains(answer.Error(), set.want) {
			t.Errorf("%s is answered %.300v, want %s", set.property, err, set.want)
		}
		if clients, err := api.Clients(t.Context()); err != nil || len(clients) != 1 {
			t.Fatalf("after %s there are %d clients, %v", set.property, len(clients), err)
		}
	}
	for property, value := range map[string]any{
		"Checker": strings.Repeat("x", client.MaxCommand), "Host": strings.Repeat("x", client.MaxHost), "Secret": make([]byte, client.MaxSecret),
		"Interval": uint64(18_200 * days),
	} {
		if err := foo.Call(setOf, 0, face, property, dbus.MakeVariant(value)).Err; err != nil {
			t.Errorf("the longest %s is answered %v", property, err)
		}
	}
}

func TestAllListsAreAnsweredHoweverLongTheTextsAre(t *testing.T) {
	const many = 400 // with the longest checkers these are 50 MB, and the bus takes 32
	all := make([]client.Settings, many)
	for i := range all {
		all[i] = settings(fmt.Sprint("foo", i))
		all[i].Checker = "true " + strings.Repeat("é", (client.MaxCommand-5)/2)
		all[i].Host = strings.Repeat("h", client.MaxHost)
	}
	b := dbustest.Start(t)
	serve(t, b.Address, all...)
	root := dial(t, b.Address).Object(dbusapi.BusName, dbusapi.ServerPath)
	for _, method := range []string{
		dbusapi.ServerInterface1 + ".ListNames", dbusapi.ObjectManagerInterface + ".GetManagedObjects",
		dbusapi.ServerInterface + ".GetAllClients", dbusapi.ServerInterface + ".GetAllClientsWithProperties",
	} {
		if call := root.Call(method, 0); call.Err != nil {
			t.Fatalf("%s is answered %v", method, call.Err)
		}
	}
	clients, err := connect(t, b.Address).Clients(t.Context())
	if err != nil || len(clients) != many {
		t.Fatalf("%d clients, %v", len(clients), err)
	}
	const shown = client.MaxCommand / 8 // which for all of them is less than 8 MiB
	want := fmt.Sprintf("true %s... (the first %d of %d bytes)", strings.Repeat("é", (shown-5)/2), shown, len(all[7].Checker))
	for _, c := range clients {
		if c.Checker != want || c.Host != all[0].Host {
			t.Fatalf("listed are the checker %.10s...%s and the host %.10s of %d bytes", c.Checker, c.Checker[len(c.Checker)-50:], c.Host, len(c.Host))
		}
	}
	var whole dbus.Variant
	if err := dial(t, b.Address).Object(dbusapi.BusName, clients[7].Path).Call(getOf, 0, face, "Checker").Store(&whole); err != nil || whole.Value() != all[7].Checker {
		t.Errorf("alone, a client's checker is not told whole: %v", err)
	}
}

func TestAListThatTheBusWouldNotTakeIsAnErrorAndDoesNotCostTheBus(t *testing.T) {
	const many = 800
	bus.LimitMessages(t, 31<<15)
	all := make([]client.Settings, many)
	for i := range all {
		all[i] = settings(fmt.Sprint("foo", i))
	}
	b := dbustest.StartNarrow(t, 32<<15)
	s := serve(t, b.Address, all...)
	root := dial(t, b.Address).Object(dbusapi.BusName, dbusapi.ServerPath)
	err := root.Call(dbusapi.ObjectManagerInterface+".GetManagedObjects", 0).Err
	if answer, ok := err.(dbus.Error); !ok || answer.Name != failed+"LimitsExceeded" {
		t.Errorf("the answer is %v", err)
	}
	if clients, err := connect(t, b.Address).Clients(t.Context()); err != nil || len(clients) != many {
		t.Errorf("the short list has %d clients, %v", len(clients), err)
	}
	if n := s.log.count("not on the bus"); n > 0 {
		t.Errorf("the bus was lost %d times", n)
	}
}

func TestAHistoryOfLongTextsIsAnswered(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	s.daemon.mu.Lock()
	s.daemon.past = []client.Event{
		{Kind: client.CheckerCompleted, Command: strings.Repeat("x", 20<<20)},
		{Kind: client.Changed, Changes: []client.Change{{Setting: "host", Value: strings.Repeat("x", 20<<20)}}},
	}
	s.daemon.mu.Unlock()
	history, err := connect(t, b.Address).History(t.Context(), dbusapi.Client{Path: "/clients/foo"})
	if err != nil || len(history) != 2 {
		t.Fatalf("%d events, %v", len(history), err)
	}
	const cut = "... (the first 8192 of 20971520 bytes)"
	if !strings.HasSuffix(history[0].Command, cut) || !strings.HasSuffix(history[1].Changes["host"], cut) {
		t.Errorf("they are told as %.20s (%d bytes) and %.20s", history[0].Command, len(history[0].Command), history[1].Changes)
	}
}

func TestListsThatManyAskForTakeTheMemoryOfOne(t *testing.T) {
	const callers, calls = 2, 40 // for 80 lists of 8 MiB
	all := make([]client.Settings, 80)
	for i := range all {
		all[i] = settings(fmt.Sprint("foo", i))
		all[i].Checker = strings.Repeat("x", client.MaxCommand) // of which each list has a part, made for it
	}
	b := dbustest.Start(t)
	serve(t, b.Address, all...)
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	answers := make(chan error, callers*calls)
	for range callers {
		root := dial(t, b.Address).Object(dbusapi.BusName, dbusapi.ServerPath)
		asked := make(chan *dbus.Call, calls)
		for range calls {
			root.Go(dbusapi.ServerInterface1+".GetClients", 0, asked, names)
		}
		go func() {
			for range calls {
				answers <- (<-asked).Err
			}
		}()
	}
	most, listed := uint64(0), 0
	for i := range callers * calls {
		if err := <-answers; err == nil {
			listed++
		}
		if i%10 == 0 {
			var memory runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&memory)
			most = max(most, memory.HeapAlloc)
		}
	}
	t.Logf("%d lists took up to %d MiB", listed, most>>20)
	if listed == 0 || most > 200<<20 {
		t.Errorf("%d lists took up to %d MiB", listed, most>>20)
	}
}
