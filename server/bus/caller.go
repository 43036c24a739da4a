// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"sync"

	"github.com/godbus/dbus/v5"

	"mandos/server/client"
)

// maxCallers bounds the callers that are remembered.
const maxCallers = 256

// callers knows who is behind the unique names that call. It remembers a caller
// until it leaves the bus, which no other will ever have the same name on.
type callers struct {
	mu    sync.Mutex
	known map[string]client.Actor
}

// watch has the bus tell which callers leave.
func (k *callers) watch(ctx context.Context, conn *dbus.Conn) error {
	return conn.AddMatchSignalContext(ctx,
		dbus.WithMatchSender("org.freedesktop.DBus"),
		dbus.WithMatchInterface("org.freedesktop.DBus"),
		dbus.WithMatchMember("NameOwnerChanged"),
		dbus.WithMatchArg(2, ""))
}

// DeliverSignal takes the signals of the link's connection.
func (k *callers) DeliverSignal(face, member string, signal *dbus.Signal) {
	if signal.Sender != "org.freedesktop.DBus" || member != "NameOwnerChanged" || len(signal.Body) == 0 {
		return
	}
	name, _ := signal.Body[0].(string)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.known, name)
}

// actor finds out who is behind a unique name. Nobody is any more when the
// caller did not wait for its answer.
func (k *callers) actor(ctx context.Context, conn *dbus.Conn, name string) (client.Actor, error) {
	k.mu.Lock()
	actor, ok := k.known[name]
	k.mu.Unlock()
	if ok {
		return actor, nil
	}
	actor = client.Actor{Kind: client.Caller, BusName: name}
	var credentials map[string]dbus.Variant
	err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionCredentials", 0, name).Store(&credentials)
	var answer dbus.Error
	switch {
	case errors.As(err, &answer) && answer.Name == "org.freedesktop.DBus.Error.NameHasNoOwner":
		return actor, nil
	case err != nil:
		return actor, err
	}
	actor.UID, _ = credentials["UnixUserID"].Value().(uint32)
	actor.PID, _ = credentials["ProcessID"].Value().(uint32)
	k.remember(name, actor)
	return actor, nil
}

func (k *callers) remember(name string, actor client.Actor) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = make(map[string]client.Actor)
	}
	for other := range k.known {
		if len(k.known) < maxCallers {
			break
		}
		delete(k.known, other)
	}
	k.known[name] = actor
}
