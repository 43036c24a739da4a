// SPDX-License-Identifier: Apache-2.0

package zeroconf

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/holoplot/go-avahi"
)

const (
	avahiName      = "org.freedesktop.Avahi"
	serverChanged  = "org.freedesktop.Avahi.Server.StateChanged"
	ownerChanged   = "org.freedesktop.DBus.NameOwnerChanged"
	collisionError = "org.freedesktop.Avahi.CollisionError"

	// maxRenames is how many names are tried before a pause.
	maxRenames = 20
)

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

// What there is to wait for.
const (
	noBus    = "the system bus cannot be reached"
	noAvahi  = "avahi-daemon is not running"
	noAnswer = "the bus or avahi-daemon does not answer"
	failed   = "avahi-daemon has failed"
	refused  = "avahi-daemon does not take the service"
	allTaken = "all similar service names are taken"
	noHost   = "avahi-daemon has no host name, another host has it"
)

// session is one connection to the bus and all that hangs on it.
type session struct {
	*Announcer
	ctx     context.Context // ends with the connection
	cancel  context.CancelCauseFunc
	conn    *dbus.Conn
	signals chan *dbus.Signal
	server  *avahi.Server
	group   *avahi.EntryGroup
	index   int32 // of the interface

	added   bool // the service is in the group
	renames int
}

// announce announces the service as long as that goes well.
func (a *Announcer) announce(ctx context.Context) error {
	index, err := a.interfaceIndex()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s := &session{Announcer: a, ctx: ctx, cancel: cancel, index: index}
	defer s.close()
	if err := s.answered(s.connect); err != nil {
		return err
	}
	if err := s.awaitAvahi(); err != nil {
		return err
	}
	if err := s.answered(s.begin); err != nil {
		return err
	}
	return s.follow()
}

// interfaceIndex is Avahi's number for the interface, or for all of them.
func (a *Announcer) interfaceIndex() (int32, error) {
	if a.service.Interface == "" {
		return avahi.InterfaceUnspec, nil
	}
	link, err := net.InterfaceByName(a.service.Interface)
	if err != nil {
		return 0, trouble{"there is no interface " + a.service.Interface, err}
	}
	return int32(link.Index), nil
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
	if s.server, err = avahi.ServerNew(conn); err != nil {
		return trouble{noAvahi, err}
	}
	// go-avahi subscribes to an interface that has no signals, and it does not
	// notice when Avahi comes and goes.
	err = errors.Join(
		conn.AddMatchSignal(dbus.WithMatchInterface(avahiName+".Server"), dbus.WithMatchMember("StateChanged")),
		conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, avahiName)),
	)
	if err != nil {
		return trouble{noBus, err}
	}
	return nil
}

// close ends the connection, upon which Avahi withdraws the service. go-avahi's
// goroutine must be told to end, or it spins, and its channel be emptied, or it
// waits for ever.
func (s *session) close() {
	s.cancel(nil)
	if s.server == nil {
		return
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.server.Close()
	}()
	for {
		select {
		case <-closed:
			return
		case _, open := <-s.signals:
			if !open {
				s.signals = nil
			}
		case <-s.groupStates():
		}
	}
}

// awaitAvahi waits for avahi-daemon without making the bus start it: whoever
// stopped it meant to.
func (s *session) awaitAvahi() error {
	var present bool
	err := s.answered(func() error {
		if err := s.conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, avahiName).Store(&present); err != nil {
			return trouble{noBus, err}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if present {
		return nil
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

// appeared tells whether a signal says that the name has an owner now.
func appeared(signal *dbus.Signal) bool {
	var name, from, to string
	return signal != nil && signal.Name == ownerChanged && dbus.Store(signal.Body, &name, &from, &to) == nil && to != ""
}

// begin makes an entry group, and fills it if Avahi is ready for that.
func (s *session) begin() error {
	group, err := s.server.EntryGroupNew()
	if err != nil {
		return trouble{noAvahi, err}
	}
	s.group = group
	state, err := s.server.GetState()
	if err != nil {
		return trouble{noAvahi, err}
	}
	return s.serverState(state)
}

// follow does what Avahi's changes of state ask for, until something is wrong.
func (s *session) follow() error {
	look := time.NewTicker(interfacePeriod)
	defer look.Stop()
	for {
		var err error
		select {
		case <-s.conn.Context().Done():
			return trouble{what: noBus}
		case signal := <-s.signals:
			err = s.answered(func() error { return s.signal(signal) })
		case state := <-s.groupStates():
			err = s.answered(func() error { return s.groupState(state) })
		case <-look.C:
			err = s.sameInterface()
		}
		if err != nil {
			return err
		}
	}
}

// groupStates never yields anything while there is no group.
func (s *session) groupStates() <-chan avahi.EntryGroupState {
	if s.group == nil {
		return nil
	}
	return s.group.StateChangeChannel
}

func (s *session) signal(signal *dbus.Signal) error {
	switch {
	case signal == nil:
		return trouble{what: noBus}
	case signal.Name == ownerChanged:
		return trouble{what: noAvahi}
	case signal.Name == serverChanged:
		var state int32
		var reason string
		if err := dbus.Store(signal.Body, &state, &reason); err != nil {
			return trouble{noAvahi, err}
		}
		s.log.Debug("Avahi server state change", "state", state)
		return s.serverState(state)
	}
	return nil
}

// serverState follows the state of Avahi's host name, without which there are no services.
func (s *session) serverState(state int32) error {
	switch state {
	case avahi.ServerRunning:
		return s.add()
	case avahi.ServerFailure:
		return trouble{what: failed}
	case avahi.ServerCollision:
		s.become(State{Phase: Waiting, Detail: noHost})
	default:
		s.become(State{Phase: Announcing, Name: s.service.Name})
	}
	if !s.added {
		return nil
	}
	return s.withdraw()
}

func (s *session) withdraw() error {
	s.added = false
	if err := s.group.Reset(); err != nil {
		return trouble{noAvahi, err}
	}
	return nil
}

// groupState follows the state of the service.
func (s *session) groupState(state avahi.EntryGroupState) error {
	s.log.Debug("Avahi entry group state change", "state", state.State)
	switch state.State {
	case avahi.EntryGroupEstablished:
		s.established()
	case avahi.EntryGroupCollision:
		s.log.Info("Zeroconf service name collision")
		if err := s.withdraw(); err != nil {
			return err
		}
		if err := s.rename(); err != nil {
			return err
		}
		return s.add()
	case avahi.EntryGroupFailure:
		return trouble{refused, errors.New(state.Error)}
	}
	return nil
}

// add puts the service into the group, under the first name that no other
// service on this machine has.
func (s *session) add() error {
	if s.added {
		return nil
	}
	protocol := int32(avahi.ProtoInet6)
	if s.service.IPv4 {
		protocol = avahi.ProtoInet
	}
	for {
		s.become(State{Phase: Announcing, Name: s.service.Name})
		s.log.Debug("Adding Zeroconf service", "name", s.service.Name, "type", s.service.Type)
		err := s.group.AddService(s.index, protocol, 0, s.service.Name, s.service.Type, "", "", s.service.Port, nil)
		var said dbus.Error
		if errors.As(err, &said) && said.Name == collisionError {
			s.log.Info("Local Zeroconf service name collision")
			if err := s.rename(); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			err = s.group.Commit()
		}
		if err != nil {
			return trouble{refused, err}
		}
		s.added = true
		return nil
	}
}

func (s *session) rename() error {
	if s.renames++; s.renames > maxRenames {
		return trouble{what: allTaken}
	}
	name, err := s.server.GetAlternativeServiceName(s.service.Name)
	if err != nil {
		return trouble{allTaken, err}
	}
	s.log.Info("Changing Zeroconf service name", "from", s.service.Name, "to", name)
	s.service.Name = name
	return nil
}

// sameInterface fails when the interface is another one than the service was
// announced on.
func (s *session) sameInterface() error {
	index, err := s.interfaceIndex()
	if err == nil && index != s.index {
		err = trouble{what: "the interface " + s.service.Interface + " was replaced"}
	}
	return err
}
