// SPDX-License-Identifier: Apache-2.0

// Package dbusapi is the contract between the Mandos server and those who watch
// and steer it over D-Bus: the names, the introspection data, the formats of
// values, and a typed client.
//
// The interfaces are described in the XML files beside the code, which are what
// the server answers to Introspect.
package dbusapi

import (
	"fmt"
	"time"
)

// BusName is the server's well-known name on the system bus.
const BusName = "se.recompile.Mandos"

// The fixed object paths. Each client has a path below ClientsPath.
const (
	ServerPath  = "/"
	ClientsPath = "/clients"
)

// The interfaces that are Mandos's own. Those of org.mandosctl are what this
// server has beyond the Mandos server of the same bus name.
const (
	ServerInterface  = "se.recompile.Mandos"
	ClientInterface  = "se.recompile.Mandos.Client"
	ServerInterface1 = "org.mandosctl.Server1"
	ClientInterface1 = "org.mandosctl.Client1"
)

// The standard interfaces (D-Bus Specification, "Standard Interfaces").
const (
	IntrospectableInterface = "org.freedesktop.DBus.Introspectable"
	ObjectManagerInterface  = "org.freedesktop.DBus.ObjectManager"
	PeerInterface           = "org.freedesktop.DBus.Peer"
	PropertiesInterface     = "org.freedesktop.DBus.Properties"
)

// The names of the errors that the server answers with.
const (
	ErrorAccessDenied     = "org.freedesktop.DBus.Error.AccessDenied"
	ErrorFailed           = "org.freedesktop.DBus.Error.Failed"
	ErrorInvalidArgs      = "org.freedesktop.DBus.Error.InvalidArgs"
	ErrorLimitsExceeded   = "org.freedesktop.DBus.Error.LimitsExceeded"
	ErrorPropertyReadOnly = "org.freedesktop.DBus.Error.PropertyReadOnly"
	ErrorTimeout          = "org.freedesktop.DBus.Error.Timeout"
	ErrorUnknownInterface = "org.freedesktop.DBus.Error.UnknownInterface"
	ErrorUnknownMethod    = "org.freedesktop.DBus.Error.UnknownMethod"
	ErrorUnknownObject    = "org.freedesktop.DBus.Error.UnknownObject"
	ErrorUnknownProperty  = "org.freedesktop.DBus.Error.UnknownProperty"

	// ErrorBadConfiguration is Reload's, with a line of text for each mistake.
	ErrorBadConfiguration = "org.mandosctl.Error.BadConfiguration"
	// ErrorRefused is that of a command which the server understands and does not
	// obey, for the reason that it says.
	ErrorRefused = "org.mandosctl.Error.Refused"
)

// timeFormat always has six digits of a second: mandos-monitor parses it so.
const timeFormat = "2006-01-02T15:04:05.000000"

// FormatTime writes a time of day as the bus has it: UTC, and empty for the
// zero time.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}

// ParseTime reads what FormatTime writes. The fraction may be missing.
func ParseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		return time.Time{}, fmt.Errorf("not a time as the bus has it: %q", s)
	}
	return t, nil
}
