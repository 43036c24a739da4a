// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"

	"github.com/godbus/dbus/v5"
)

// Connection is a connection of one's own to the bus, and over it to the Mandos
// server.
type Connection struct {
	bus    *dbus.Conn
	cancel context.CancelFunc
}

// Connect connects to the bus at a D-Bus address; the empty one is the system
// bus, which DBUS_SYSTEM_BUS_ADDRESS may say the address of. It gives up when ctx
// ends.
func Connect(ctx context.Context, address string) (*Connection, error) {
	connection, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	options := []dbus.ConnOption{
		dbus.WithContext(connection),
		dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()),
	}
	var conn *dbus.Conn
	var err error
	if address == "" {
		conn, err = dbus.ConnectSystemBus(options...)
	} else {
		conn, err = dbus.Connect(address, options...)
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		return nil, noBus(err)
	}
	return &Connection{conn, cancel}, nil
}

// Close ends the connection.
func (conn *Connection) Close() error {
	defer conn.cancel()
	return conn.bus.Close()
}

// call calls a method and stores what it answers.
func (conn *Connection) call(ctx context.Context, path dbus.ObjectPath, method string, args []any, answer ...any) error {
	call := conn.bus.Object(BusName, path).CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...)
	if call.Err != nil {
		return explain(call.Err)
	}
	told := min(len(answer), len(call.Body)) // which differ in another version's answer
	if err := dbus.Store(call.Body[:told], answer[:told]...); err != nil {
		return &Error{Reason: ErrFailed, Message: "its answer cannot be understood; is it of another version?"}
	}
	return nil
}

// Process is the server as a process on the bus.
type Process struct {
	Name     string // its unique bus name
	UID, PID uint32
}

// Process asks the bus who the server is.
func (conn *Connection) Process(ctx context.Context) (p Process, err error) {
	var credentials map[string]dbus.Variant
	bus := conn.bus.BusObject()
	err = bus.CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, BusName).Store(&p.Name)
	if err == nil {
		err = bus.CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionCredentials", 0, p.Name).Store(&credentials)
	}
	p.UID, _ = credentials["UnixUserID"].Value().(uint32)
	p.PID, _ = credentials["ProcessID"].Value().(uint32)
	return p, explain(err)
}
