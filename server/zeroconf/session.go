// SPDX-License-Identifier: Apache-2.0

package zeroconf

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/holoplot/go-avahi"
)

// Names of D-Bus and Avahi.
const (
	dbusName   = "org.freedesktop.DBus"
	avahiName  = "org.freedesktop.Avahi"
	avahiGroup = avahiName + ".EntryGroup"

	ownerChanged   = dbusName + ".NameOwnerChanged"
	serverChanged  = avahiName + ".Server.StateChanged"
	groupFree      = avahiGroup + ".Free"
	groupChanged   = avahiGroup + ".StateChanged"
	itemNew        = avahiName + ".ServiceBrowser.ItemNew"
	itemRemoved    = avahiName + ".ServiceBrowser.ItemRemove"
	browserFailed  = avahiName + ".ServiceBrowser.Failure"
	collisionError = avahiName + ".CollisionError"
)

// maxRenames is how many names are tried before a pause.
const maxRenames = 20

// trouble ends a session: what to wait for, and why if that is known.
type trouble struct {
	what  string
	cause error
}

func (t trouble) Error() string {
	if t.cause == nil {
		return t.what
	}
	return t.what + ": " + t.cause.Error()
}

func (t trouble) Unwrap() error { return t.cause }

// What there is to wait for.
const (
	noBus    = "the system bus cannot be reached"
	noAvahi  = "avahi-daemon is not running"
	noAnswer = "the bus or avahi-daemon does not answer"
	failed   = "avahi-daemon has failed"
	refused  = "avahi-daemon does not take the service"
	allTaken = "all similar service names are taken"
	noHost   = "avahi-daemon has no host name, another host has it"
	unseen   = "avahi-daemon shows the service on no network; is there a cable, and what do the interfaces and protocols in avahi-daemon.conf say?"
)

// session is one connection to the bus and all that hangs on it.
type session struct {
	*Announcer
	ctx     context.Context // ends with the connection
	cancel  context.CancelCauseFunc
	conn    *dbus.Conn
	signals chan *dbus.Signal

	running bool     // Avahi has a host name, without which there are no services
	host    string   // that name
	domain  string   // that it is in
	groups  []*group // what is announced
	seen    map[sighting]bool
	renames int
	// overdue runs while the service is looked for and cannot be found.
	overdue *time.Timer
	looking bool
}

// sighting is what a browser shows.
type sighting struct {
	index, protocol int32
	name            string
}

// announce announces the service as long as that goes well.
func (a *Announcer) announce(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &session{Announcer: a, ctx: ctx, cancel: cancel, seen: map[sighting]bool{}, overdue: time.NewTimer(a.sight)}
	defer s.overdue.Stop()
	if err := s.answered(s.connect); err != nil {
		return err
	}
	// Upon which Avahi withdraws the service.
	defer s.conn.Close()
	if err := s.awaitAvahi(); err != nil {
		return err
	}
	if err := s.answered(s.begin); err != nil {
		return err
	}
	return s.follow()
}

// answered limits how long do may wait for answers, for the calls have no
// deadlines of their own: the connection is closed.
func (s *session) answered(do func() error) error {
	timer := time.AfterFunc(s.timeout, func() { s.cancel(trouble{what: noAnswer}) })
	defer timer.Stop()
	err := do()
	if cause := context.Cause(s.ctx); cause != nil {
		return cause
	}
	return err
}

func (s *session) connect() error {
	conn, err := s.dial(dbus.WithContext(s.ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		return trouble{noBus, err}
	}
	s.conn = conn
	s.signals = make(chan *dbus.Signal)
	conn.Signal(s.signals)
	err = errors.Join(
		conn.AddMatchSignal(dbus.WithMatchSender(avahiName)),
		conn.AddMatchSignal(dbus.WithMatchInterface(dbusName), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, avahiName)),
	)
	if err != nil {
		return trouble{noBus, err}
	}
	return nil
}

// call calls a method of one of Avahi's objects, without having Avahi started.
func (s *session) call(path dbus.ObjectPath, method string, args ...any) *dbus.Call {
	return s.conn.Object(avahiName, path).Call(method, dbus.FlagNoAutoStart, args...)
}

// server calls a method of Avahi's server.
func (s *session) server(method string, args ...any) *dbus.Call {
	return s.call("/", avahiName+".Server."+method, args...)
}

// awaitAvahi waits for avahi-daemon. A bus that was started anew has lost it, before
// or with the connections of others, and it comes back when somebody asks for it: then
// we do, once. Otherwise whoever stopped it meant to.
func (s *session) awaitAvahi() error {
	var present bool
	var bus string
	err := s.answered(func() error {
		err := errors.Join(
			s.conn.BusObject().Call(dbusName+".NameHasOwner", 0, avahiName).Store(&present),
			s.conn.BusObject().Call(dbusName+".GetId", 0).Store(&bus),
		)
		if err != nil {
			return trouble{noBus, err}
		}
		return nil
	})
	if err != nil {
		return err
	}
	known := bus == s.bus
	s.bus = bus
	if present {
		return nil
	}
	if !known {
		s.conn.BusObject().Go(dbusName+".StartServiceByName", dbus.FlagNoReplyExpected, nil, avahiName, uint32(0))
	}
	s.become(State{Phase: Waiting, Detail: noAvahi})
	for {
		select {
		case <-s.conn.Context().Done():
			return trouble{what: noBus}
		case signal := <-s.signals:
			if appeared(signal) {
				return nil
			}
		}
	}
}

// appeared reports whether a signal says that the name has an owner now.
func appeared(signal *dbus.Signal) bool {
	var name, from, to string
	return signal != nil && signal.Name == ownerChanged && dbus.Store(signal.Body, &name, &from, &to) == nil && to != ""
}

// begin looks for services, and announces ours if Avahi is ready for that.
func (s *session) begin() error {
	var state int32
	everywhere, anyProtocol := int32(avahi.InterfaceUnspec), int32(avahi.ProtoUnspec)
	err := s.server("ServiceBrowserNew", everywhere, anyProtocol, s.service.Type, "", uint32(0)).Err
	if err == nil {
		err = s.server("GetState").Store(&state)
	}
	if err != nil {
		return trouble{noAvahi, err}
	}
	return s.serverState(state)
}

// follow does what the changes ask for, until something is wrong.
func (s *session) follow() error {
	pulse := time.NewTicker(s.pulse)
	defer pulse.Stop()
	for {
		var err error
		select {
		case <-s.conn.Context().Done():
			return trouble{what: noBus}
		case signal := <-s.signals:
			err = s.answered(func() error { return s.signal(signal) })
		case <-s.moved:
			err = s.answered(s.arrange)
		case <-s.overdue.C:
			s.tell(true)
		case <-pulse.C:
			err = s.answered(s.ping)
		}
		if err != nil {
			return err
		}
	}
}

// ping asks for what signals tell anyway: that Avahi answers is what counts.
func (s *session) ping() error {
	if err := s.server("GetState").Err; err != nil {
		return trouble{noAvahi, err}
	}
	return nil
}

func (s *session) signal(signal *dbus.Signal) error {
	switch {
	case signal == nil:
		return trouble{what: noBus}
	case signal.Name == ownerChanged:
		return trouble{what: noAvahi}
	case signal.Name == serverChanged:
		return s.serverSignal(signal)
	case signal.Name == groupChanged:
		return s.groupSignal(signal)
	case signal.Name == itemNew, signal.Name == itemRemoved:
		return s.browserSignal(signal)
	case signal.Name == browserFailed:
		return trouble{what: failed}
	}
	return nil
}

func (s *session) serverSignal(signal *dbus.Signal) error {
	var state int32
	var reason string
	if err := dbus.Store(signal.Body, &state, &reason); err != nil {
		return trouble{noAvahi, err}
	}
	s.log.Debug("Avahi server state change", "state", state)
	return s.serverState(state)
}

// serverState follows the state of Avahi's host name.
func (s *session) serverState(state int32) error {
	s.running = state == avahi.ServerRunning
	switch state {
	case avahi.ServerRunning:
		if err := errors.Join(s.server("GetHostName").Store(&s.host), s.server("GetDomainName").Store(&s.domain)); err != nil {
			return trouble{noAvahi, err}
		}
		return s.arrange()
	case avahi.ServerFailure:
		return trouble{what: failed}
	case avahi.ServerCollision:
		s.become(State{Phase: Waiting, Detail: noHost})
	default:
		s.become(State{Phase: Announcing, Name: s.service.Name})
	}
	return s.withdraw()
}

// browserSignal notes which services can be found, and where. Those of other hosts do
// not matter: where ours is established, no other has its name.
func (s *session) browserSignal(signal *dbus.Signal) error {
	var item avahi.Service
	if err := dbus.Store(signal.Body, &item.Interface, &item.Protocol, &item.Name, &item.Type, &item.Domain, &item.Flags); err != nil {
		return trouble{noAvahi, err}
	}
	at := sighting{item.Interface, item.Protocol, item.Name}
	if signal.Name == itemNew {
		s.seen[at] = true
	} else {
		delete(s.seen, at)
	}
	s.tell(false)
	return nil
}

// tell says how the announcement stands. That it cannot be found is told when it is
// overdue.
func (s *session) tell(overdue bool) {
	if !s.running {
		return // and that was told
	}
	state := State{Phase: Announcing, Name: s.service.Name}
	target := s.whereTo()
	found := s.found(target.Places)
	switch {
	case len(target.Places) == 0:
		state = State{Phase: Waiting, Detail: target.Nowhere}
	case len(found) > 0:
		state = State{Phase: Announced, Name: s.service.Name, Detail: inWords(found)}
	case overdue || s.State().Detail == unseen:
		state = State{Phase: Waiting, Detail: unseen}
	case !s.looking:
		s.overdue.Reset(s.sight)
	}
	s.looking = state.Phase == Announcing
	s.become(state)
}

// found are those of the places where a browser finds the service.
func (s *session) found(places []Place) (found []string) {
	for _, p := range places {
		established := slices.ContainsFunc(s.groups, func(g *group) bool { return g.established && g.covers(p) })
		if established && s.seen[sighting{p.Index, p.protocol(), s.service.Name}] {
			found = append(found, p.String())
		}
	}
	return found
}

func (s *session) rename() error {
	if s.renames++; s.renames > maxRenames {
		return trouble{what: allTaken}
	}
	var name string
	if err := s.server("GetAlternativeServiceName", s.service.Name).Store(&name); err != nil {
		return trouble{allTaken, err}
	}
	s.log.Info("Changing Zeroconf service name", "from", s.service.Name, "to", name)
	s.service.Name = name
	return nil
}

// isCollision reports whether another service of this machine has the name.
func isCollision(err error) bool {
	var said dbus.Error
	return errors.As(err, &said) && said.Name == collisionError
}
