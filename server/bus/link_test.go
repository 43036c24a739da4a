// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/client"
)

func (s *server) becomes(t *testing.T, state string) {
	t.Helper()
	eventually(t, func() error {
		if got := s.bus.State(); !strings.Contains(got, state) {
			return fmt.Errorf("the state is %q, want %q", got, state)
		}
		return nil
	})
}

func (l *logBook) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func TestTheServerServesOnWithoutTheBus(t *testing.T) {
	b := dbustest.Start(t)
	b.Stop()
	foo := settings("foo")
	s := serve(t, b.Address, foo)
	s.becomes(t, "no bus: ")
	if err := <-s.askForSecret(t, foo); err != nil {
		t.Errorf("without a bus a client does not get its secret: %v", err)
	}
	for range 2 {
		b.Restart()
		s.becomes(t, "connected")
		if clients, err := connect(t, b.Address).Clients(t.Context()); err != nil || len(clients) != 1 {
			t.Errorf("Clients: %v, %v", clients, err)
		}
		b.Stop()
		s.becomes(t, "no bus: ")
		if err := <-s.askForSecret(t, foo); err != nil {
			t.Errorf("after the bus was lost a client does not get its secret: %v", err)
		}
	}
	if n := s.log.count("level=WARN"); n > 4 {
		t.Errorf("the log is full of it: %q", s.log.lines)
	}
}

func TestTheNameIsTaken(t *testing.T) {
	b := dbustest.Start(t)
	first := serve(t, b.Address, settings("first"))
	second := serve(t, b.Address, settings("second"))
	second.becomes(t, "another Mandos server is running")
	clients, err := connect(t, b.Address).Clients(t.Context())
	if err != nil || len(clients) != 1 || clients[0].Name != "first" {
		t.Errorf("Clients: %v, %v", clients, err)
	}
	first.stop()
	second.becomes(t, "connected")
	if n := second.log.count("another Mandos server is running"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
}

func TestABusThatDoesNotAnswerIsGivenUp(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	b.Freeze()
	host := [2]string{strings.Repeat("a", 4096), strings.Repeat("b", 4096)}
	for i := 0; s.bus.State() == "connected"; i++ {
		if i > 200_000 {
			t.Fatal("the events pile up")
		}
		if err := s.Update(t.Context(), client.Actor{}, "foo", client.Update{client.PropHost: host[i%2]}); err != nil {
			t.Fatal(err)
		}
	}
	s.becomes(t, "events behind")
	b.Thaw()
	s.becomes(t, "connected")
	if clients, err := connect(t, b.Address).Clients(t.Context()); err != nil || len(clients[0].Host) != 4096 {
		t.Errorf("Clients: %v, %v", clients, err)
	}
}

func TestRunEndsWithABusThatDoesNotAnswer(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	b.Freeze()
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Error("it does not end")
	}
	b.Thaw()
}

func TestWatchSurvivesTheServer(t *testing.T) {
	b := dbustest.Start(t)
	api := connect(t, b.Address)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := make(chan dbusapi.Event)
	ended := make(chan error, 1)
	go func() {
		for e, err := range api.Watch(ctx) {
			if err != nil {
				ended <- err
				return
			}
			events <- e
		}
		ended <- nil
	}()
	next := func(kind dbusapi.EventKind) dbusapi.Event {
		t.Helper()
		select {
		case e := <-events:
			if e.Kind != kind {
				t.Fatalf("the event is %+v, want %s", e, kind)
			}
			return e
		case <-time.After(patience):
			t.Fatalf("no event, want %s", kind)
		}
		panic("unreachable")
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	next(dbusapi.ServerDown)
	foo, bar := unhurried("foo"), unhurried("bar")
	s := serve(t, b.Address, foo)
	up := next(dbusapi.ServerUp)
	if len(up.Clients) != 1 || up.Clients[0].Name != "foo" {
		t.Fatalf("the clients are %+v", up.Clients)
	}

	do(api.Disable(ctx, up.Clients[0]))
	me := dbusapi.Actor{Kind: dbusapi.Caller, BusName: next(dbusapi.Disabled).By.BusName, UID: uint32(os.Getuid()), PID: uint32(os.Getpid())}
	do(api.Enable(ctx, up.Clients[0]))
	next(dbusapi.Enabled)
	do(api.Disable(ctx, up.Clients[0]))
	if e := next(dbusapi.Disabled); e.Client != "foo" || e.Reason != dbusapi.ByAdministrator || e.By != me ||
		e.Now.Enabled || e.Now.DisabledBecause != dbusapi.ByAdministrator || e.Now.DisabledBy != me {
		t.Errorf("disabled: %+v", e)
	}
	<-s.askForSecret(t, foo)
	if e := next(dbusapi.Rejected); e.Refusal != dbusapi.IsDisabled || e.Now.Name != "foo" {
		t.Errorf("rejected: %+v", e)
	}
	do(api.SetSecret(ctx, up.Clients[0], []byte("new")))
	if e := next(dbusapi.Changed); !maps.Equal(e.Changes, map[string]string{"secret": ""}) || e.Now.SecretProblem == "" {
		t.Errorf("changed: %+v", e)
	}
	do(api.StartChecker(ctx, up.Clients[0]))
	if e := next(dbusapi.CheckerStarted); e.Command != "fping -q -- foo.example.org" || !e.Now.CheckerRunning {
		t.Errorf("started: %+v", e)
	}
	s.checker.results <- client.CheckResult{Status: client.CheckerCrashed, Signal: 9}
	if e := next(dbusapi.CheckerCompleted); e.Status != -1 || e.Signal != 9 || e.Now.LastCheckerStatus != dbusapi.CheckerCrashed {
		t.Errorf("completed: %+v", e)
	}
	<-s.askForSecret(t, client.Settings{KeyID: "0123"})
	if e := next(dbusapi.NotFound); e.Key != "0123" || e.Address != "[2001:db8::7]:4711" || e.Now.Name != "" {
		t.Errorf("not found: %+v", e)
	}
	do(reload(ctx, s, client.FromConfiguration, []client.Settings{foo, bar}))
	added := next(dbusapi.Added).Now
	if added.Name != "bar" || !added.Enabled {
		t.Errorf("added: %+v", added)
	}
	do(api.Remove(ctx, added))
	if e := next(dbusapi.Removed); e.Client != "bar" || e.By != me || e.Now.Name != "" {
		t.Errorf("removed: %+v", e)
	}

	lie(t, b.Address, dbusapi.ServerInterface, "ClientNotFound", "FFFF", "::")
	lie(t, b.Address, "org.freedesktop.DBus", "NameOwnerChanged", dbusapi.BusName, "", ":1.99")
	s.stop()
	next(dbusapi.ServerDown)
	serve(t, b.Address, settings("later"))
	if e := next(dbusapi.ServerUp); len(e.Clients) != 1 || e.Clients[0].Name != "later" {
		t.Errorf("up again: %+v", e)
	}
	b.Stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "system bus") {
		t.Errorf("the watch ended with %v", err)
	}
}

// lie sends everybody a signal that only the server or the bus may send.
func lie(t *testing.T, address, face, member string, body ...any) {
	t.Helper()
	liar := dial(t, address)
	var names []string
	if err := liar.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, ":") {
			continue
		}
		call := liar.Send(&dbus.Message{Type: dbus.TypeSignal, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath:        dbus.MakeVariant(dbus.ObjectPath("/")),
			dbus.FieldInterface:   dbus.MakeVariant(face),
			dbus.FieldMember:      dbus.MakeVariant(member),
			dbus.FieldDestination: dbus.MakeVariant(name),
			dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(body...)),
		}}, nil)
		if call.Err != nil {
			t.Fatal(call.Err)
		}
	}
}
