// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// seat is a connection that only knows whether it was closed.
type seat struct {
	net.Conn
	key    string
	closed bool
}

func (s *seat) Close() error { s.closed = true; return nil }

func TestCrowd(t *testing.T) {
	for sentence, c := range map[string]struct {
		max, perKey int
		come        string // keys in order of arrival
		stay        string // those who are still there
	}{
		"all stay while there is room":                             {max: 4, perKey: 2, come: "abab", stay: "abab"},
		"one too many of a key closes the oldest of that key":      {max: 9, perKey: 2, come: "aaba", stay: "aba"},
		"one too many closes the oldest of the key with the most":  {max: 4, perKey: 4, come: "bcaad", stay: "bcad"},
		"among equals the key with the oldest connection loses it": {max: 3, perKey: 3, come: "abcd", stay: "bcd"},
		"a flood from one key leaves the single ones alone":        {max: 4, perKey: 3, come: "xaaaaaayaaaa", stay: "xyaa"},
	} {
		t.Run(sentence, func(t *testing.T) {
			evicted := 0
			crowd := newCrowd[string](c.max, c.perKey, func() { evicted++ })
			var seats []*seat
			for _, key := range c.come {
				s := &seat{key: string(key)}
				seats = append(seats, s)
				crowd.join(s.key, s)
			}
			stay := ""
			for _, s := range seats {
				if !s.closed {
					stay += s.key
				}
			}
			if stay != c.stay {
				t.Errorf("%q stay, want %q", stay, c.stay)
			}
			if crowd.size() != len(stay) || evicted != len(seats)-len(stay) {
				t.Errorf("it has %d, and %d were evicted", crowd.size(), evicted)
			}
		})
	}
}

// TestTheOldestGoesFirst has a connection of each of many keys, some of which have
// left and come again.
func TestTheOldestGoesFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		crowd := newCrowd[int](100, 1, func() {})
		var order []*seat
		members := make(map[*seat]*member[int])
		join := func(key int) {
			s := &seat{}
			order = append(order, s)
			members[s] = crowd.join(key, s)
		}
		keys := rapid.IntRange(2, 20).Draw(t, "keys")
		for key := range keys {
			join(key)
		}
		for _, key := range rapid.SliceOf(rapid.IntRange(0, keys-1)).Draw(t, "again") {
			for i, s := range order {
				if m := members[s]; m.group.key == key {
					crowd.leave(m)
					order = slices.Delete(order, i, i+1)
					break
				}
			}
			join(key)
		}
		for i, oldest := range order {
			crowd.evictOne()
			for j, s := range order {
				if s.closed != (j <= i) {
					t.Fatalf("after %d evictions number %d is closed: %v; its key is %d, and the oldest had %d", i+1, j, s.closed, members[s].group.key, members[oldest].group.key)
				}
			}
		}
		crowd.evictOne() // of nobody
	})
}

func TestCrowdIsNeverLargerThanItMayBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		crowd := newCrowd[string](rapid.IntRange(1, 8).Draw(t, "max"), rapid.IntRange(1, 4).Draw(t, "per key"), func() {})
		present := map[*seat]*member[string]{}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				s := &seat{key: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "key")}
				present[s] = crowd.join(s.key, s)
				if s.closed {
					t.Error("the newcomer was closed")
				}
			},
			"leave": func(t *rapid.T) {
				for s, m := range present {
					crowd.leave(m)
					crowd.leave(m)
					delete(present, s)
					break
				}
			},
			"evict": func(t *rapid.T) { crowd.evictOne() },
			"": func(t *rapid.T) {
				perKey := map[string]int{}
				open := 0
				for s := range present {
					if s.closed {
						delete(present, s)
						continue
					}
					open++
					perKey[s.key]++
				}
				if open != crowd.total || open > crowd.max || len(crowd.groups) != len(perKey) || len(crowd.heap) != len(perKey) {
					t.Errorf("%d open of %d, total %d, %d groups, %d in the heap, want %d", open, crowd.max, crowd.total, len(crowd.groups), len(crowd.heap), len(perKey))
				}
				for key, n := range perKey {
					if n > crowd.maxPerKey || crowd.groups[key].members.Len() != n {
						t.Errorf("%d open of %s", n, key)
					}
				}
			},
		})
	})
}

func TestIPv4OnAnIPv6SocketIsIPv4(t *testing.T) {
	conn := remote{addr: &net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.3"), Port: 5}}
	if got := addressOf(conn); got != netip.MustParseAddrPort("192.0.2.3:5") {
		t.Error(got)
	}
}

// remote is a connection of which only the peer's address matters.
type remote struct {
	net.Conn
	addr net.Addr
}

func (r remote) RemoteAddr() net.Addr { return r.addr }
