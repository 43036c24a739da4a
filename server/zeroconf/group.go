// SPDX-License-Identifier: Apache-2.0

package zeroconf

import (
	"cmp"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/holoplot/go-avahi"
)

// entry is what Avahi is told to announce.
type entry struct {
	index, protocol int32
	addresses       []netip.Addr // none means those of Avahi's host name
}

// covers reports whether the service is announced at a place by the entry.
func (e entry) covers(p Place) bool {
	return e.protocol == p.protocol() && (e.index == avahi.InterfaceUnspec || e.index == p.Index)
}

// protocol is Avahi's number.
func (p Place) protocol() int32 {
	if p.IPv4 {
		return avahi.ProtoInet
	}
	return avahi.ProtoInet6
}

// entries are as few as possible, and those for all interfaces come first: of several
// that are equal but for the interface, Avahi tells the network of the end of the last
// alone, and at the end of the connection the last is the first.
func (t Target) entries() (entries []entry) {
	for _, p := range t.Places {
		e := entry{p.Index, p.protocol(), p.Addresses}
		if p.IPv4 && t.AllIPv4 || !p.IPv4 && t.AllIPv6 {
			e = entry{index: avahi.InterfaceUnspec, protocol: p.protocol()}
		}
		if !slices.ContainsFunc(entries, e.equal) {
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(min(a.index, 0), min(b.index, 0)) })
	return entries
}

func (e entry) equal(other entry) bool { return reflect.DeepEqual(e, other) }

// group is an entry in Avahi. Each has one, so that nothing happens to the others
// when one comes or goes.
type group struct {
	entry
	*avahi.EntryGroup
	path        dbus.ObjectPath
	established bool
}

// arrange announces the service where it should be, and nowhere else, under the
// first name that no other service on this machine has.
func (s *session) arrange() error {
	if !s.running {
		return nil
	}
	entries := s.whereTo().entries()
	if err := s.freeAllBut(entries); err != nil {
		return err
	}
	for _, e := range entries {
		if slices.ContainsFunc(s.groups, func(g *group) bool { return g.equal(e) }) {
			continue
		}
		err := s.add(e)
		if isCollision(err) {
			s.log.Info("Local Zeroconf service name collision")
			return s.renameAll()
		}
		if err != nil {
			return err
		}
	}
	s.tell(false)
	return nil
}

// freeAllBut withdraws what is not to be announced any more. If that can be found, the
// others are withdrawn before it, to be added again: Avahi does not tell of the end of
// what is announced elsewhere too.
func (s *session) freeAllBut(entries []entry) error {
	var stale, rest []*group
	for _, g := range s.groups {
		if slices.ContainsFunc(entries, g.equal) {
			rest = append(rest, g)
		} else {
			stale = append(stale, g)
		}
	}
	if slices.ContainsFunc(stale, s.isSeen) {
		stale = append(rest, stale...)
	}
	for _, g := range stale {
		if err := s.free(g); err != nil {
			return err
		}
	}
	return nil
}

// isSeen reports whether a browser finds the service by the group.
func (s *session) isSeen(g *group) bool {
	for at := range s.seen {
		if at.name == s.service.Name && g.covers(Place{Index: at.index, IPv4: at.protocol == 0}) {
			return true
		}
	}
	return false
}

// add has Avahi announce the service.
func (s *session) add(e entry) error {
	g, err := s.newGroup(e)
	if err != nil {
		return trouble{noAvahi, err}
	}
	s.groups = append(s.groups, g)
	s.log.Debug("Adding Zeroconf service", "name", s.service.Name, "type", s.service.Type, "interface", e.index, "protocol", e.protocol)
	host := ""
	if len(e.addresses) > 0 {
		host = hostOf(s.host, e.addresses[0]) + "." + s.domain
	}
	for _, address := range e.addresses {
		// The names of addresses are left alone.
		if err := g.AddAddress(e.index, e.protocol, avahi.PublishNoReverse, host, address.String()); err != nil {
			return trouble{refused, err}
		}
	}
	err = g.AddService(e.index, e.protocol, 0, s.service.Name, s.service.Type, "", host, s.service.Port, [][]byte{})
	if err == nil {
		err = g.Commit()
	}
	if err != nil {
		return trouble{refused, err}
	}
	return nil
}

// newGroup makes a group whose state we hear of ourselves, in the order of all signals:
// one that go-avahi hears for blocks go-avahi when nobody listens for a while.
func (s *session) newGroup(e entry) (*group, error) {
	var path dbus.ObjectPath
	if err := s.server("EntryGroupNew").Store(&path); err != nil {
		return nil, err
	}
	calls, err := avahi.EntryGroupNew(s.conn, path)
	return &group{entry: e, EntryGroup: calls, path: path}, err
}

// hostOf is the label of the host name under which one address of this machine is announced.
// Avahi's own has all addresses, which are not all listened on.
func hostOf(host string, address netip.Addr) string {
	suffix := "-" + strings.NewReplacer(".", "-", ":", "-").Replace(address.WithZone("").String())
	const longest = 63 // RFC 1035, section 2.3.4
	if len(host)+len(suffix) > longest {
		host = strings.ToValidUTF8(host[:longest-len(suffix)], "")
	}
	return host + suffix
}

func (s *session) free(g *group) error {
	s.groups = slices.DeleteFunc(s.groups, func(other *group) bool { return other == g })
	if err := s.call(g.path, groupFree).Err; err != nil {
		return trouble{noAvahi, err}
	}
	return nil
}

// withdraw announces nothing any more.
func (s *session) withdraw() error {
	for _, g := range slices.Clone(s.groups) {
		if err := s.free(g); err != nil {
			return err
		}
	}
	return nil
}

// renameAll announces the service by another name.
func (s *session) renameAll() error {
	if err := s.withdraw(); err != nil {
		return err
	}
	if err := s.rename(); err != nil {
		return err
	}
	return s.arrange()
}

// groupSignal follows the state of what is announced.
func (s *session) groupSignal(signal *dbus.Signal) error {
	var now avahi.EntryGroupState
	if err := dbus.Store(signal.Body, &now.State, &now.Error); err != nil {
		return trouble{noAvahi, err}
	}
	at := slices.IndexFunc(s.groups, func(g *group) bool { return g.path == signal.Path })
	if at < 0 {
		return nil // it was freed
	}
	g := s.groups[at]
	s.log.Debug("Avahi entry group state change", "state", now.State, "interface", g.index, "protocol", g.protocol)
	g.established = now.State == avahi.EntryGroupEstablished
	switch now.State {
	case avahi.EntryGroupCollision:
		s.log.Info("Zeroconf service name collision")
		return s.renameAll()
	case avahi.EntryGroupFailure:
		return trouble{refused, errors.New(now.Error)}
	}
	s.tell(false)
	return nil
}
