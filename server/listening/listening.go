// SPDX-License-Identifier: Apache-2.0

// Package listening keeps the sockets open that clients connect to, and knows where
// on the network those can be found.
//
// Network interfaces and addresses may come later than the server, go, and come back
// as others with the same name. A socket follows the name of its interface and waits
// for its address: what does not exist yet is waited for, and what has come again is
// bound anew, on the same port.
package listening

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// Wish says where to listen.
type Wish struct {
	// Interfaces limit the sockets to those network interfaces; none means all.
	// While none of them has been there since the start, all interfaces are
	// listened on.
	Interfaces []string
	// Addresses are the local ones; none means all. A link-local address has its
	// interface as its zone, or is meant on each of the Interfaces.
	Addresses []netip.Addr
	// Port is the TCP port; 0 lets the kernel choose one, for all sockets.
	Port uint16
	// IPv4Only leaves IPv6 aside. Otherwise, without Addresses, both are served.
	IPv4Only bool
	// File is an inherited socket to use instead, if not nil. Open closes it.
	File *os.File
}

// ends are the sockets that the wish comes to.
func (w Wish) ends() (ends []end) {
	interfaces := w.Interfaces
	if len(interfaces) == 0 {
		interfaces = []string{""}
	}
	addresses := w.addresses()
	for _, iface := range interfaces {
		for _, address := range addresses {
			e := end{iface, address.WithZone("")}
			if zone := address.Zone(); zone != "" {
				if iface != "" && zone != iface {
					continue
				}
				e.iface = zone
			}
			if !slices.Contains(ends, e) {
				ends = append(ends, e)
			}
		}
	}
	return ends
}

// addresses are those to listen on, without what others of them include; the zero
// Addr is all.
func (w Wish) addresses() []netip.Addr {
	if len(w.Addresses) == 0 || slices.Contains(w.Addresses, netip.IPv6Unspecified()) {
		return []netip.Addr{{}}
	}
	if slices.Contains(w.Addresses, netip.IPv4Unspecified()) {
		others := slices.DeleteFunc(slices.Clone(w.Addresses), netip.Addr.Is4)
		return append(others, netip.IPv4Unspecified())
	}
	return w.Addresses
}

// How often to look without being told of changes, and how often to try again what
// failed.
const (
	lookPeriod  = 2 * time.Second
	retryPeriod = 10 * time.Second
)

// Sockets are all that the server listens on. They are one [net.Listener].
type Sockets struct {
	wish    Wish
	ends    []end
	log     *slog.Logger
	port    uint16
	reserve io.Closer // holds the port while no socket does; may be nil

	accepted chan accepted
	closed   chan struct{}
	accepts  sync.WaitGroup

	// Only Open and Run use these.
	network network         // nil until the kernel has told
	unseen  error           // why the network could not be read last
	failed  map[end]error   // why it could not be opened
	bound   map[string]bool // interfaces that were bound to once

	mu    sync.Mutex
	open  []*socket
	ended bool
	state State
}

// Open opens what can be opened now. What may still come is no error.
func Open(w Wish, log *slog.Logger) (*Sockets, error) {
	s := &Sockets{
		wish: w, log: log, port: w.Port,
		accepted: make(chan accepted), closed: make(chan struct{}),
		failed: map[end]error{}, bound: map[string]bool{},
	}
	if err := s.openFirst(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Sockets) openFirst() (err error) {
	if s.wish.File != nil {
		socket, err := inherited(s.wish.File)
		if err != nil {
			return err
		}
		s.port = socket.port()
		s.add(socket)
	} else {
		s.ends = s.wish.ends()
		if err := s.choosePort(); err != nil {
			return err
		}
	}
	s.look()
	for _, e := range s.ends {
		// Not to be let bind to an interface is no reason not to serve.
		if err := s.failed[e]; err != nil && !errors.As(err, new(*bindError)) {
			return err
		}
	}
	return nil
}

// choosePort takes a free port for several sockets, or for one that may have to be
// opened again.
func (s *Sockets) choosePort() (err error) {
	single := len(s.ends) == 1 && s.ends[0].iface == ""
	if s.port == 0 && !single {
		s.reserve, s.port, err = reserve(s.wish.IPv4Only)
	}
	return err
}

// Run follows the network until ctx ends. It calls changed whenever the State is
// another one.
func (s *Sockets) Run(ctx context.Context, changed func()) {
	changes, err := watchNetwork(ctx)
	period := retryPeriod
	if err != nil {
		s.log.Warn("the kernel does not tell of changes of the network, so it is looked at every two seconds", "error", err)
		period = lookPeriod
	}
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		if s.look() {
			changed()
		}
		select {
		case <-ctx.Done():
			return
		case <-changes:
		case <-tick.C:
		}
	}
}

// look brings the sockets in line with the network, and reports whether the State
// is another one. A network that cannot be read has not changed.
func (s *Sockets) look() (news bool) {
	network, err := readNetwork()
	if s.unseen = err; err == nil {
		s.network = network
	}
	if s.wish.File == nil {
		s.dropGone()
		for _, e := range s.ends {
			s.failed[e] = s.openIfThere(e)
		}
		s.standIn()
	}
	return s.note()
}

// dropGone closes the sockets whose interface is another one now, or none.
func (s *Sockets) dropGone() {
	for _, o := range s.sockets() {
		if o.index != 0 && s.indexOf(o.iface) != o.index {
			s.drop(o)
		}
	}
}

// indexOf is 0 if there is no such interface.
func (s *Sockets) indexOf(iface string) int {
	if l := s.network.named(iface); l != nil {
		return l.index
	}
	return 0
}

// openIfThere opens a socket that is not open, unless its interface is still to
// come.
func (s *Sockets) openIfThere(e end) error {
	index := s.indexOf(e.iface)
	if index == 0 && e.iface != "" || s.opened(e) != nil || s.openedByOtherName(e, index) {
		return nil
	}
	if in := s.opened(end{address: e.address}); in != nil {
		if err := in.bindTo(e.iface, index); err != nil {
			return err
		}
	} else if err := s.openAt(e, index); err != nil {
		return err
	}
	s.bound[e.iface] = true
	return nil
}

func (s *Sockets) openAt(e end, index int) error {
	o, err := e.open(index, s.port, s.wish.IPv4Only)
	if err != nil {
		return err
	}
	s.port = o.port()
	s.add(o)
	return nil
}

// standIn listens on all interfaces while none of those that are meant has been
// there. That one of them has gone is no reason to listen where nobody meant to.
func (s *Sockets) standIn() {
	if len(s.wish.Interfaces) == 0 || len(s.bound) > 0 {
		return
	}
	for _, e := range s.ends {
		if everywhere := (end{address: e.address}); !e.linkLocal() && s.opened(everywhere) == nil {
			if err := s.openAt(everywhere, 0); err != nil {
				s.failed[e] = err
			}
		}
	}
}

// openedByOtherName reports whether another name of the same interface was in the list.
func (s *Sockets) openedByOtherName(e end, index int) bool {
	return index != 0 && slices.ContainsFunc(s.sockets(), func(o *socket) bool { return o.index == index && o.address == e.address })
}

// opened is the socket that is open for e, or nil.
func (s *Sockets) opened(e end) *socket {
	for _, o := range s.sockets() {
		if o.end == e {
			return o
		}
	}
	return nil
}
