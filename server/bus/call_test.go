// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/client"
)

// dial is a plain connection to the bus.
func dial(t testing.TB, address string) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(address, dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

const (
	face   = dbusapi.ClientInterface
	setOf  = dbusapi.PropertiesInterface + ".Set"
	getOf  = dbusapi.PropertiesInterface + ".Get"
	allOf  = dbusapi.PropertiesInterface + ".GetAll"
	failed = "org.freedesktop.DBus.Error."
)

func TestErrorsHaveTheStandardNames(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"), settings("nested/deep/client"))
	s.daemon.reloading(errors.New("clients.conf:7: no such key"), false)
	conn := dial(t, b.Address)
	value := func(v any) dbus.Variant { return dbus.MakeVariant(v) }
	for name, test := range map[string]struct {
		path   dbus.ObjectPath
		method string
		args   []any
		want   string
	}{
		"an absence of no time":                {"/clients/foo", dbusapi.ClientInterface1 + ".Expect", []any{uint64(0), ""}, "InvalidArgs"},
		"an absence of more than a week":       {"/clients/foo", dbusapi.ClientInterface1 + ".Expect", []any{uint64(8 * 24 * time.Hour / time.Millisecond), ""}, "InvalidArgs"},
		"unknown object":                       {"/clients/nosuch", face + ".Enable", nil, "UnknownObject"},
		"unknown object beside the clients":    {"/nosuch", dbusapi.IntrospectableInterface + ".Introspect", nil, "UnknownObject"},
		"unknown interface":                    {"/clients/foo", "org.example.Nosuch.Enable", nil, "UnknownInterface"},
		"client interface of the server":       {"/", face + ".Enable", nil, "UnknownInterface"},
		"unknown method":                       {"/clients/foo", face + ".Nosuch", nil, "UnknownMethod"},
		"unknown Peer method":                  {"/clients/foo", dbusapi.PeerInterface + ".Nosuch", nil, "UnknownMethod"},
		"clients node has no properties":       {"/clients", allOf, []any{""}, "UnknownInterface"},
		"intermediate node has no methods":     {"/clients/nested/deep", face + ".Enable", nil, "UnknownInterface"},
		"missing argument":                     {"/clients/foo", face + ".Approve", nil, "InvalidArgs"},
		"argument too many":                    {"/clients/foo", face + ".Enable", []any{true}, "InvalidArgs"},
		"argument of another type":             {"/clients/foo", face + ".Approve", []any{"yes"}, "InvalidArgs"},
		"removal of a path that is no client":  {"/", dbusapi.ServerInterface + ".RemoveClient", []any{dbus.ObjectPath("/nope")}, "UnknownObject"},
		"reading an unknown property":          {"/clients/foo", getOf, []any{face, "Nosuch"}, "UnknownProperty"},
		"reading of an unknown interface":      {"/clients/foo", getOf, []any{"org.example.Nosuch", "Timeout"}, "UnknownInterface"},
		"reading all of an unknown interface":  {"/clients/foo", allOf, []any{"org.example.Nosuch"}, "UnknownInterface"},
		"reading the secret":                   {"/clients/foo", getOf, []any{face, "Secret"}, "AccessDenied"},
		"writing an unknown property":          {"/clients/foo", setOf, []any{face, "Nosuch", value(1)}, "UnknownProperty"},
		"writing a name":                       {"/clients/foo", setOf, []any{face, "Name", value("x")}, "PropertyReadOnly"},
		"writing an expiry":                    {"/clients/foo", setOf, []any{face, "Expires", value("")}, "PropertyReadOnly"},
		"writing what is our own of a client":  {"/clients/foo", setOf, []any{dbusapi.ClientInterface1, "LastHandout", value("")}, "PropertyReadOnly"},
		"a negative duration":                  {"/clients/foo", setOf, []any{face, "Timeout", value(int32(-1))}, "InvalidArgs"},
		"a duration beyond what is possible":   {"/clients/foo", setOf, []any{face, "Timeout", value(uint64(math.MaxUint64))}, "InvalidArgs"},
		"a duration that is just too long":     {"/clients/foo", setOf, []any{face, "Timeout", value(int64(math.MaxInt64/1_000_000 + 1))}, "InvalidArgs"},
		"a duration that is no number":         {"/clients/foo", setOf, []any{face, "Timeout", value(math.NaN())}, "InvalidArgs"},
		"an infinite duration":                 {"/clients/foo", setOf, []any{face, "Timeout", value(math.Inf(1))}, "InvalidArgs"},
		"a duration as text":                   {"/clients/foo", setOf, []any{face, "Timeout", value("PT5M")}, "InvalidArgs"},
		"a duration as a boolean":              {"/clients/foo", setOf, []any{face, "Timeout", value(true)}, "InvalidArgs"},
		"an interval of nothing":               {"/clients/foo", setOf, []any{face, "Interval", value(uint64(0))}, "InvalidArgs"},
		"a host that is a number":              {"/clients/foo", setOf, []any{face, "Host", value(uint32(7))}, "InvalidArgs"},
		"a secret as text":                     {"/clients/foo", setOf, []any{face, "Secret", value("secret")}, "InvalidArgs"},
		"Enabled as text":                      {"/clients/foo", setOf, []any{face, "Enabled", value("False")}, "InvalidArgs"},
		"a checker that cannot be expanded":    {"/clients/foo", setOf, []any{face, "Checker", value("ping %(nosuch)s")}, "InvalidArgs"},
		"a log level that does not exist":      {"/", setOf, []any{dbusapi.ServerInterface1, "LogLevel", value("loud")}, "InvalidArgs"},
		"a version to write":                   {"/", setOf, []any{dbusapi.ServerInterface1, "Version", value("2")}, "PropertyReadOnly"},
		"a configuration that cannot be read":  {"/", dbusapi.ServerInterface1 + ".Reload", nil, "Failed"},
		"a property of another object's":       {"/", getOf, []any{face, "Timeout"}, "UnknownInterface"},
		"a client that is a child of a client": {"/clients/foo/bar", face + ".Enable", nil, "UnknownObject"},
	} {
		t.Run(name, func(t *testing.T) {
			err := conn.Object(dbusapi.BusName, test.path).Call(test.method, 0, test.args...).Err
			var got dbus.Error
			if !errors.As(err, &got) || got.Name != failed+test.want {
				t.Errorf("the answer is %v (%q), want %s", err, got.Name, test.want)
			}
			if got.Error() == got.Name {
				t.Error("the error has no text")
			}
		})
	}
	if view, _ := s.Client("foo"); view.Settings != settings("foo") {
		t.Errorf("the failed calls changed something: %+v", view.Settings)
	}
}

func TestValuesAreTakenInEveryTypeThatCanMeanThem(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	conn := dial(t, b.Address)
	for _, test := range []struct {
		property string
		value    any
		holds    func(client.View) bool
	}{
		{"Timeout", byte(200), func(v client.View) bool { return v.Timeout == 200*time.Millisecond }},
		{"ExtendedTimeout", int16(3000), func(v client.View) bool { return v.ExtendedTimeout == 3*time.Second }},
		{"ExtendedTimeout", uint16(4000), func(v client.View) bool { return v.ExtendedTimeout == 4*time.Second }},
		{"ApprovalDelay", int32(5000), func(v client.View) bool { return v.ApprovalDelay == 5*time.Second }},
		{"ApprovalDelay", uint32(6000), func(v client.View) bool { return v.ApprovalDelay == 6*time.Second }},
		{"ApprovalDelay", int64(7000), func(v client.View) bool { return v.ApprovalDelay == 7*time.Second }},
		{"ApprovalDelay", 8000.9, func(v client.View) bool { return v.ApprovalDelay == 8*time.Second }},
		{"ApprovalDuration", uint64(client.MaxDuration / time.Millisecond), func(v client.View) bool { return v.ApprovalDuration == client.MaxDuration }},
		{"ApprovedByDefault", int32(0), func(v client.View) bool { return !v.ApprovedByDefault }},
		{"ApprovedByDefault", byte(1), func(v client.View) bool { return v.ApprovedByDefault }},
		{"ApprovedByDefault", false, func(v client.View) bool { return !v.ApprovedByDefault }},
		{"Enabled", int64(0), func(v client.View) bool { return !v.Enabled }},
		{"Enabled", uint32(2), func(v client.View) bool { return v.Enabled }},
		{"CheckerRunning", int32(1), func(v client.View) bool { return v.CheckerRunning }},
		{"CheckerRunning", false, func(v client.View) bool { return !v.CheckerRunning }},
		{"LastCheckedOK", "", func(v client.View) bool { return !v.LastCheckedOK.IsZero() }},
		{"LastCheckedOK", true, func(v client.View) bool { return !v.LastCheckedOK.IsZero() }},
		{"Secret", []byte{0, 255}, func(v client.View) bool { return v.Secret == client.NewSecret([]byte{0, 255}) }},
		{"Secret", []byte{}, func(v client.View) bool { return v.Secret.Len() == 0 }},
		{"Host", "å", func(v client.View) bool { return v.Host == "å" }},
	} {
		err := conn.Object(dbusapi.BusName, "/clients/foo").Call(setOf, 0, face, test.property, dbus.MakeVariant(test.value)).Err
		if view, _ := s.Client("foo"); err != nil || !test.holds(view) {
			t.Errorf("%s = %T %v: %v, left as %+v", test.property, test.value, test.value, err, view)
		}
	}
}

func TestTextThatTheBusCannotCarryDoesNotHideTheClients(t *testing.T) {
	b := dbustest.Start(t)
	odd := settings("odd")
	odd.Host, odd.Checker = "caf\xe9\x00", "/bin/true \xff"
	serve(t, b.Address, odd, settings("foo"))
	clients, err := connect(t, b.Address).Clients(t.Context())
	if err != nil || len(clients) != 2 || clients[1].Host != "caf\uFFFD\uFFFD" {
		t.Errorf("Clients: %+v, %v", clients, err)
	}
}

func TestTheHistoryOfAClientIsTold(t *testing.T) {
	daemon := dbustest.Start(t)
	serve(t, daemon.Address, settings("foo"))
	server := connect(t, daemon.Address)
	clients, err := server.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	history, err := server.History(t.Context(), clients[0])
	if err != nil || len(history) != 1 || history[0].Kind != dbusapi.Added || history[0].Client != "foo" {
		t.Errorf("%+v, error %v", history, err)
	}
}

func TestIntrospectionShowsTheTree(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"), settings("foo/bar"), settings("only/below"))
	conn := dial(t, b.Address)
	children := func(path dbus.ObjectPath) (names []string) {
		t.Helper()
		var xml string
		if err := conn.Object(dbusapi.BusName, path).Call(dbusapi.IntrospectableInterface+".Introspect", 0).Store(&xml); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(xml) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), `<node name="`); ok {
				names = append(names, strings.TrimSuffix(name, `"/>`))
			}
		}
		return names
	}
	check := func(path dbus.ObjectPath, want ...string) {
		t.Helper()
		if got := children(path); !slices.Equal(got, want) {
			t.Errorf("below %s there are %q, want %q", path, got, want)
		}
	}
	check("/", "clients")
	check("/clients", "foo", "only")
	check("/clients/foo", "bar")
	check("/clients/foo/bar")
	check("/clients/only", "below")
	if err := s.Remove(t.Context(), client.Actor{}, "foo"); err != nil {
		t.Fatal(err)
	}
	check("/clients", "foo", "only")
	check("/clients/foo", "bar")
	if err := s.Remove(t.Context(), client.Actor{}, "foo/bar"); err != nil {
		t.Fatal(err)
	}
	check("/clients", "only")
}

func TestEveryChangeCarriesItsCaller(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	conn := dial(t, b.Address)
	foo := conn.Object(dbusapi.BusName, "/clients/foo")
	want := client.Actor{Kind: client.Caller, BusName: conn.Names()[0], UID: uint32(os.Getuid()), PID: uint32(os.Getpid())}
	for kind, call := range map[client.EventKind]func() *dbus.Call{
		client.Changed:  func() *dbus.Call { return foo.Call(setOf, 0, face, "Host", dbus.MakeVariant("x")) },
		client.Vouched:  func() *dbus.Call { return foo.Call(face+".CheckedOK", 0) },
		client.Approved: func() *dbus.Call { return foo.Call(face+".Approve", 0, true) },
		client.Denied:   func() *dbus.Call { return foo.Call(face+".Approve", 0, false) },
		client.Disabled: func() *dbus.Call { return foo.Call(face+".Disable", 0) },
	} {
		if err := call().Err; err != nil {
			t.Fatal(err)
		}
		if got := s.by(kind); got != want {
			t.Errorf("%s by %+v, want %+v", kind, got, want)
		}
	}

	t.Run("one who left without waiting for the answer is not taken for root", func(t *testing.T) {
		cmd := tool(t, b.Address, "dbus-send", "--system", "--type=method_call", "--dest="+dbusapi.BusName, "/clients/foo", face+".Enable")
		run(t, cmd)
		eventually(t, func() error {
			by := s.by(client.Enabled)
			switch {
			case by == client.Actor{}:
				return errors.New("the call has no effect")
			case by.PID == 0 && strings.Contains(by.String(), "uid"), by.BusName == "":
				return fmt.Errorf("the actor is %s", by)
			}
			return nil
		})
	})
}

func TestAnAbsenceIsPlannedByItsCaller(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	api := connect(t, b.Address)
	foo := func() dbusapi.Client {
		t.Helper()
		clients, err := api.ClientsNamed(t.Context(), []string{"foo"})
		if err != nil || len(clients) != 1 {
			t.Fatal(clients, err)
		}
		return clients[0]
	}
	if err := api.Expect(t.Context(), foo(), time.Hour, "new firmware"); err != nil {
		t.Fatal(err)
	}
	if by := s.by(client.AbsencePlanned); by.PID != uint32(os.Getpid()) {
		t.Errorf("planned by %+v", by)
	}
	away := foo()
	if len(away.AbsenceID) != 32 || away.AbsenceReason != "new firmware" || time.Until(away.AbsenceUntil) < 59*time.Minute || away.Expires.Before(away.AbsenceUntil) {
		t.Errorf("it is %+v", away)
	}
	if err := api.EndAbsence(t.Context(), away); err != nil {
		t.Fatal(err)
	}
	if by := s.by(client.AbsenceOver); by.PID != uint32(os.Getpid()) {
		t.Errorf("ended by %+v", by)
	}
	if back := foo(); back.AbsenceID != "" || !back.AbsenceUntil.IsZero() || back.AbsenceReason != "" {
		t.Errorf("it is %+v", back)
	}
	if err := s.Disable(t.Context(), client.Actor{}, "foo"); err != nil {
		t.Fatal(err)
	}
	if err := api.Expect(t.Context(), foo(), time.Hour, ""); !errors.Is(err, dbusapi.ErrRefused) {
		t.Errorf("of a disabled client: %v", err)
	}
}

func TestCallsOfOneSenderTakeEffectInOrder(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	conn := dial(t, b.Address)
	foo := conn.Object(dbusapi.BusName, "/clients/foo")
	calls := make(chan *dbus.Call, 100)
	for i := range cap(calls) {
		foo.Go(setOf, 0, calls, face, "Host", dbus.MakeVariant(fmt.Sprint(i)))
	}
	for range cap(calls) {
		if call := <-calls; call.Err != nil {
			t.Fatal(call.Err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var hosts []string
	for _, e := range s.events {
		if e.Kind == client.Changed {
			hosts = append(hosts, e.Client.Host)
		}
	}
	for i, host := range hosts {
		if host != fmt.Sprint(i) {
			t.Fatalf("the hosts were %q in turn", hosts)
		}
	}
	if len(hosts) != cap(calls) {
		t.Errorf("there were %d changes", len(hosts))
	}
}

func TestASlowCallHoldsUpNobodyElse(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	release := make(chan struct{})
	s.journal.slow(release)
	conn, other := dial(t, b.Address), dial(t, b.Address)
	foo := conn.Object(dbusapi.BusName, "/clients/foo")
	slow := foo.Go(setOf, 0, nil, face, "Host", dbus.MakeVariant("slow"))

	var host dbus.Variant
	if err := other.Object(dbusapi.BusName, "/clients/foo").Call(getOf, 0, face, "Host").Store(&host); err != nil {
		t.Errorf("another caller gets %v", err)
	}
	t.Run("and many calls of one sender are refused beyond a limit", func(t *testing.T) {
		const more = 200
		calls := make(chan *dbus.Call, more)
		for range more {
			foo.Go(getOf, 0, calls, face, "Host")
		}
		refused := <-calls // while the others wait for the slow one
		var answer dbus.Error
		if !errors.As(refused.Err, &answer) || answer.Name != failed+"LimitsExceeded" {
			t.Errorf("the first answer is %v", refused.Err)
		}
		if err := other.Object(dbusapi.BusName, "/clients/foo").Call(getOf, 0, face, "Host").Store(&host); err != nil {
			t.Errorf("another caller gets %v", err)
		}
		close(release)
		for range more - 1 {
			<-calls
		}
	})
	if call := <-slow.Done; call.Err != nil {
		t.Error(call.Err)
	}
	if err := foo.Call(getOf, 0, face, "Host").Store(&host); err != nil || host.Value() != "slow" {
		t.Errorf("afterwards the host is %v, %v", host, err)
	}
}

func TestAMistakeInACallDoesNotEndTheServer(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	s.daemon.reloading(nil, true)
	conn := dial(t, b.Address)
	err := conn.Object(dbusapi.BusName, "/").Call(dbusapi.ServerInterface1+".Reload", 0).Err
	if err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("the answer is %v", err)
	}
	if !s.log.contains("a mistake in reloading") {
		t.Errorf("the log has only %q", s.log.lines)
	}
	if _, err := connect(t, b.Address).Clients(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestLongCallsThatWaitTakeABoundedAmountOfMemory(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	release := make(chan struct{})
	s.journal.slow(release)
	foo := dial(t, b.Address).Object(dbusapi.BusName, "/clients/foo")
	foo.Go(setOf, 0, make(chan *dbus.Call, 1), face, "Host", dbus.MakeVariant("slow"))
	const many = 80 // of 1 MiB, where 64 MiB may wait
	long := strings.Repeat("x", 1<<20)
	calls := make(chan *dbus.Call, many)
	for range many {
		foo.Go(setOf, 0, calls, face, "Host", dbus.MakeVariant(long))
	}
	refused := <-calls // while the others wait for the slow one
	var answer dbus.Error
	if !errors.As(refused.Err, &answer) || answer.Name != failed+"LimitsExceeded" {
		t.Errorf("the first answer is %v", refused.Err)
	}
	close(release)
	tooLong := 0
	for range many - 1 {
		if call := <-calls; errors.As(call.Err, &answer) && answer.Name == failed+"InvalidArgs" {
			tooLong++
		}
	}
	if tooLong < 32 {
		t.Errorf("%d of %d were looked at", tooLong, many)
	}
	if err := foo.Call(setOf, 0, face, "Host", dbus.MakeVariant(long)).Err; !errors.As(err, &answer) || answer.Name != failed+"InvalidArgs" {
		t.Errorf("afterwards: %v", err)
	}
}
