// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"container/heap"
	"container/list"
	"net"
	"sync"
)

// crowd bounds how many connections there are at once, in all and with one key
// (an address, an identity). A newcomer is always let in: where there are too
// many, the oldest connection of the key with the most is closed for it.
type crowd[K comparable] struct {
	max, maxPerKey int
	evicted        func() // called for each that is closed for another

	mu     sync.Mutex
	groups map[K]*group[K]
	heap   groupHeap[K]
	total  int
	turn   uint64
}

// group is the connections of one key, oldest first.
type group[K comparable] struct {
	key     K
	members list.List // of *member[K]
	index   int       // in the heap
}

// member is one connection's place in a crowd.
type member[K comparable] struct {
	conn    net.Conn
	group   *group[K]
	element *list.Element // nil once it has left
	turn    uint64
}

func newCrowd[K comparable](max, maxPerKey int, evicted func()) *crowd[K] {
	return &crowd[K]{max: max, maxPerKey: maxPerKey, evicted: evicted, groups: make(map[K]*group[K])}
}

// join lets conn in and closes another one if there is no room for both.
func (c *crowd[K]) join(key K, conn net.Conn) *member[K] {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[key]
	switch {
	case g != nil && g.members.Len() >= c.maxPerKey:
		c.evictOldest(g)
	case c.total >= c.max:
		c.evictOldest(c.heap[0])
	}
	if g = c.groups[key]; g == nil {
		g = &group[K]{key: key}
		c.groups[key] = g
		heap.Push(&c.heap, g)
	}
	c.turn++
	m := &member[K]{conn: conn, group: g, turn: c.turn}
	m.element = g.members.PushBack(m)
	c.total++
	heap.Fix(&c.heap, g.index)
	return m
}

// leave gives the member's place up. It does not close the connection.
func (c *crowd[K]) leave(m *member[K]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(m)
}

// evictOne closes the connection that would have to go next, if there is one.
func (c *crowd[K]) evictOne() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total > 0 {
		c.evictOldest(c.heap[0])
	}
}

// closeAll closes all connections, which leave in their own time.
func (c *crowd[K]) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.groups {
		for e := g.members.Front(); e != nil; e = e.Next() {
			e.Value.(*member[K]).conn.Close()
		}
	}
}

func (c *crowd[K]) evictOldest(g *group[K]) {
	oldest := g.oldest()
	oldest.conn.Close()
	c.remove(oldest)
	c.evicted()
}

// size is how many connections there are.
func (c *crowd[K]) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

func (c *crowd[K]) remove(m *member[K]) {
	if m.element == nil {
		return
	}
	m.group.members.Remove(m.element)
	m.element = nil
	c.total--
	if m.group.members.Len() > 0 {
		heap.Fix(&c.heap, m.group.index)
		return
	}
	heap.Remove(&c.heap, m.group.index)
	delete(c.groups, m.group.key)
}

func (g *group[K]) oldest() *member[K] { return g.members.Front().Value.(*member[K]) }

// groupHeap has the group with the most members on top, and among equals the
// one with the oldest member.
type groupHeap[K comparable] []*group[K]

func (h groupHeap[K]) Len() int { return len(h) }

func (h groupHeap[K]) Less(i, j int) bool {
	a, b := h[i].members.Len(), h[j].members.Len()
	if a != b || a == 0 {
		return a > b
	}
	return h[i].oldest().turn < h[j].oldest().turn
}

func (h groupHeap[K]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *groupHeap[K]) Push(x any) {
	g := x.(*group[K])
	g.index = len(*h)
	*h = append(*h, g)
}

func (h *groupHeap[K]) Pop() any {
	old := *h
	g := old[len(old)-1]
	*h = old[:len(old)-1]
	return g
}
