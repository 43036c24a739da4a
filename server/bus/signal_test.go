// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/client"
)

// ear hears all signals that the server sends from a moment on.
type ear struct {
	t       *testing.T
	conn    *dbus.Conn
	signals chan *dbus.Signal
	since   dbus.Sequence
}

// listen begins after everything that the server has to tell so far, which is
// out before it answers a call that writes.
func listen(t *testing.T, address string) *ear {
	t.Helper()
	e := &ear{t: t, conn: dial(t, address), signals: make(chan *dbus.Signal, 10)}
	e.conn.Signal(e.signals)
	if err := e.conn.AddMatchSignal(dbus.WithMatchSender(dbusapi.BusName)); err != nil {
		t.Fatal(err)
	}
	e.since = e.conn.Object(dbusapi.BusName, "/").Call(setOf, 0, dbusapi.ServerInterface1, "LogLevel", dbus.MakeVariant("info")).ResponseSequence
	return e
}

// next is the next signal, or nil if none comes.
func (e *ear) next() *dbus.Signal {
	for {
		select {
		case signal := <-e.signals:
			if signal.Sequence > e.since && signal.Sender != "org.freedesktop.DBus" && !strings.HasSuffix(signal.Name, ".Happened") {
				return signal
			}
		case <-time.After(patience):
			return nil
		}
	}
}

// hears checks which signals come next, each written as brief does.
func (e *ear) hears(want ...string) {
	e.t.Helper()
	for i, w := range want {
		signal := e.next()
		if signal == nil {
			e.t.Fatalf("signal %d does not come: %s", i, w)
		}
		if got := brief(signal); got != w {
			e.t.Errorf("signal %d is %s, want %s", i, got, w)
		}
	}
}

// brief writes a signal in one line: the path unless it is foo's, the member and
// the body, without the interface of the properties, with ~ for a time.
func brief(s *dbus.Signal) string {
	member := s.Name[strings.LastIndexByte(s.Name, '.')+1:]
	var words []string
	if s.Path != "/clients/foo" {
		words = append(words, string(s.Path))
	}
	words = append(words, member)
	for _, v := range s.Body {
		switch v := v.(type) {
		case map[string]dbus.Variant:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				words = append(words, name+"="+briefValue(v[name].Value()))
			}
		case map[string]map[string]dbus.Variant:
			words = append(words, fmt.Sprintf("%d interfaces", len(v)))
		case []string:
			for _, name := range v {
				words = append(words, "-"+name)
			}
		case dbus.Variant:
			words = append(words, briefValue(v.Value()))
		case string:
			if v != dbusapi.ClientInterface {
				words = append(words, v)
			}
		default:
			words = append(words, briefValue(v))
		}
	}
	return strings.Join(words, " ")
}

func briefValue(v any) string {
	if s, ok := v.(string); ok {
		if len(s) == len("2026-11-23T02:40:19.475504") && s[10] == 'T' && s[19] == '.' {
			return "~"
		}
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v)
}

// both is how a change of a property of the Mandos interface is told.
func both(name, value string) []string {
	return []string{"PropertyChanged " + name + " " + value, "PropertiesChanged " + name + "=" + value}
}

// own is how a change of a property of our own interface is told.
func own(name, value string) string {
	return "PropertiesChanged " + dbusapi.ClientInterface1 + " " + name + "=" + value
}

// disabled is how it is told since when, why and by whom a client is disabled.
func disabled(why, by, since string) string {
	return own("DisabledBecause", fmt.Sprintf("%q DisabledBy=%q DisabledByBusName=\"\" DisabledByFor=\"\" DisabledByPID=0 DisabledByUID=0 DisabledSince=%s", why, by, since))
}

func inTurn(parts ...any) (all []string) {
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			all = append(all, part)
		case []string:
			all = append(all, part...)
		}
	}
	return all
}

func TestSignalsComeInTheOrderPeopleRelyOn(t *testing.T) {
	b := dbustest.Start(t)
	foo := unhurried("foo")
	s := serve(t, b.Address, foo)
	ear := listen(t, b.Address)
	ctx, nobody := t.Context(), client.ByItself
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	do(s.StartChecker(ctx, "foo"))
	ear.hears(inTurn(both("CheckerRunning", "true"), "CheckerStarted fping -q -- foo.example.org")...)
	s.checker.results <- client.CheckResult{}
	ear.hears(inTurn(both("CheckerRunning", "false"), both("LastCheckerStatus", "0"), both("LastCheckedOK", "~"), both("Expires", "~"),
		"CheckerCompleted 0 0 fping -q -- foo.example.org")...)

	do(s.StartChecker(ctx, "foo"))
	s.checker.results <- client.CheckResult{Status: 3, Output: "foo is unreachable"}
	ear.hears(inTurn(both("CheckerRunning", "true"), "CheckerStarted fping -q -- foo.example.org",
		both("CheckerRunning", "false"), both("LastCheckerStatus", "3"), own("LastCheckerOutput", `"foo is unreachable"`), "CheckerCompleted 3 768 fping -q -- foo.example.org")...)

	do(s.StartChecker(ctx, "foo"))
	s.checker.results <- client.CheckResult{Status: client.CheckerCrashed, Signal: 9}
	ear.hears(inTurn(both("CheckerRunning", "true"), "CheckerStarted fping -q -- foo.example.org",
		both("CheckerRunning", "false"), both("LastCheckerStatus", "-1"), own("LastCheckerOutput", `""`), "CheckerCompleted -1 -247 fping -q -- foo.example.org")...)

	do(s.StartChecker(ctx, "foo"))
	do(s.Disable(ctx, nobody, "foo"))
	ear.hears(inTurn(both("CheckerRunning", "true"), "CheckerStarted fping -q -- foo.example.org",
		both("Expires", `""`), both("CheckerRunning", "false"), both("Enabled", "false"),
		disabled("administrator", "server", "~"))...)

	do(<-reject(s.askForSecret(t, foo)))
	ear.hears("Rejected Disabled")

	do(s.Enable(ctx, nobody, "foo"))
	ear.hears(inTurn(both("Enabled", "true"), both("LastEnabled", "~"), both("Expires", "~"), disabled("", "", `""`))...)

	do(<-s.askForSecret(t, foo))
	ear.hears(inTurn(both("Expires", "~"), own("LastHandout", "~"), own("LastHandoutKey", `"raw-public-key"`), "GotSecret")...)

	delay, secret, host := time.Minute, client.NewSecret([]byte("other")), foo.Host
	do(s.Update(ctx, nobody, "foo", client.Update{client.PropApprovalDelay: delay, client.PropSecret: secret, client.PropHost: host}))
	ear.hears(inTurn("PropertiesChanged -Secret", own("SecretProblem", `"it is not encrypted: it is no OpenPGP data"`), both("ApprovalDelay", "60000"))...)

	handedOut := s.askForSecret(t, foo)
	server := "/ PropertiesChanged " + dbusapi.ServerInterface1 + " PendingApprovals="
	ear.hears(inTurn(both("ApprovalPending", "true"), both("LastApprovalRequest", "~"), own("ApprovalsPending", "1"), "NeedApproval 60000 true", server+"1")...)
	do(s.Approve(ctx, nobody, "foo", true))
	do(<-handedOut)
	ear.hears(inTurn(own("ApprovedUntil", "~"), both("Expires", "~"), own("LastHandout", "~"), "GotSecret",
		both("ApprovalPending", "false"), own("ApprovalsPending", "0"), server+"0")...)

	do(<-reject(s.askForSecret(t, client.Settings{KeyID: "0123"})))
	ear.hears("/ ClientNotFound 0123 2001:db8::7")

	do(reload(ctx, s, nobody, []client.Settings{foo, unhurried("bar")}))
	count := "/ PropertiesChanged " + dbusapi.ServerInterface1 + " ClientCount="
	ear.hears("/ InterfacesAdded /clients/bar 4 interfaces", "/ ClientAdded /clients/bar", count+"2")
	do(s.Remove(ctx, nobody, "foo"))
	ear.hears("/ InterfacesRemoved /clients/foo -org.freedesktop.DBus.Introspectable -org.freedesktop.DBus.Properties -"+
		dbusapi.ClientInterface+" -"+dbusapi.ClientInterface1, "/ ClientRemoved /clients/foo foo", count+"1")

	api := connect(t, b.Address)
	do(api.SetLogLevel(ctx, "debug"))
	ear.hears("/ PropertiesChanged " + dbusapi.ServerInterface1 + ` LogLevel="debug"`)
	do(api.SetLogLevel(ctx, "debug"))
	do(reload(ctx, s, nobody, []client.Settings{unhurried("bar"), unhurried("last")}))
	ear.hears("/ InterfacesAdded /clients/last 4 interfaces")
}

// reject turns a refusal into a success.
func reject(ended <-chan error) <-chan error {
	refused := make(chan error, 1)
	go func() {
		if err := <-ended; err == nil {
			refused <- fmt.Errorf("the client got its secret")
		}
		close(refused)
	}()
	return refused
}

func TestWhatChangesByItselfIsToldOnce(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address)
	ear := listen(t, b.Address)
	s.bus.StatusChanged() // nothing has
	s.daemon.moves("", "", "interface eth0 is gone", `waiting: interface eth0 is gone`)
	s.bus.StatusChanged()
	s.bus.StatusChanged()
	told := func(property, value string) string {
		return "/ PropertiesChanged " + dbusapi.ServerInterface1 + " " + property + "=" + strconv.Quote(value)
	}
	ear.hears(told("Address", ""), told("Interface", ""), told("ListenProblem", "interface eth0 is gone"),
		told("ZeroconfState", "waiting: interface eth0 is gone"))
	s.daemon.moves("::", "", "", "announced")
	s.bus.StatusChanged()
	ear.hears(told("Address", "::"), told("ListenProblem", ""), told("ZeroconfState", "announced"))
}

func TestSignalsOfACallComeBeforeItsAnswer(t *testing.T) {
	b := dbustest.Start(t)
	serve(t, b.Address, unhurried("foo"))
	ear := listen(t, b.Address)
	for i := range 50 {
		call := ear.conn.Object(dbusapi.BusName, "/clients/foo").Call(setOf, 0, face, "Host", dbus.MakeVariant(fmt.Sprint(i)))
		if call.Err != nil {
			t.Fatal(call.Err)
		}
		for range 2 {
			if signal := ear.next(); signal == nil || signal.Sequence > call.ResponseSequence {
				t.Fatalf("%v comes after the answer", signal)
			}
		}
	}
}

func TestClientsAreAnnouncedToThoseWhoWereThereBefore(t *testing.T) {
	b := dbustest.Start(t)
	ear := listen(t, b.Address)
	serve(t, b.Address, unhurried("foo"), unhurried("bar"))
	ear.hears("/ InterfacesAdded /clients/foo 4 interfaces", "/ ClientAdded /clients/foo",
		"/ InterfacesAdded /clients/bar 4 interfaces", "/ ClientAdded /clients/bar")
}
