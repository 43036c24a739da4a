// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"net/netip"
	"time"
)

// twoMachinesQuiet is how long it is not told again of a client that two machines have
// its key.
const twoMachinesQuiet = time.Minute

// came notes a peer with the client's key, until went is called. If one is there already
// at another address, two machines have the key.
func (h *Handout) came() {
	c, here := h.client, addressOf(h.from.Address)
	for other := range c.present {
		if there := addressOf(other.from.Address); here.IsValid() && there.IsValid() && here != there {
			h.registry.tellTwoMachines(c, h.event(TwoMachines), fmt.Sprintf("another connection with that key is at %s", other.from.Address))
			break
		}
	}
	if c.present == nil {
		c.present = make(map[*Handout]struct{})
	}
	c.present[h] = struct{}{}
}

func (h *Handout) went() { delete(h.client.present, h) }

// compareWithCheck looks at a check that found the host alive, and began then: if its
// secret was handed out elsewhere meanwhile, two machines have the key.
func (r *Registry) compareWithCheck(c *client, began time.Time) {
	for i := range c.Handed {
		handed := &c.Handed[i]
		meanwhile := handed.Outcome == Underway || handed.ended.After(began)
		if meanwhile && c.isElsewhere(handed.Address) {
			r.tellTwoMachines(c, Event{Kind: TwoMachines, Time: r.wall(), Client: r.view(c), Identity: handed.Identity, Address: handed.Address},
				fmt.Sprintf("a check found the host alive at %s meanwhile", c.Host))
		}
	}
}

// isElsewhere reports whether the peer is known not to be where the host is checked. That
// is so only if the setting host is an address; and a link-local one says nothing of others.
func (c *client) isElsewhere(peer netip.AddrPort) bool {
	checked, err := netip.ParseAddr(c.Host)
	at := addressOf(peer)
	return err == nil && at.IsValid() && at != addressOf(netip.AddrPortFrom(checked, 0)) && !at.IsLinkLocalUnicast() && !checked.IsLinkLocalUnicast()
}

// addressOf is an address as it can be compared.
func addressOf(at netip.AddrPort) netip.Addr { return at.Addr().Unmap() }

func (r *Registry) tellTwoMachines(c *client, event Event, note string) {
	if !c.twoMachinesTold.IsZero() && time.Since(c.twoMachinesTold) < twoMachinesQuiet {
		return
	}
	c.twoMachinesTold = time.Now()
	event.Note = note
	r.noteRefusal(event)
}
