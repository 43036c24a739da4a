// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// EventKind says what happened.
type EventKind string

// What can happen, and which fields of the Event go with it.
const (
	ServerUp         EventKind = "server up" // Clients
	ServerDown       EventKind = "server down"
	ClientAdded      EventKind = "client added"
	ClientRemoved    EventKind = "client removed"
	Changed          EventKind = "changed"           // Properties
	CheckerStarted   EventKind = "checker started"   // Command
	CheckerCompleted EventKind = "checker completed" // Command, Status, Signal
	GotSecret        EventKind = "got secret"
	Rejected         EventKind = "rejected"         // Reason
	NeedApproval     EventKind = "need approval"    // Delay, ByDefault
	ClientNotFound   EventKind = "client not found" // KeyID, Address; no Client
	Happened         EventKind = "happened"         // Happening; no Client
)

// Event is something that happened, as the bus told it.
type Event struct {
	Kind EventKind
	Time time.Time // when it was heard of
	// Client is the client as the event left it.
	Client Client
	// Clients are all clients, sorted by name.
	Clients []Client

	Properties     []string // the names of those that changed
	Command        string
	Status, Signal int // Status is -1 for a checker that was killed by Signal
	Reason         string
	Delay          time.Duration // how long the approval is waited for
	ByDefault      bool          // what is decided after that
	KeyID, Address string

	// Happening is what other kinds of event tell in part, and more: whoever
	// only wants to know what happens needs no other. It comes after them.
	Happening Happening
}

// Watch hears what happens, in order, until ctx ends. It begins with ServerUp
// or ServerDown, survives the end of the server, and goes on when there is one
// again. An error, such as the loss of the bus, comes last. With names, of the clients
// only those of these names are asked for and heard of.
func (conn *Connection) Watch(ctx context.Context, names ...string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watcher{server: conn, names: names, clients: make(map[dbus.ObjectPath]*Client)}
		w.yield = func(e Event) bool {
			e.Time = time.Now()
			return yield(e, nil)
		}
		if err := w.watch(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, errEnough) {
			yield(Event{}, err)
		}
	}
}

// errEnough ends a watch whose reader broke off.
var errEnough = errors.New("the reader has enough")

// watcher follows the server's signals.
type watcher struct {
	server  *Connection
	names   []string // of those that are watched; all if there are none
	yield   func(Event) bool
	owner   string        // the server's unique name, empty without one
	since   dbus.Sequence // what clients was read at; earlier signals are in it
	clients map[dbus.ObjectPath]*Client
}

func (w *watcher) watch(ctx context.Context) error {
	conn := w.server.bus
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	defer conn.RemoveSignal(signals)
	for _, rule := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(BusName)},
		{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, BusName)},
	} {
		if err := conn.AddMatchSignalContext(ctx, rule...); err != nil {
			return explain(err)
		}
		defer func() {
			_ = conn.RemoveMatchSignalContext(context.WithoutCancel(ctx), rule...) // the bus may be gone
		}()
	}
	if err := w.findServer(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case signal, ok := <-signals:
			if !ok {
				return &Error{Reason: ErrNoBus, Message: "it closed the connection"}
			}
			if err := w.hear(ctx, signal); err != nil {
				return err
			}
		}
	}
}

// findServer asks who the server is at the start of the watch.
func (w *watcher) findServer(ctx context.Context) error {
	var owner string
	err := explain(w.server.bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, BusName).Store(&owner))
	switch {
	case errors.Is(err, ErrNoServer):
		return w.tell(Event{Kind: ServerDown})
	case err != nil:
		return err
	}
	return w.serverUp(ctx, owner)
}

// serverUp reads all clients of a new server. One that is gone already is
// told of by the bus next.
func (w *watcher) serverUp(ctx context.Context, owner string) error {
	w.owner = owner
	clients, at, err := w.server.clientsOf(ctx, owner, w.names...)
	if errors.Is(err, ErrNoServer) {
		return nil
	}
	if err != nil {
		return err
	}
	w.since = at
	for _, c := range clients {
		w.clients[c.Path] = &c
	}
	return w.tell(Event{Kind: ServerUp, Clients: clients})
}

func (w *watcher) tell(e Event) error {
	if !w.yield(e) {
		return errEnough
	}
	return nil
}

// hear turns a signal into an event.
func (w *watcher) hear(ctx context.Context, signal *dbus.Signal) error {
	switch {
	case signal.Sender == "org.freedesktop.DBus" && signal.Name == "org.freedesktop.DBus.NameOwnerChanged":
		return w.ownerChanged(ctx, signal)
	case signal.Sender != w.owner || signal.Sequence < w.since:
		return nil
	}
	e, ok, err := w.event(signal)
	switch {
	case err != nil:
		return fmt.Errorf("the server's signal %s cannot be understood: %w", signal.Name, err)
	case !ok:
		return nil
	}
	return w.tell(e)
}

func (w *watcher) ownerChanged(ctx context.Context, signal *dbus.Signal) error {
	var name, before, now string
	if err := dbus.Store(signal.Body, &name, &before, &now); err != nil || name != BusName || now == w.owner {
		return err
	}
	if w.owner != "" {
		w.owner = ""
		clear(w.clients)
		if err := w.tell(Event{Kind: ServerDown}); err != nil {
			return err
		}
	}
	if now == "" {
		return nil
	}
	return w.serverUp(ctx, now)
}

// event reads a signal of the server's. Most that are told of a client say
// nothing when the client is unknown.
func (w *watcher) event(signal *dbus.Signal) (e Event, ok bool, err error) {
	switch signal.Name {
	case ObjectManagerInterface + ".InterfacesAdded":
		return w.added(signal)
	case ObjectManagerInterface + ".InterfacesRemoved":
		return w.removed(signal)
	case ServerInterface + ".ClientNotFound":
		e.Kind = ClientNotFound
		err = dbus.Store(signal.Body, &e.KeyID, &e.Address)
		return e, true, err
	case ServerInterface1 + ".Happened":
		e.Kind = Happened
		e.Happening, err = readHappening(signal)
		return e, true, err
	}
	c, known := w.clients[signal.Path]
	if !known {
		return e, false, nil
	}
	if signal.Name == PropertiesInterface+".PropertiesChanged" {
		return w.changed(c, signal)
	}
	e.Client = *c
	ok, err = e.readClientSignal(signal)
	return e, ok, err
}

// readClientSignal reads what a signal of the client's interface says.
func (e *Event) readClientSignal(signal *dbus.Signal) (ok bool, err error) {
	member, ok := strings.CutPrefix(signal.Name, ClientInterface+".")
	switch {
	case !ok:
		return false, nil
	case member == "CheckerStarted":
		e.Kind = CheckerStarted
		return true, dbus.Store(signal.Body, &e.Command)
	case member == "CheckerCompleted":
		e.Kind = CheckerCompleted
		var waitStatus int64
		err := dbus.Store(signal.Body, &e.Status, &waitStatus, &e.Command)
		if e.Status < 0 {
			e.Signal = int(waitStatus & 0x7f)
		}
		return true, err
	case member == "GotSecret":
		e.Kind = GotSecret
		return true, nil
	case member == "Rejected":
		e.Kind = Rejected
		return true, dbus.Store(signal.Body, &e.Reason)
	case member == "NeedApproval":
		e.Kind = NeedApproval
		var ms uint64
		err := dbus.Store(signal.Body, &ms, &e.ByDefault)
		e.Delay = time.Duration(ms) * time.Millisecond
		return true, err
	}
	return false, nil
}

// added takes in a new client. A server that starts also tells of all that it
// has, which are known by then.
func (w *watcher) added(signal *dbus.Signal) (e Event, ok bool, err error) {
	var path dbus.ObjectPath
	var interfaces map[string]map[string]dbus.Variant
	if err := dbus.Store(signal.Body, &path, &interfaces); err != nil {
		return e, false, err
	}
	if _, isClient := interfaces[ClientInterface]; !isClient {
		return e, false, nil
	}
	c, err := readClient(path, interfaces)
	_, known := w.clients[path]
	w.clients[path] = &c
	return Event{Kind: ClientAdded, Client: c}, !known, err
}

func (w *watcher) removed(signal *dbus.Signal) (e Event, ok bool, err error) {
	var path dbus.ObjectPath
	var interfaces []string
	if err := dbus.Store(signal.Body, &path, &interfaces); err != nil {
		return e, false, err
	}
	c, known := w.clients[path]
	if !known || !slices.Contains(interfaces, ClientInterface) {
		return e, false, nil
	}
	delete(w.clients, path)
	return Event{Kind: ClientRemoved, Client: *c}, true, nil
}

func (w *watcher) changed(c *Client, signal *dbus.Signal) (e Event, ok bool, err error) {
	var face string
	var values map[string]dbus.Variant
	var properties []string
	if err := dbus.Store(signal.Body, &face, &values, &properties); err != nil {
		return e, false, err
	}
	if face != ClientInterface && face != ClientInterface1 {
		return e, false, nil
	}
	for name := range values {
		properties = append(properties, name)
	}
	slices.Sort(properties)
	err = update(values, c.field)
	return Event{Kind: Changed, Client: *c, Properties: properties}, true, err
}
