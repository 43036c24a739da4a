// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

const (
	// connectTimeout bounds everything up to owning the bus name.
	connectTimeout = 10 * time.Second
	// maxQueued bounds the events that wait to be sent. It is more than a reload
	// of ten thousand clients causes at once.
	maxQueued = 1 << 15
)

// link is the service on one connection to the bus. It ends with its context,
// for good: the next connection is another link.
type link struct {
	service *Service
	conn    *dbus.Conn
	ctx     context.Context
	drop    context.CancelCauseFunc
	queue   chan item
	turns   turns
	callers callers
	told    map[string]any // the values of the server's properties that were told last
}

// item is what the link's sender works off: an event to send signals for, or
// any signals, or somebody to tell that everything before was sent.
type item struct {
	event   *client.Event
	signals []signal
	sent    chan<- struct{}
}

// serve brings the service on the bus and returns when that fails or ends. It
// reports whether it was up in between.
func (s *Service) serve(ctx context.Context) (wasUp bool, err error) {
	lasting, drop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer drop(nil)
	l := &link{service: s, ctx: lasting, drop: drop, queue: make(chan item, maxQueued), told: make(map[string]any)}
	leave := context.AfterFunc(ctx, func() { drop(context.Cause(ctx)) })
	defer func() { leave() }()
	tooSlow := time.AfterFunc(connectTimeout, func() { drop(errors.New("the bus does not answer")) })
	defer tooSlow.Stop()
	if err := l.connect(s.address); err != nil {
		return false, l.why(err)
	}
	// Events are kept from here on, so that none is missed between the
	// announcement and what was announced.
	l.serverProperties(serverInterface1.properties)
	s.link.Store(l)
	defer s.link.Store(nil)
	// Last of all: whoever sees the name can call.
	if err := takeName(l.ctx, l.conn); err != nil {
		return false, l.why(err)
	}
	tooSlow.Stop()
	s.connected()
	go l.send()
	leave()
	leave = context.AfterFunc(ctx, func() {
		l.showAllGone()
		drop(context.Cause(ctx))
	})
	<-l.conn.Context().Done()
	return true, l.why(errors.New("the bus closed the connection"))
}

// why is the reason for which the link was dropped, or else err.
func (l *link) why(err error) error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	return err
}

func (l *link) connect(address string) (err error) {
	options := []dbus.ConnOption{
		dbus.WithContext(l.ctx),
		dbus.WithHandler(handler{l}),
		dbus.WithSignalHandler(&l.callers),
		dbus.WithIncomingInterceptor(l.turns.arrive),
		dbus.WithOutgoingInterceptor(markDicts),
	}
	if address == "" {
		l.conn, err = dbus.ConnectSystemBus(options...)
	} else {
		l.conn, err = dbus.Connect(address, options...)
	}
	if err != nil {
		return err
	}
	return l.callers.watch(l.ctx, l.conn)
}

// ErrTaken is what prevents a second server on the bus.
var ErrTaken = fmt.Errorf("the name %s is taken: another Mandos server is running", dbusapi.BusName)

func takeName(ctx context.Context, conn *dbus.Conn) error {
	var reply dbus.RequestNameReply
	err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.RequestName", 0,
		dbusapi.BusName, uint32(dbus.NameFlagDoNotQueue)).Store(&reply)
	var answer dbus.Error
	switch {
	case errors.As(err, &answer) && answer.Name == dbusapi.ErrorAccessDenied:
		// The bus's own words have another connection in them each time.
		return fmt.Errorf("the bus policy does not let the server own the name %s: is mandos.conf in the bus's system.d directory, and the server's user root or in the group _mandos?", dbusapi.BusName)
	case err != nil:
		return fmt.Errorf("cannot own the name %s: %w", dbusapi.BusName, err)
	case reply != dbus.RequestNameReplyPrimaryOwner:
		return ErrTaken
	}
	return nil
}

// enqueue never blocks. A bus that is so far behind is given up: on the next
// connection everybody reads everything anew.
func (l *link) enqueue(it item) {
	select {
	case l.queue <- it:
	default:
		l.drop(fmt.Errorf("the bus is %d events behind", maxQueued))
	}
}

// flush waits until everything queued so far was sent.
func (l *link) flush(ctx context.Context) {
	sent := make(chan struct{})
	l.enqueue(item{sent: sent})
	select {
	case <-sent:
	case <-ctx.Done():
	}
}

// send works off the queue until the link ends. A bus that does not read holds
// it up, which is why nobody waits for its end.
func (l *link) send() {
	l.announce()
	for {
		select {
		case it := <-l.queue:
			if it.event != nil {
				l.emit(l.signals(*it.event)...)
			}
			l.emit(it.signals...)
			if it.sent != nil {
				close(it.sent)
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// announce shows all clients to those who were there before the server:
// mandos-monitor finds them no other way.
func (l *link) announce() {
	for _, view := range l.service.registry.Clients() {
		l.emit(added(view)...)
	}
}

// leaveTime is how long a bus has to take what is sent at the end.
const leaveTime = 2 * time.Second

// showAllGone shows all clients to be gone, as they are when the server has ended:
// mandos-monitor keeps them otherwise, and shows those of the next server besides.
func (l *link) showAllGone() {
	ctx, cancel := context.WithTimeout(l.ctx, leaveTime)
	defer cancel()
	var all []signal
	for _, view := range l.service.registry.Clients() {
		all = append(all, removed(view)...)
	}
	l.enqueue(item{signals: all})
	l.flush(ctx)
}

func (l *link) emit(signals ...signal) {
	for _, sig := range signals {
		if err := l.conn.Emit(sig.path, sig.name, sig.body...); err != nil {
			l.drop(err)
			return
		}
	}
}

// markDicts gives a message the signature it should have. A dictionary is
// marshalled exactly as an array of structures is (D-Bus Specification,
// "Marshalling (Wire Format)"), so dictionaries are kept as slices of pairs,
// which keep their order and cost less than maps; nothing on these interfaces has
// a structure.
func markDicts(msg *dbus.Message) {
	signature, ok := msg.Headers[dbus.FieldSignature].Value().(dbus.Signature)
	if !ok || !strings.Contains(signature.String(), "(") {
		return
	}
	marked := strings.NewReplacer("(", "{", ")", "}").Replace(signature.String())
	msg.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.ParseSignatureMust(marked))
}
