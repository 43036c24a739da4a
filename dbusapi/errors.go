// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Why a call failed. Each is in the chain of an error that says more, and by
// itself says what to do.
var (
	ErrNoBus        = errors.New("cannot reach the system bus; is dbus running?")
	ErrNoServer     = errors.New("no Mandos server is on the bus; is mandos running, and not told to do without D-Bus?")
	ErrNoPermission = errors.New("not permitted; only root and members of the group _mandos may talk to the Mandos server")
	ErrNoClient     = errors.New("the server has no such client")
	ErrInvalid      = errors.New("the server does not accept that value")
	ErrNotSupported = errors.New("this Mandos server cannot do that")
	ErrTimeout      = errors.New("the Mandos server did not answer in time")
	ErrFailed       = errors.New("the Mandos server could not do it")
)

// reasons tells the errors on the bus apart by their names, including those
// of other Mandos servers.
var reasons = map[string]error{
	"org.freedesktop.DBus.Error.ServiceUnknown":               ErrNoServer,
	"org.freedesktop.DBus.Error.NameHasNoOwner":               ErrNoServer,
	"org.freedesktop.DBus.Error.Disconnected":                 ErrNoBus,
	"org.freedesktop.DBus.Error.NoServer":                     ErrNoBus,
	"org.freedesktop.DBus.Error.NoReply":                      ErrNoServer,
	ErrorAccessDenied:                                         ErrNoPermission,
	ErrorInvalidArgs:                                          ErrInvalid,
	ErrorPropertyReadOnly:                                     ErrInvalid,
	ErrorTimeout:                                              ErrTimeout,
	ErrorUnknownObject:                                        ErrNoClient,
	ErrorUnknownInterface:                                     ErrNotSupported,
	ErrorUnknownMethod:                                        ErrNotSupported,
	ErrorUnknownProperty:                                      ErrNotSupported,
	"org.freedesktop.DBus.Python.DBusPropertyNotFound":        ErrNotSupported,
	"org.freedesktop.DBus.Python.DBusPropertyAccessException": ErrInvalid,
	"org.freedesktop.DBus.Python.KeyError":                    ErrNoClient,
	"org.freedesktop.DBus.Python.OverflowError":               ErrInvalid,
	"org.freedesktop.DBus.Python.TypeError":                   ErrInvalid,
}

// explain puts the reason in front of what the bus said.
func explain(err error) error {
	if err == nil {
		return nil
	}
	var answer dbus.Error
	switch {
	case errors.As(err, &answer):
		reason, known := reasons[answer.Name]
		if !known {
			reason = ErrFailed
		}
		return &Error{Reason: reason, Name: answer.Name, Message: answer.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Reason: ErrTimeout, Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return err
	}
	return &Error{Reason: ErrNoBus, Message: err.Error()}
}

// Error is a call that failed.
type Error struct {
	Reason  error  // one of this package's
	Name    string // the D-Bus error's name, if there was one
	Message string // what the bus or the server said
}

// Error is one line: the reason, and in brackets what was said.
func (e *Error) Error() string {
	return fmt.Sprintf("%v (%s)", e.Reason, strings.Join(strings.Fields(e.Message), " "))
}

func (e *Error) Unwrap() error { return e.Reason }
