// SPDX-License-Identifier: Apache-2.0

// Package zeroconf announces the service on the local network through Avahi, so
// that clients find the server without being told where it is.
//
// Avahi, its bus and the places to announce at may be absent, go and come back at
// any time. The announcer then waits for them and announces anew; the server goes
// on meanwhile. Trouble with the bus or with Avahi has one cure: the connection to
// the bus and all that hangs on it are thrown away and built again.
//
// Avahi takes a service for networks that do not exist, and says that it is
// established. The announcer looks for its own service as any browser does, and
// calls announced only what it has found.
package zeroconf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// Service is what to announce.
type Service struct {
	// Name is the one to begin with. If another service has it, Avahi finds a
	// similar one: "Mandos #2".
	Name string
	// Type is the service type with its protocol, as "_mandos._tcp".
	Type string
	// Port is the TCP port.
	Port uint16
}

// Target says where to announce the service.
type Target struct {
	Places []Place
	// AllIPv6 says that the service is at all addresses of every interface that has
	// IPv6, and AllIPv4 the same of IPv4.
	AllIPv6, AllIPv4 bool
	// Nowhere says why there are no places.
	Nowhere string
}

// Place is where to announce the service.
type Place struct {
	Interface string
	Index     int32 // of the interface
	// IPv4 announces over IPv4 instead of IPv6.
	IPv4 bool
	// Addresses are where the service is; none means at any of the interface's.
	Addresses []netip.Addr
}

func (p Place) String() string {
	if p.IPv4 {
		return p.Interface + " over IPv4"
	}
	return p.Interface + " over IPv6"
}

// Phase is how far the announcement is.
type Phase string

// The phases.
const (
	Waiting    Phase = "waiting"    // for what the detail says
	Announcing Phase = "announcing" // Avahi makes sure that the name is free
	Announced  Phase = "announced"  // a browser finds it
	Stopped    Phase = "stopped"
)

// State is how the announcement stands.
type State struct {
	Phase Phase
	// Name is the service name while it is being announced.
	Name string
	// Detail is what is waited for, or where it can be found.
	Detail string
}

func (s State) String() string {
	switch {
	case s.Phase == Announced:
		return fmt.Sprintf("%s as %q on %s", s.Phase, s.Name, s.Detail)
	case s.Name != "":
		return fmt.Sprintf("%s as %q", s.Phase, s.Name)
	case s.Detail != "":
		return fmt.Sprintf("%s: %s", s.Phase, s.Detail)
	}
	return string(s.Phase)
}

// How long to wait until the next attempt, and for an answer.
const (
	shortestPause = 500 * time.Millisecond
	longestPause  = 10 * time.Second
	// calm is how long an attempt must have lasted for the next pause to be short again.
	calm          = time.Minute
	answerTimeout = 10 * time.Second
	// sightTimeout is how long it may take until the service can be found.
	sightTimeout = 15 * time.Second
	// pulse is how often Avahi is asked for a sign of life.
	pulse = 30 * time.Second
)

// Announcer keeps one service announced.
type Announcer struct {
	service Service
	log     *slog.Logger
	changed func()
	dial    func(...dbus.ConnOption) (*dbus.Conn, error)
	timeout time.Duration // for an answer
	sight   time.Duration // until the service can be found
	pulse   time.Duration // of Avahi
	moved   chan struct{}

	logged State  // only Run uses it
	bus    string // the ID of the bus that was last seen; only Run uses it

	mu     sync.Mutex
	state  State
	known  string // the name that it can be found by, or had last
	target Target
}

// New makes an announcer, which does nothing before Run and announces nowhere
// before Move. It calls changed whenever the State or the Name is another one.
func New(service Service, log *slog.Logger, changed func()) *Announcer {
	return &Announcer{
		service: service,
		log:     log,
		changed: changed,
		dial:    dbus.ConnectSystemBus,
		timeout: answerTimeout,
		sight:   sightTimeout,
		pulse:   pulse,
		moved:   make(chan struct{}, 1),
		state:   State{Phase: Waiting, Detail: "to be started"},
		known:   service.Name,
		target:  Target{Nowhere: "to be told where"},
	}
}

// State is how the announcement stands now.
func (a *Announcer) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

// Name is the one that the service was last announced by, or else is to be.
func (a *Announcer) Name() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known
}

// Move says where to announce from now on.
func (a *Announcer) Move(to Target) {
	a.mu.Lock()
	a.target = to
	a.mu.Unlock()
	select {
	case a.moved <- struct{}{}:
	default:
	}
}

func (a *Announcer) whereTo() Target {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.target
}

// Run announces the service until ctx ends, and then withdraws it.
func (a *Announcer) Run(ctx context.Context) {
	pause := shortestPause
	for {
		began := time.Now()
		err := a.announce(ctx)
		if ctx.Err() != nil {
			break
		}
		a.waitFor(err)
		if time.Since(began) > calm {
			pause = shortestPause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
	a.become(State{Phase: Stopped})
}

func (a *Announcer) waitFor(err error) {
	what := trouble{what: err.Error()}
	errors.As(err, &what)
	var details []any
	if what.cause != nil {
		details = []any{"error", what.cause}
	}
	a.become(State{Phase: Waiting, Detail: what.what}, details...)
}

// become enters a state and logs it, unless it is the one that was logged last.
func (a *Announcer) become(s State, details ...any) {
	a.mu.Lock()
	before := a.state
	a.state = s
	if s.Phase == Announced {
		a.known = s.Name
	}
	a.mu.Unlock()
	if s != before {
		a.changed()
	}
	if s.Phase == Announcing || s == a.logged {
		return
	}
	logged := a.logged
	a.logged = s
	switch {
	case s.Phase == Waiting:
		a.log.With(details...).Warn("Zeroconf service is not announced, waiting", "reason", s.Detail)
	case s.Phase == Announced && logged.Phase == Announced && s.Name == logged.Name:
		a.log.Debug("Zeroconf service moved", "name", s.Name, "on", s.Detail)
	case s.Phase == Announced:
		a.log.Info("Zeroconf service established", "name", s.Name, "on", s.Detail)
	}
}

// maxShown is how many places are told one by one.
const maxShown = 6

func inWords(places []string) string {
	if more := len(places) - maxShown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(places[:maxShown], ", "), more)
	}
	return strings.Join(places, ", ")
}
