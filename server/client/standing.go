// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Lowering is one fact that takes a client's validity away. It stays in force,
// for the name and for the key, until somebody enables who has seen it.
type Lowering struct {
	// ID is 128 bits in hex, which tell this fact from every other.
	ID     string
	Reason Reason
	By     Actor
	At     time.Time
	// Name and Key are those that the client had then.
	Name string
	Key  Key
	// Own is the key that the section had which learned of the fact when it got the
	// client's key; none for the client itself. With that key again it is not bound.
	Own Key
}

// NewLowering is a fact that was not there before.
func NewLowering(why Reason, by Actor, at time.Time, name string, key Key) Lowering {
	return Lowering{ID: newID(), Reason: why, By: by, At: at, Name: name, Key: key}
}

// newID is that of a fact that was not there before.
func newID() string {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// factID is the ID of a fact that must be the same wherever it is found out.
func factID(parts ...any) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%q\n", fmt.Sprint(part))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Seen is the ID of a lowering that somebody who enabled the client had seen, or
// that a later one has taken the place of.
type Seen struct {
	ID      string
	Enables uint64 // as Life counted them then
}

// maxSeen bounds what is kept of the lowerings that count no more: those of the
// latest enablements. One that is forgotten can only come back as a lowering.
const maxSeen = 64

// Life counts the times that a client was given its validity anew, and tells
// whether the present one is over. Of two lives the one with more enablements is
// the later, and of these the one with more witnesses.
type Life struct {
	Enables   uint64
	Witnesses uint64
	// Expiry, if not nil, says that and how this life has expired.
	Expiry *Lowering
}

// Standing is all that lowers a client, and what people have said about that.
// A client is valid if nothing of it binds. Standings are never changed in
// place, so that copies may share what they have.
type Standing struct {
	Lowerings []Lowering
	Seen      []Seen
	Life      Life
}

func (s *Standing) hasSeen(id string) bool {
	return slices.ContainsFunc(s.Seen, func(seen Seen) bool { return seen.ID == id })
}

func (s *Standing) equal(other *Standing) bool {
	return slices.Equal(s.Lowerings, other.Lowerings) && slices.Equal(s.Seen, other.Seen) && s.Life == other.Life
}

// facts are all lowerings that nobody who enabled has seen, an expiry among
// them, the earliest first.
func (s *Standing) facts() (facts []Lowering) {
	for _, l := range s.Lowerings {
		if !s.hasSeen(l.ID) {
			facts = append(facts, l)
		}
	}
	if e := s.Life.Expiry; e != nil && !s.hasSeen(e.ID) {
		facts = append(facts, *e)
	}
	slices.SortStableFunc(facts, func(a, b Lowering) int { return a.At.Compare(b.At) })
	return facts
}

// against are the facts that bind the client with that key.
func (s *Standing) against(key Key) []Lowering {
	return slices.DeleteFunc(s.facts(), func(l Lowering) bool { return !l.binds(key) })
}

// binds reports whether the fact binds a client that it is known of, with that key. A
// removal is one of the key: another key in the section is another client.
func (l *Lowering) binds(key Key) bool {
	return !(l.Reason == RemovedByAdministrator && l.Key.differs(key)) && !(l.Own != Key{} && l.Own.same(key) && l.Key.differs(key))
}

// removes reports whether a removal is among what binds the client with that key.
func (s *Standing) removes(key Key) bool {
	return slices.ContainsFunc(s.against(key), func(l Lowering) bool { return l.Reason == RemovedByAdministrator })
}

// lower adds a fact. It takes the place of an earlier one for the same reason by a person
// about the same key.
func (s Standing) lower(l Lowering) Standing {
	if slices.ContainsFunc(s.Lowerings, func(other Lowering) bool { return other.ID == l.ID }) {
		return s
	}
	var stay []Lowering
	for _, other := range s.Lowerings {
		if other.Reason == l.Reason && other.Key == l.Key && (l.Reason == ByAdministrator || l.Reason == RemovedByAdministrator) {
			s = s.see(other.ID)
			continue
		}
		stay = append(stay, other)
	}
	s.Lowerings = append(stay, l)
	return s
}

// see notes that a lowering counts no more.
func (s Standing) see(id string) Standing {
	if s.hasSeen(id) {
		return s
	}
	seen := append(slices.Clone(s.Seen), Seen{ID: id, Enables: s.Life.Enables})
	slices.SortStableFunc(seen, func(a, b Seen) int { return cmp.Compare(a.Enables, b.Enables) })
	s.Seen = seen[max(0, len(seen)-maxSeen):]
	return s
}

// expire ends the life, for the reason that kind says.
func (s Standing) expire(name string, why Reason, at time.Time, key Key) Standing {
	s.Life.Expiry = &Lowering{
		ID:     factID("expiry", name, s.Life.Enables, s.Life.Witnesses),
		Reason: why, By: ByItself, At: at, Name: name, Key: key,
	}
	return s
}

// raise is what enabling makes of it: a new life, in which nothing binds the
// client of that name and key that bound it so far. A fact about another client,
// whose key this one had for a while, is let go of, and not seen: it holds where
// the key is. What is unseen stays.
func (s Standing) raise(name string, key Key, unseen unseen) Standing {
	raised := s.against(key)
	s.Life = Life{Enables: s.Life.Enables + 1}
	for _, l := range raised {
		if unseen[l.ID] {
			continue
		}
		if l.Name != name && l.Key.differs(key) {
			s.Lowerings = slices.DeleteFunc(slices.Clone(s.Lowerings), func(other Lowering) bool { return other.ID == l.ID })
			continue
		}
		s = s.see(l.ID)
	}
	return s.trimmed()
}

// trimmed leaves out the lowerings that count no more.
func (s Standing) trimmed() Standing {
	s.Lowerings = slices.DeleteFunc(slices.Clone(s.Lowerings), func(l Lowering) bool { return s.hasSeen(l.ID) })
	return s
}

// forgive lets go of what somebody has seen who enabled the same key under
// another name.
func (s Standing) forgive(seen func(id string) bool) Standing {
	facts := slices.DeleteFunc(s.facts(), func(l Lowering) bool { return !seen(l.ID) })
	if len(facts) == 0 {
		return s
	}
	s.Life.Enables++
	for _, l := range facts {
		if e := s.Life.Expiry; e != nil && e.ID == l.ID {
			s.Life.Expiry = nil
		}
		s = s.see(l.ID)
	}
	return s.trimmed()
}

// heed takes over facts about the key that are known under other names. The section
// had its own key before, if it is one that was known.
func (s Standing) heed(facts []Lowering, own Key) Standing {
	for _, l := range facts {
		if !s.hasSeen(l.ID) {
			l.Own = Key{}
			if !l.Key.same(own) {
				l.Own = own
			}
			s = s.lower(l)
		}
	}
	return s
}
