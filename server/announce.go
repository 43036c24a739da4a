// SPDX-License-Identifier: Apache-2.0

package main

import (
	"mandos/server/zeroconf"
)

// followSockets does what follows when the sockets, or the network that they can be
// found on, have changed.
func (d *daemon) followSockets() {
	if d.zeroconf != nil {
		d.announce()
	}
	d.tellReach()
}

// announce tells Zeroconf where the sockets can be found.
func (d *daemon) announce() {
	state := d.sockets.State()
	target := zeroconf.Target{AllIPv6: state.AllIPv6, AllIPv4: state.AllIPv4, Nowhere: state.Nowhere}
	for _, p := range state.Places {
		target.Places = append(target.Places, zeroconf.Place{Interface: p.Interface, Index: int32(p.Index), IPv4: p.IPv4, Addresses: p.Addresses})
	}
	d.zeroconf.Move(target)
}

// tellReach tells everybody who wants to know how clients reach the server.
func (d *daemon) tellReach() {
	if d.zeroconf != nil {
		d.name.Set(d.zeroconf.Name())
	}
	if d.bus != nil {
		d.bus.StatusChanged()
	}
}
