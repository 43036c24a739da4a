// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"reflect"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"
)

func TestTimesHaveSixDigitsOfASecond(t *testing.T) {
	for name, test := range map[string]struct {
		time time.Time
		text string
	}{
		"none":                    {time.Time{}, ""},
		"microseconds":            {time.Date(2026, 11, 23, 2, 40, 19, 475504000, time.UTC), "2026-11-23T02:40:19.475504"},
		"a whole second":          {time.Date(2026, 11, 23, 2, 40, 19, 0, time.UTC), "2026-11-23T02:40:19.000000"},
		"of another time zone":    {time.Date(2026, 11, 23, 3, 40, 19, 0, time.FixedZone("", 3600)), "2026-11-23T02:40:19.000000"},
		"nanoseconds are dropped": {time.Date(2026, 11, 23, 2, 40, 19, 1999, time.UTC), "2026-11-23T02:40:19.000001"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := FormatTime(test.time); got != test.text {
				t.Errorf("FormatTime gives %q, want %q", got, test.text)
			}
			got, err := ParseTime(test.text)
			if err != nil || !got.Equal(test.time.Truncate(time.Microsecond)) {
				t.Errorf("ParseTime gives %v, %v", got, err)
			}
		})
	}
	if _, err := ParseTime("2026-11-23T02:40:19"); err != nil {
		t.Errorf("without a fraction: %v", err)
	}
	for _, wrong := range []string{"now", "2026-11-23", "2026-11-23T02:40:19Z", "2026-13-23T02:40:19.000000"} {
		if got, err := ParseTime(wrong); err == nil {
			t.Errorf("%q is taken for %v", wrong, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	f.Add("")
	f.Add("2026-11-23T02:40:19.475504")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := ParseTime(text)
		if err != nil {
			return
		}
		again, err := ParseTime(FormatTime(parsed))
		if err != nil || !again.Equal(parsed.Truncate(time.Microsecond)) {
			t.Errorf("%q is %v, and then %v, %v", text, parsed, again, err)
		}
	})
}

func TestPropertiesFindTheirFields(t *testing.T) {
	var c Client
	err := update(map[string]dbus.Variant{
		"Name":              dbus.MakeVariant("foo"),
		"ObjectPath":        dbus.MakeVariant(dbus.ObjectPath("/clients/foo")),
		"Timeout":           dbus.MakeVariant(uint64(300000)),
		"LastCheckedOK":     dbus.MakeVariant("2026-11-23T02:40:19.475504"),
		"Expires":           dbus.MakeVariant(""),
		"LastCheckerStatus": dbus.MakeVariant(int16(-2)),
		"ApprovalsPending":  dbus.MakeVariant(uint32(3)),
		"OfALaterVersion":   dbus.MakeVariant(true),
	}, c.field)
	want := Client{
		Name: "foo", Path: "/clients/foo", Timeout: 5 * time.Minute, LastCheckerStatus: -2, ApprovalsPending: 3,
		LastCheckedOK: time.Date(2026, 11, 23, 2, 40, 19, 475504000, time.UTC),
	}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("the client is %+v, %v", c, err)
	}
	for name, wrong := range map[string]any{"Timeout": "PT5M", "Name": true, "Expires": "soon", "Enabled": "yes"} {
		if err := update(map[string]dbus.Variant{name: dbus.MakeVariant(wrong)}, c.field); err == nil {
			t.Errorf("%s is taken from %v", name, wrong)
		}
	}
}

func TestEveryPropertyHasItsField(t *testing.T) {
	var c Client
	var s Status
	for face, field := range map[string]func(string) any{
		ClientInterface: c.field, ClientInterface1: c.field, ServerInterface1: s.field,
	} {
		var node introspect.Node
		if err := xml.Unmarshal([]byte(Introspection([]string{face}, nil, nil)), &node); err != nil {
			t.Fatal(err)
		}
		for _, p := range node.Interfaces[0].Properties {
			if p.Access != "write" && field(p.Name) == nil {
				t.Errorf("%s.%s cannot be read with this package", face, p.Name)
			}
		}
	}
}

func TestIntrospectionShowsChildren(t *testing.T) {
	var node introspect.Node
	if err := xml.Unmarshal([]byte(Introspection([]string{PeerInterface}, []string{"a", "b"}, nil)), &node); err != nil {
		t.Fatal(err)
	}
	if len(node.Children) != 2 || node.Children[1].Name != "b" || len(node.Interfaces) != 1 {
		t.Errorf("the node is %+v", node)
	}
}

func TestErrorsAreInWordsForPeople(t *testing.T) {
	const said = "what was\n  said"
	for name, c := range map[string]struct {
		reason error
		text   string
	}{
		"org.freedesktop.DBus.Error.ServiceUnknown":        {ErrNoServer, ErrNoServer.Error()},
		"org.freedesktop.DBus.Error.AccessDenied":          {ErrNoPermission, ErrNoPermission.Error()},
		"org.freedesktop.DBus.Error.UnknownMethod":         {ErrNotSupported, ErrNotSupported.Error()},
		"org.freedesktop.DBus.Error.Timeout":               {ErrTimeout, ErrTimeout.Error()},
		"org.freedesktop.DBus.Error.InvalidArgs":           {ErrInvalid, "the server does not accept that value: what was said"},
		"org.freedesktop.DBus.Error.Failed":                {ErrFailed, "the Mandos server could not do it: what was said"},
		"org.mandosctl.Error.Refused":                      {ErrRefused, "what was\n  said"},
		"org.mandosctl.Error.BadConfiguration":             {ErrBadConfiguration, "nothing was changed, for the configuration is wrong:\nwhat was\n  said"},
		"org.freedesktop.DBus.Python.KeyError":             {ErrNoClient, ErrNoClient.Error()},
		"org.freedesktop.DBus.Python.TypeError":            {ErrInvalid, ErrInvalid.Error()},
		"org.freedesktop.DBus.Python.DBusPropertyNotFound": {ErrNotSupported, ErrNotSupported.Error()},
		"org.example.Whatever":                             {ErrFailed, "the Mandos server could not do it: what was said"},
	} {
		err := explain(dbus.Error{Name: name, Body: []any{said}})
		if !errors.Is(err, c.reason) || err.Error() != c.text {
			t.Errorf("%s is %q, want %q", name, err, c.text)
		}
	}
	for err, want := range map[error]string{
		context.DeadlineExceeded: ErrTimeout.Error(),
		io.EOF:                   ErrNoBus.Error(),
		&net.OpError{Op: "dial", Net: "unix", Err: syscall.ENOENT}: "cannot reach the system bus: no such file or directory; is dbus running?",
	} {
		if got := explain(err); got.Error() != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}
