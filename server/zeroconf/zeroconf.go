// SPDX-License-Identifier: Apache-2.0

// Package zeroconf announces the service on the local network through Avahi, so
// that clients find the server without being told where it is.
//
// Avahi, its bus and the network interface may be absent, go and come back at
// any time. The announcer then waits for them and announces anew; the server goes
// on meanwhile. All trouble has one cure: the connection to the bus and all that
// hangs on it are thrown away and built again.
package zeroconf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// Interface limits the announcement to one network interface; empty means
	// all.
	Interface string
	// IPv4 announces over IPv4 instead of IPv6.
	IPv4 bool
}

// Phase is how far the announcement is.
type Phase string

// The phases.
const (
	Waiting    Phase = "waiting"    // for what the detail says
	Announcing Phase = "announcing" // Avahi makes sure that the name is free
	Announced  Phase = "announced"
	Stopped    Phase = "stopped"
)

// State is how the announcement stands.
type State struct {
	Phase Phase
	// Name is the service name while it is being announced.
	Name string
	// Detail is what is waited for.
	Detail string
}

func (s State) String() string {
	switch {
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
	// interfacePeriod is how often the interface is looked at.
	interfacePeriod = 2 * time.Second
)

// Announcer keeps one service announced.
type Announcer struct {
	service Service
	log     *slog.Logger
	renamed func(name string)
	dial    func(...dbus.ConnOption) (*dbus.Conn, error)
	timeout time.Duration // for an answer

	logged State  // only Run uses it
	known  string // the name last told to renamed; only Run uses it

	mu    sync.Mutex
	state State
}

// New makes an announcer, which does nothing before Run. It calls renamed
// whenever the service is established under another name than before, beginning
// with service.Name.
func New(service Service, log *slog.Logger, renamed func(name string)) *Announcer {
	return &Announcer{
		service: service,
		log:     log,
		renamed: renamed,
		dial:    dbus.ConnectSystemBus,
		timeout: answerTimeout,
		known:   service.Name,
		state:   State{Phase: Waiting, Detail: "to be started"},
	}
}

// State is how the announcement stands now.
func (a *Announcer) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
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
	a.state = s
	a.mu.Unlock()
	if s.Phase == Announcing || s == a.logged {
		return
	}
	a.logged = s
	switch s.Phase {
	case Waiting:
		a.log.With(details...).Warn("Zeroconf service is not announced, waiting", "reason", s.Detail)
	case Announced:
		a.log.Info("Zeroconf service established", "name", s.Name)
	}
}

// established tells under which name the service can be found now.
func (a *Announcer) established() {
	a.become(State{Phase: Announced, Name: a.service.Name})
	if a.known != a.service.Name {
		a.known = a.service.Name
		a.renamed(a.known)
	}
}
