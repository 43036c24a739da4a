// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// place is an entry of allow_from: a network, or an interface of this machine, or both.
type place struct {
	network netip.Prefix
	// iface is empty for any.
	iface string
}

type places []place

// interfaceEntry begins an entry that is an interface's name.
const interfaceEntry = "interface:"

// parseAllowFrom reads what allow_from is. Entries are separated by commas or blanks. No
// error shows an entry: it may be a secret that was swallowed by a slip in clients.conf.
func parseAllowFrom(text string) (all places, err error) {
	for i, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
		p, err := parsePlace(entry)
		if err != nil {
			return nil, fmt.Errorf("entry %d of allow_from %w", i+1, err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, errors.New("allow_from has no entry; leave it empty to allow from anywhere")
	}
	return all, nil
}

func parsePlace(entry string) (place, error) {
	if name, is := strings.CutPrefix(entry, interfaceEntry); is {
		const longest = 15 // IFNAMSIZ in netdevice(7), less its end
		if name == "" || len(name) > longest || strings.Contains(name, "/") {
			return place{}, errors.New("is no name of an interface; write for example interface:eth0")
		}
		return place{iface: name}, nil
	}
	if address, err := netip.ParseAddr(entry); err == nil {
		zone := address.Zone()
		address = address.WithZone("").Unmap()
		return place{network: netip.PrefixFrom(address, address.BitLen()), iface: zone}, nil
	}
	network, err := netip.ParsePrefix(entry)
	const mapped = 96 // bits before the IPv4 address in one of IPv6, RFC 4291 section 2.5.5.2
	switch {
	case err != nil:
		return place{}, errors.New("is neither an address nor a network nor an interface; " +
			"write for example 192.0.2.0/24, 2001:db8::7 or interface:eth0")
	case network.Addr().Is4In6() && network.Bits() >= mapped:
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-mapped)
	}
	if network != network.Masked() {
		return place{}, fmt.Errorf("has bits beyond its length; write %s", network.Masked())
	}
	return place{network: network}, nil
}

// allow reports whether the peer is at one of the places.
func (all places) allow(from Origin) bool {
	return slices.ContainsFunc(all, func(p place) bool { return p.has(from) })
}

func (p *place) has(from Origin) bool {
	address := from.Address.Addr()
	if !address.IsValid() || p.iface != "" && p.iface != from.Interface {
		return false
	}
	return !p.network.IsValid() || p.network.Contains(address.WithZone("").Unmap())
}

// judgeAllowFromSetting is the fault of the setting.
func judgeAllowFromSetting(d *Setting, s *Settings) error {
	if s.AllowFrom == "" {
		return nil
	}
	if err := tooLong(len(s.AllowFrom), MaxHost, "the "+d.Key); err != nil {
		return err
	}
	_, err := parseAllowFrom(s.AllowFrom)
	return err
}

// maxSources bounds the sources that are remembered of a client.
const maxSources = 16

// arrived remembers that the client fetched its secret from there, and reports whether
// it is known to have done so from elsewhere only. See [SourceOf] for what is one.
func (r *Record) arrived(from netip.Addr) (isNew bool) {
	if !from.IsValid() {
		return false
	}
	source := SourceOf(from)
	others := slices.DeleteFunc(slices.Clone(r.Sources), func(s netip.Prefix) bool { return s == source })
	isNew = len(others) == len(r.Sources) && len(others) > 0
	if len(others) >= maxSources {
		others = others[1:] // which was not seen for the longest
	}
	r.Sources = append(others, source)
	return isNew
}
