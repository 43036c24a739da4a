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

// Watch hears what happens, in order and each thing once, until ctx ends. It begins
// with ServerUp or ServerDown, survives the end of the server, and goes on when there is
// one again. An error, such as the loss of the bus, comes last. With names, of the
// clients only those of these names are asked for and heard of.
//
// From a server that has only the interfaces of se.recompile.Mandos the events are
// made of its signals, which do not tell who did what.
func (conn *Connection) Watch(ctx context.Context, names ...string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watcher{server: conn, names: names, clients: make(map[dbus.ObjectPath]*Client), byName: make(map[string]*Client)}
		w.yield = func(e Event) bool {
			if e.Time.IsZero() {
				e.Time = time.Now()
			}
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
	server   *Connection
	names    []string // of those that are watched; all if there are none
	yield    func(Event) bool
	owner    string // the server's unique name, empty without one
	full     bool   // it tells its events
	settings []Setting
	since    dbus.Sequence // what clients was read at; earlier signals are in it
	clients  map[dbus.ObjectPath]*Client
	byName   map[string]*Client
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
	all, err := w.server.clientsOf(ctx, owner, w.names...)
	if err == nil {
		w.settings, err = w.server.Settings(ctx)
	}
	var status Status
	if err == nil && all.full {
		status, err = w.server.Status(ctx)
	}
	if errors.Is(err, ErrNoServer) {
		return nil
	}
	if err != nil {
		return err
	}
	w.since, w.full = all.at, all.full
	for _, c := range all.clients {
		w.take(&c)
	}
	return w.tell(Event{Kind: ServerUp, Clients: all.clients, Lockdown: status.Lockdown.On})
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
		clear(w.byName)
		if err := w.tell(Event{Kind: ServerDown}); err != nil {
			return err
		}
	}
	if now == "" {
		return nil
	}
	return w.serverUp(ctx, now)
}

// event reads a signal of the server's, if it is one that tells something.
func (w *watcher) event(signal *dbus.Signal) (e Event, ok bool, err error) {
	switch signal.Name {
	case ServerInterface1 + ".Happened":
		return w.happened(signal)
	case ObjectManagerInterface + ".InterfacesAdded":
		e, ok, err = w.added(signal)
	case ObjectManagerInterface + ".InterfacesRemoved":
		e, ok, err = w.removed(signal)
	case PropertiesInterface + ".PropertiesChanged":
		e, ok, err = w.changed(signal)
	default:
		if w.full {
			return e, false, nil
		}
		e, ok, err = w.told(signal)
	}
	return e, ok && !w.full, err
}

// happened reads what a server tells that tells its events, after all else that is told
// of the same.
func (w *watcher) happened(signal *dbus.Signal) (e Event, ok bool, err error) {
	var fields map[string]dbus.Variant
	if err := dbus.Store(signal.Body, &fields); err != nil {
		return e, false, err
	}
	if e, err = DecodeEvent(fields); err != nil {
		return e, false, err
	}
	if e.Client != "" && !w.watches(e.Client) {
		return e, false, nil
	}
	if c, known := w.byName[e.Client]; known {
		e.Now = *c
	}
	return e, true, nil
}

func (w *watcher) take(c *Client) { w.clients[c.Path], w.byName[c.Name] = c, c }

func (w *watcher) watches(name string) bool {
	return len(w.names) == 0 || slices.Contains(w.names, name)
}

// told makes an event of a signal of a server that has no other.
func (w *watcher) told(signal *dbus.Signal) (e Event, ok bool, err error) {
	if signal.Name == ServerInterface+".ClientNotFound" {
		e.Kind = NotFound
		return e, true, dbus.Store(signal.Body, &e.Key, &e.Address)
	}
	member, ok := strings.CutPrefix(signal.Name, ClientInterface+".")
	c, known := w.clients[signal.Path]
	if !ok || !known {
		return e, false, nil
	}
	e = of(c)
	switch member {
	case "CheckerStarted":
		e.Kind = CheckerStarted
		err = dbus.Store(signal.Body, &e.Command)
	case "CheckerCompleted":
		e.Kind = CheckerCompleted
		var waitStatus int64
		err = dbus.Store(signal.Body, &e.Status, &waitStatus, &e.Command)
		if e.Status < 0 {
			e.Signal = int(waitStatus & 0x7f)
		}
	case "GotSecret":
		e.Kind = SecretSent
	case "Rejected":
		e.Kind = Rejected
		var text string
		err = dbus.Store(signal.Body, &text)
		e.Refusal = refusalOf(text)
	case "NeedApproval":
		e.Kind = ApprovalNeeded
	default:
		return e, false, nil
	}
	return e, true, err
}

// of begins an event of a client.
func of(c *Client) Event { return Event{Client: c.Name, Now: *c} }

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
	if err == nil {
		err = c.resolve(w.settings)
	}
	if err != nil || !w.watches(c.Name) {
		return e, false, err
	}
	_, known := w.clients[path]
	w.take(&c)
	e = of(&c)
	e.Kind = Added
	return e, !known, nil
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
	delete(w.byName, c.Name)
	return Event{Kind: Removed, Client: c.Name}, true, nil
}

// changed takes in new values, and makes an event of what they can mean.
func (w *watcher) changed(signal *dbus.Signal) (e Event, ok bool, err error) {
	var face string
	var values map[string]dbus.Variant
	var secret []string
	if err := dbus.Store(signal.Body, &face, &values, &secret); err != nil {
		return e, false, err
	}
	c, known := w.clients[signal.Path]
	if !known || face != ClientInterface && face != ClientInterface1 {
		return e, false, nil
	}
	if err := errors.Join(c.update(face, values), c.resolve(w.settings)); err != nil {
		return e, false, err
	}
	e = of(c)
	e.Changes, err = settingsIn(values, secret)
	switch _, enabled := values["Enabled"]; {
	case enabled && c.Enabled:
		e.Kind = Enabled
	case enabled:
		e.Kind = Disabled
	case len(e.Changes) > 0:
		e.Kind = Changed
	case !c.ApprovalPending && values["ApprovalPending"] != (dbus.Variant{}):
		e.Kind = ApprovalOver
	default:
		e.Kind = Refreshed
	}
	return e, true, err
}
