// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

const (
	// callTimeout bounds a call from its arrival on, waiting for earlier ones
	// included. It is less than the 25 s for which most callers wait.
	callTimeout = 20 * time.Second
	// maxCalls and maxCallsOfOne bound the calls that are being worked off. The
	// latter is what a system bus allows a connection to have unanswered.
	maxCalls      = 1024
	maxCallsOfOne = 128
	// maxWaitingBytes bounds the arguments of calls that are being worked off. The
	// longest message of a system bus has room, and many of the longest secret.
	maxWaitingBytes = 64 << 20
)

// call is one method call on its way through the server.
type call struct {
	subject
	service *Service
	link    *link
	ctx     context.Context
	object  *object
	path    string
	sender  string
	args    []any
}

// handler takes every call of a link from the D-Bus library, whatever its
// object, interface and member, and gives it to dispatch.
type handler struct{ link *link }

func (h handler) LookupObject(dbus.ObjectPath) (dbus.ServerObject, bool) { return h, true }
func (h handler) LookupInterface(string) (dbus.Interface, bool)          { return h, true }
func (h handler) LookupMethod(string) (dbus.Method, bool)                { return h, true }
func (h handler) NumArguments() int                                      { return 0 }
func (h handler) NumReturns() int                                        { return 0 }
func (h handler) ArgumentValue(int) any                                  { return nil }
func (h handler) ReturnValue(int) any                                    { return nil }

func (h handler) DecodeArguments(_ *dbus.Conn, _ string, msg *dbus.Message, _ []any) ([]any, error) {
	return []any{msg}, nil
}

// Call answers a message when its turn has come.
func (h handler) Call(args ...any) (answer []any, err error) {
	msg := args[0].(*dbus.Message)
	turn := h.link.turns.of(msg)
	defer h.link.turns.over(msg, turn)
	if msg.Flags&dbus.FlagNoReplyExpected != 0 {
		defer func() { answer, err = nil, nil }()
	}
	defer func() {
		if p := recover(); p != nil {
			h.link.service.log.Error("a D-Bus call failed by a mistake in the server",
				"call", msg.String(), "panic", p, "stack", string(debug.Stack()))
			answer, err = nil, errorf(dbusapi.ErrorFailed, "internal error: %v", p)
		}
	}()
	if turn.refused {
		return nil, errorf(dbusapi.ErrorLimitsExceeded, "too many calls at once")
	}
	ctx, cancel := context.WithDeadline(h.link.ctx, turn.deadline)
	defer cancel()
	<-turn.before // whose deadline is earlier than this one's
	if ctx.Err() != nil {
		return nil, errorf(dbusapi.ErrorTimeout, "earlier calls of yours took too long")
	}
	if err := h.link.dispatch(ctx, msg); err != nil {
		return nil, asDBusError(err)
	}
	msg.Flags |= dbus.FlagNoReplyExpected // from the library: the answer is out
	return nil, nil
}

// dispatch finds the object, interface and method that a message is for, and sends
// the answer. The library would send it after the call's turn, so that any number of
// long ones could wait for the bus to take them.
func (l *link) dispatch(ctx context.Context, msg *dbus.Message) error {
	path, _ := msg.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	face, _ := msg.Headers[dbus.FieldInterface].Value().(string)
	member, _ := msg.Headers[dbus.FieldMember].Value().(string)
	sender, _ := msg.Headers[dbus.FieldSender].Value().(string)
	c := &call{service: l.service, link: l, ctx: ctx, path: string(path), sender: sender, args: msg.Body}
	if err := c.find(); err != nil {
		return err
	}
	m, err := c.object.method(face, member)
	if err != nil {
		return err
	}
	signature, _ := msg.Headers[dbus.FieldSignature].Value().(dbus.Signature)
	if signature.String() != m.in {
		return errorf(dbusapi.ErrorInvalidArgs, "%s takes arguments of signature %q, not %q", member, m.in, signature.String())
	}
	l.service.log.Debug("D-Bus call", "sender", sender, "path", c.path, "member", member)
	if m.long {
		select {
		case l.service.longAnswers <- struct{}{}:
			defer func() { <-l.service.longAnswers }()
		case <-ctx.Done():
			return errorf(dbusapi.ErrorTimeout, "others ask for too many lists")
		}
	}
	answer, err := m.do(c)
	if err != nil {
		return err
	}
	l.answer(msg, answer)
	return nil
}

// answer sends the answer to a call, unless the caller wants none.
func (l *link) answer(msg *dbus.Message, answer []any) {
	if msg.Flags&dbus.FlagNoReplyExpected != 0 {
		return
	}
	headers := map[dbus.HeaderField]dbus.Variant{
		dbus.FieldReplySerial: dbus.MakeVariant(msg.Serial()),
		dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(answer...)),
	}
	if sender, ok := msg.Headers[dbus.FieldSender]; ok {
		headers[dbus.FieldDestination] = sender
	}
	l.conn.Send(&dbus.Message{Type: dbus.TypeMethodReply, Headers: headers, Body: answer}, nil)
}

// find looks up the object that is called.
func (c *call) find() error {
	if view, ok := c.service.registry.ClientAt(c.path); ok {
		c.object, c.subject = clientObject, subject{client: &view}
		return nil
	}
	switch {
	case c.path == dbusapi.ServerPath:
		c.object, c.subject = serverObject, c.service.subject()
	case c.path == dbusapi.ClientsPath, len(c.service.children(c.path)) > 0:
		c.object = plainNode
	default:
		return errorf(dbusapi.ErrorUnknownObject, "there is no object %s", c.path)
	}
	return nil
}

// object is a kind of object: its interfaces, in the order of introspection.
type object struct{ interfaces []*iface }

// iface is one interface of an object.
type iface struct {
	name       string
	methods    map[string]method
	properties []property
}

// method is one method, with the signatures of what it takes and answers.
type method struct {
	in, out string
	do      func(*call) ([]any, error)
	long    bool // the answer can be long; one is made and sent at a time
}

// changing makes the function of a method that changes something. It finds out who
// asks, and answers only when the signals about the change are out.
func changing(do func(*call, client.Actor) error) func(*call) ([]any, error) {
	return answering(func(c *call, by client.Actor) ([]any, error) { return nil, do(c, by) })
}

// answering is changing for a method that answers something.
func answering(do func(*call, client.Actor) ([]any, error)) func(*call) ([]any, error) {
	return func(c *call) ([]any, error) {
		by, err := c.link.callers.actor(c.ctx, c.link.conn, c.sender)
		if err != nil {
			return nil, fmt.Errorf("cannot find out who asks: %w", err)
		}
		answer, err := do(c, by)
		c.link.flush(c.ctx)
		return answer, err
	}
}

// named finds an interface by its name; the empty name stands for all of them
// (D-Bus Specification, "Message Format", INTERFACE).
func (o *object) named(name string) ([]*iface, error) {
	if name == "" {
		return o.interfaces, nil
	}
	i := slices.IndexFunc(o.interfaces, func(i *iface) bool { return i.name == name })
	if i < 0 {
		return nil, errorf(dbusapi.ErrorUnknownInterface, "the object has no interface %s", name)
	}
	return o.interfaces[i : i+1], nil
}

func (o *object) method(face, member string) (method, error) {
	interfaces, err := o.named(face)
	if err != nil {
		return method{}, err
	}
	for _, i := range interfaces {
		if m, ok := i.methods[member]; ok {
			return m, nil
		}
	}
	return method{}, errorf(dbusapi.ErrorUnknownMethod, "there is no method %s", strings.TrimPrefix(face+"."+member, "."))
}

// turns keeps the calls of each sender in the order of their arrival, and their
// number in bounds. The D-Bus library runs each call in a goroutine of its own,
// but shows each to arrive before, one after the other.
type turns struct {
	mu    sync.Mutex
	all   map[*dbus.Message]turn
	count map[string]int
	last  map[string]chan struct{}
	bytes int // of all arguments
}

// turn is one call's place in the order.
type turn struct {
	refused  bool
	bytes    int // of its arguments
	deadline time.Time
	before   <-chan struct{} // closed when the sender's earlier calls are over
	over     chan struct{}
}

var noneBefore = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// arrive notes a message's place. Calls of the Peer interface never come back
// here: the library answers them.
func (t *turns) arrive(msg *dbus.Message) {
	face, _ := msg.Headers[dbus.FieldInterface].Value().(string)
	if msg.Type != dbus.TypeMethodCall || face == dbusapi.PeerInterface {
		return
	}
	sender, _ := msg.Headers[dbus.FieldSender].Value().(string)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = make(map[*dbus.Message]turn)
		t.count = make(map[string]int)
		t.last = make(map[string]chan struct{})
	}
	bytes := bytesOf(reflect.ValueOf(msg.Body))
	if len(t.all) >= maxCalls || t.count[sender] >= maxCallsOfOne || t.bytes+bytes > maxWaitingBytes {
		msg.Body = nil
		return
	}
	t.bytes += bytes
	place := turn{bytes: bytes, deadline: time.Now().Add(callTimeout), before: noneBefore, over: make(chan struct{})}
	if last := t.last[sender]; last != nil {
		place.before = last
	}
	t.all[msg] = place
	t.count[sender]++
	t.last[sender] = place.over
}

// of is the place that arrive noted for the message, if there was room.
func (t *turns) of(msg *dbus.Message) turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	place, ok := t.all[msg]
	place.refused = !ok
	return place
}

func (t *turns) over(msg *dbus.Message, place turn) {
	if place.refused {
		return
	}
	sender, _ := msg.Headers[dbus.FieldSender].Value().(string)
	t.mu.Lock()
	defer t.mu.Unlock()
	close(place.over)
	delete(t.all, msg)
	t.bytes -= place.bytes
	t.count[sender]--
	if t.count[sender] == 0 {
		delete(t.count, sender)
		delete(t.last, sender)
	}
}

// bytesOf is about what a value takes that came in a message.
func bytesOf(v reflect.Value) int {
	switch v.Kind() {
	case reflect.Interface:
		return bytesOf(v.Elem())
	case reflect.String:
		return v.Len()
	case reflect.Slice:
		total := int(v.Type().Elem().Size()) * v.Len()
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return total
		}
		for i := range v.Len() {
			total += bytesOf(v.Index(i))
		}
		return total
	case reflect.Map:
		total := 0
		for k, value := range v.Seq2() {
			total += bytesOf(k) + bytesOf(value)
		}
		return total
	case reflect.Struct: // a variant
		total := 0
		for i := range v.NumField() {
			total += bytesOf(v.Field(i))
		}
		return total
	}
	return 8
}
