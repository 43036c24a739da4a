// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"
)

// Why a call failed. Each is in the chain of an error that says more, and by
// itself says what to do.
var (
	ErrNoBus        = errors.New("cannot reach the system bus; is dbus running?")
	ErrNoServer     = errors.New("no Mandos server is on the bus; start it with \"systemctl start mandos\", unless it runs and is told to do without D-Bus")
	ErrNoPermission = errors.New("not permitted: only root and members of the group _mandos may talk to the Mandos server; use sudo, or join that group")
	ErrNoClient     = errors.New("the server has no such client")
	ErrInvalid      = errors.New("the server does not accept that value")
	ErrNotSupported = errors.New("this Mandos server cannot do that")
	ErrTimeout      = errors.New("the Mandos server did not answer in time")
	ErrFailed       = errors.New("the Mandos server could not do it")

	// ErrRefused comes with a sentence of the server's that says it all.
	ErrRefused = errors.New("the server refuses that")
	// ErrBadConfiguration comes with one line for each mistake.
	ErrBadConfiguration = errors.New("nothing was changed, for the configuration is wrong")
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
	ErrorBadConfiguration:                                     ErrBadConfiguration,
	ErrorRefused:                                              ErrRefused,
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

// explain finds the reason of an error, and what the server itself said of it.
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
		return &Error{Reason: reason, Name: answer.Name, Message: serversWords(reason, answer)}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Reason: ErrTimeout}
	case errors.Is(err, context.Canceled):
		return err
	}
	return noBus(err)
}

// noBus says that the bus cannot be reached, and why as far as the system does.
func noBus(err error) error {
	var system syscall.Errno
	switch {
	case errors.As(err, &system):
		return &Error{Reason: ErrNoBus, Message: system.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Reason: ErrNoBus, Message: "it does not answer"}
	}
	return &Error{Reason: ErrNoBus}
}

// serversWords are what the server said that is meant for people. What the bus says
// where there is no server, or a program of another Mandos server where it fails,
// is not, and the reason says it all.
func serversWords(reason error, answer dbus.Error) string {
	switch reason {
	case ErrInvalid, ErrNoClient, ErrFailed, ErrRefused, ErrBadConfiguration:
		if len(answer.Body) > 0 && !strings.HasPrefix(answer.Name, "org.freedesktop.DBus.Python.") {
			message, _ := answer.Body[0].(string)
			return strings.TrimSpace(message)
		}
	}
	return ""
}

// Error is a call that failed.
type Error struct {
	Reason  error  // one of this package's
	Name    string // the D-Bus error's name, if there was one
	Message string // what the server said, if it is for people
}

// Error is the reason, and what was said. Only a list of mistakes has several
// lines.
func (e *Error) Error() string {
	switch {
	case e.Message == "":
		return e.Reason.Error()
	case e.Reason == ErrNoBus:
		problem, hint, _ := strings.Cut(e.Reason.Error(), ";")
		return problem + ": " + e.Message + ";" + hint
	case e.Reason == ErrRefused:
		return e.Message
	case e.Reason == ErrBadConfiguration:
		return e.Reason.Error() + ":\n" + e.Message
	}
	return e.Reason.Error() + ": " + strings.Join(strings.Fields(e.Message), " ")
}

func (e *Error) Unwrap() error { return e.Reason }
