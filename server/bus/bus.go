// SPDX-License-Identifier: Apache-2.0

// Package bus exports the registry on D-Bus, as package dbusapi describes it.
// It translates and decides nothing: a call becomes a call of the registry's
// with the caller as its actor, an event of the registry's becomes signals.
//
// Objects are not registered with the D-Bus library but looked up in the
// registry when a call comes, so that a client costs nothing here.
//
// The calls of one sender take effect in the order in which they were sent, and
// the signals that a call causes go out before its answer. Different senders do
// not wait for each other.
//
// The server does without a bus when it must. Whenever the bus is lost, or is
// not there, or refuses the name, it is tried again.
package bus

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

// Daemon is what the bus shows of the server besides its clients.
type Daemon interface {
	// Status is the server as it stands, without what the service knows itself: the
	// numbers of clients, and why the state cannot be saved.
	Status() dbusapi.Status
	// Statistics are what was counted since the start, and ListStatistics what there is to
	// know of them.
	Statistics() dbusapi.Statistics
	ListStatistics() []dbusapi.Statistic
	// SetLogLevel sets how much is logged. An error names the levels there are.
	SetLogLevel(by client.Actor, level string) error
	// Reload reads the configuration again. An error means that nothing was
	// changed.
	Reload(ctx context.Context, by client.Actor) (client.Reloaded, error)
	// ReadSection and JudgeSecret look at what is to become a client and its secret.
	ReadSection(text string) dbusapi.Section
	JudgeSecret(secret []byte) dbusapi.SecretVerdict
	// Place is where the section of the client of that name is, as last read:
	// FILE:LINE, or empty if there is none.
	Place(name string) string
	// History is what happened to a client last, the oldest first.
	History(name string) ([]client.Event, error)
	// InterfaceTo is the interface that an address is reached by; empty if none is.
	InterfaceTo(netip.Addr) string
}

// Service is the registry's presence on the bus.
type Service struct {
	registry *client.Registry
	daemon   Daemon
	address  string
	log      *slog.Logger

	link  atomic.Pointer[link] // nil while there is no bus
	nodes nodes
	tried chan struct{} // closed when the bus was tried once
	// longAnswers has room for the long answers that may be on their way at once.
	longAnswers chan struct{}

	mu           sync.Mutex
	state        string
	stateProblem string

	statusMu sync.Mutex
	status   map[string]dbus.Variant // what was told last of what changes by itself
}

// New makes a service for the bus at a D-Bus address; the empty one is the
// system bus, which DBUS_SYSTEM_BUS_ADDRESS may say the address of. Its Tell must
// be subscribed to the registry, and Run sets it going.
func New(registry *client.Registry, daemon Daemon, address string, log *slog.Logger) *Service {
	return &Service{
		registry: registry,
		daemon:   daemon,
		address:  address,
		log:      log,
		tried:    make(chan struct{}),
		state:    notTried,
		status:   make(map[string]dbus.Variant),

		longAnswers: make(chan struct{}, 1),
	}
}

// Tried is closed once the service is on the bus, or has failed to be for the
// first time.
func (s *Service) Tried() <-chan struct{} { return s.tried }

// State is "connected" or what is wrong.
func (s *Service) State() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Tell passes an event on to the bus. It never blocks.
func (s *Service) Tell(event client.Event) {
	switch event.Kind {
	case client.Added, client.Removed:
		s.nodes.outdated()
	case client.StateNotSaved:
		s.setStateProblem(event.Err.Error())
	case client.StateSavedAgain:
		s.setStateProblem("")
	}
	if l := s.link.Load(); l != nil {
		l.enqueue(item{event: &event})
	}
}

// StatusChanged tells which of the properties that change by themselves are others
// than before. It never blocks.
func (s *Service) StatusChanged() {
	s.statusMu.Lock()
	defer s.statusMu.Unlock()
	of := s.subject()
	for _, p := range serverInterface1.properties {
		if !p.byItself {
			continue
		}
		now := variant(p.read(&of))
		before, known := s.status[p.name]
		s.status[p.name] = now
		if l := s.link.Load(); l != nil && known && before.Value() != now.Value() {
			l.enqueue(item{signals: changed(dbusapi.ServerPath, serverInterface1, p, &of)})
		}
	}
}

// The waits between attempts to be on the bus: twice as long each time, from
// the first to the longest.
const (
	firstRetry   = 100 * time.Millisecond
	longestRetry = 30 * time.Second
)

// Run keeps the service on the bus until ctx ends.
func (s *Service) Run(ctx context.Context) {
	s.StatusChanged() // from here on
	wait := firstRetry
	for {
		wasUp, err := s.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		s.lost(err)
		if wasUp {
			wait = firstRetry
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, longestRetry)
	}
}

func (s *Service) connected() {
	if s.news("connected") {
		s.log.Info("on the bus", "name", dbusapi.BusName)
	}
}

func (s *Service) lost(why error) {
	if s.news("no bus: " + why.Error()) {
		s.log.Warn("not on the bus; serving on without it, and trying again", "error", why)
	}
}

// news notes how things stand with the bus, and reports whether that is news.
func (s *Service) news(state string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == state {
		return false
	}
	if s.state == notTried {
		close(s.tried)
	}
	s.state = state
	return true
}

const notTried = "not tried yet"

func (s *Service) setStateProblem(problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stateProblem = problem
}
