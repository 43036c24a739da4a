// SPDX-License-Identifier: Apache-2.0

package listening

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// State is where the server listens, and where it does not although it should.
type State struct {
	Port    uint16
	Sockets []Socket
	// Problems are sentences: what is missing, and what happens until it is there.
	Problems []string
	// Places are where the sockets can be found; Nowhere says why there are none.
	Places  []Place
	Nowhere string
	// AllIPv6 says that the places are all addresses of every interface that has
	// IPv6, and AllIPv4 the same of IPv4.
	AllIPv6, AllIPv4 bool
}

// Socket is an open socket.
type Socket struct {
	Address   netip.Addr
	Interface string // all if empty
	index     int    // of the interface
}

// Addresses are those that are listened on, in a list: "::" is all.
func (s State) Addresses() string {
	return list(s.Sockets, func(o Socket) string { return o.Address.String() })
}

// Interfaces are those that the sockets are bound to, in a list; none means all.
func (s State) Interfaces() string {
	return list(s.Sockets, func(o Socket) string { return o.Interface })
}

// String says in a few words where the server listens.
func (s State) String() string {
	if len(s.Sockets) == 0 {
		return "nowhere"
	}
	return list(s.Sockets, func(o Socket) string {
		where := netip.AddrPortFrom(o.Address, s.Port).String()
		if o.Interface != "" && o.Address.Zone() == "" {
			where += " on " + o.Interface
		}
		return where
	})
}

// list has each word once.
func list(sockets []Socket, word func(Socket) string) string {
	var words []string
	for _, o := range sockets {
		if w := word(o); w != "" && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return strings.Join(words, ", ")
}

// Place is where hosts of one network can connect to a socket.
type Place struct {
	Interface string
	Index     int // of the interface
	IPv4      bool
	// Addresses are those of the interface to connect to; empty means any of them.
	Addresses []netip.Addr
}

// State is how things stand now.
func (s *Sockets) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// note finds out how things stand, tells the log what has changed, and reports
// whether anything has.
func (s *Sockets) note() bool {
	before, now := s.State(), s.find()
	if reflect.DeepEqual(before, now) {
		return false
	}
	s.mu.Lock()
	s.state = now
	s.mu.Unlock()
	for _, problem := range now.Problems {
		if !slices.Contains(before.Problems, problem) {
			s.log.Error(problem)
		}
	}
	opened := before.Port == 0
	if moved := !slices.Equal(before.Sockets, now.Sockets) || len(now.Problems) < len(before.Problems); moved && !opened {
		s.log.Info("listening", "on", now)
	}
	return true
}

func (s *Sockets) find() State {
	state := State{Port: s.port, Problems: s.problems()}
	for _, o := range s.sockets() {
		family := unix.AF_INET
		if o.ipv6 {
			family = unix.AF_INET6
		}
		address := o.addressPort(family, 0).Addr()
		if o.linkLocal() {
			address = address.WithZone(o.iface)
		}
		state.Sockets = append(state.Sockets, Socket{address, o.iface, o.index})
	}
	state.AllIPv6, state.AllIPv4 = true, true
	state.Nowhere = "no network interface is up, with a cable and an address that the server listens on"
	for i := range s.network {
		l := &s.network[i]
		if !l.up || l.loopback {
			continue // which leads to no host
		}
		place, ok, coming := s.placeOn(l)
		if ok {
			state.Places = append(state.Places, place)
		}
		if coming {
			state.Nowhere = "the IPv6 addresses are not ready yet"
		}
		all := ok && len(place.Addresses) == 0
		state.AllIPv6 = state.AllIPv6 && (all && !place.IPv4 || !l.uses(netip.Addr.Is6))
		state.AllIPv4 = state.AllIPv4 && (all && place.IPv4 || !l.uses(netip.Addr.Is4))
	}
	switch {
	case len(state.Places) > 0:
		state.Nowhere = ""
	case len(state.Problems) > 0:
		state.Nowhere = strings.Join(state.Problems, "; ")
	case !slices.ContainsFunc(s.sockets(), func(o *socket) bool { return !s.network.isLocal(o) }):
		state.Nowhere = "the server listens where no other host can connect to it"
	}
	return state
}

// problems says what is missing.
func (s *Sockets) problems() (problems []string) {
	note := func(format string, args ...any) {
		if problem := fmt.Sprintf(format, args...); !slices.Contains(problems, problem) {
			problems = append(problems, problem)
		}
	}
	if s.unseen != nil {
		note("%v; what changes there is not noticed", s.unseen)
	}
	everywhere := ""
	if len(s.wish.Interfaces) > 0 && len(s.bound) == 0 && len(s.sockets()) > 0 {
		everywhere = "; listening on all interfaces"
	}
	for _, e := range s.ends {
		switch {
		case s.failed[e] != nil:
			note("%v%s", s.failed[e], everywhere)
		case e.iface == "" || s.indexOf(e.iface) != 0 || s.network == nil:
		case s.bound[e.iface]:
			note("interface %s is gone; it is listened on again when it is back", e.iface)
		case everywhere != "":
			note("interface %s does not exist, cannot bind to it; listening on all interfaces until it is there", e.iface)
		default:
			note("interface %s does not exist, cannot bind to it; it is listened on when it is there", e.iface)
		}
	}
	for _, o := range s.sockets() {
		if o.address.IsValid() && !o.address.IsUnspecified() && s.network != nil && !s.network.has(o.address, 0) {
			note("address %s is on no interface; clients reach the server when it is", o.address)
		}
	}
	return problems
}

// placeOn is how hosts on that link find a socket. Over IPv6 alone, where that works:
// every client has a link-local address. No other place is one than on the interfaces
// that are meant, wherever sockets may listen until those are there.
func (s *Sockets) placeOn(l *link) (p Place, ok, coming bool) {
	if len(s.wish.Interfaces) > 0 && !slices.ContainsFunc(s.wish.Interfaces, l.isNamed) {
		return Place{}, false, false
	}
	place := Place{Interface: l.name, Index: l.index}
	any6, of6, coming := s.served(l, netip.Addr.Is6, func(o *socket) bool { return o.ipv6 })
	if any6 || len(of6) > 0 {
		if !any6 {
			place.Addresses = of6
		}
		return place, true, false
	}
	any4, of4, _ := s.served(l, netip.Addr.Is4, func(o *socket) bool { return o.ipv4 })
	if coming || !any4 && len(of4) == 0 {
		return Place{}, false, coming
	}
	place.IPv4 = true
	if !any4 {
		place.Addresses = of4
	}
	return place, true, false
}

// served finds the addresses of a link, of one family, that are listened on, and
// reports whether all are. Addresses that are coming are still tentative.
func (s *Sockets) served(l *link, family func(netip.Addr) bool, serves func(*socket) bool) (all bool, some []netip.Addr, coming bool) {
	for _, o := range s.sockets() {
		if o.index != 0 && o.index != l.index || !serves(o) {
			continue
		}
		any := !o.address.IsValid() || o.address.IsUnspecified()
		for _, a := range l.addresses {
			switch {
			case !family(a.Addr) || !any && a.Addr != o.address:
			case a.tentative:
				coming = true
			case any:
				all = true
			case !slices.Contains(some, a.Addr):
				some = append(some, a.Addr)
			}
		}
	}
	return all, some, coming
}
