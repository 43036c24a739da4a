// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"slices"
	"time"
)

// maxGone bounds the records of clients that are gone and have nothing against
// them. Those of lowered clients are kept until somebody forgets them.
const maxGone = 1000

// succession says what a configuration makes of all records. It is found out
// in the same way at a start, when a reload is saved and when it takes effect.
type succession struct {
	heirs   []heir            // one for each section, in their order
	gone    map[string]Record // those without a section, but for the dropped
	leaving []string          // the names of those that have lost it just now
	dropped []string          // the names of those that are too many
}

// Reloaded says what a configuration was to the one before it, by the names of
// clients.
type Reloaded struct {
	Added, Removed, Changed []string
	// Away are the sections whose clients are not there, since they were removed
	// at run time.
	Away []string
}

func (s *succession) reloaded() (r Reloaded) {
	for i := range s.heirs {
		switch h := &s.heirs[i]; {
		case h.absent():
			r.Away = append(r.Away, h.Name)
		case h.isNew():
			r.Added = append(r.Added, h.Name)
		case h.Configured != h.former.Configured:
			r.Changed = append(r.Changed, h.Name)
		}
	}
	r.Removed = s.leaving
	return r
}

// heir is what becomes of one section.
type heir struct {
	Record
	former   Record     // of the name, if known
	known    bool       // there was one
	goesOn   bool       // the life of a client that the server has met
	changed  []Property // the settings in force that differ from the former ones
	position int
}

// isNew reports whether the section was not there before.
func (h *heir) isNew() bool { return !h.known || !h.former.Gone.IsZero() }

// differs reports whether there is something to save and to follow.
func (h *heir) differs() bool {
	return h.isNew() || h.Configured != h.former.Configured || !h.Standing.equal(&h.former.Standing) || h.DeniedUntil != h.former.DeniedUntil
}

// newSuccession works out what becomes of the records under a new configuration.
//
// A person has spoken about a client if the line enabled in its own section has
// changed: that lowers or raises it. What changes in [DEFAULT] only lowers. A
// line that is missing says nothing, since it may have been lost.
//
// A section inherits what binds its key from clients of other names, if it has
// just got that name or that key; and a disablement by a person always, once the
// section of the client that was disabled is gone. A section that is new, with a
// key that is not, goes on with the life of the client that has it.
//
// What is unseen came after the configuration was asked for, which raises nobody
// from it.
func newSuccession(configured []Settings, records []Record, now time.Time, unseen unseen) succession {
	records = slices.Clone(records)
	for i := range records {
		if r := &records[i]; !r.Gone.IsZero() && r.lapsed(now) {
			r.Standing = r.expire(r.Name, TimedOut, r.Expires, r.key())
			r.judge()
		}
	}
	known := make(map[string]Record, len(records))
	for _, record := range records {
		known[record.Name] = record
	}
	stays := make(map[string]Key, len(configured))
	for i := range configured {
		stays[configured[i].Name] = configured[i].key()
	}
	kin := newKin(records, stays)

	next := succession{gone: make(map[string]Record)}
	for i, settings := range configured {
		former, isKnown := known[settings.Name]
		next.heirs = append(next.heirs, inherit(settings, former, isKnown, kin, now, unseen))
		next.heirs[i].position = i
	}
	for _, record := range records {
		if _, ok := stays[record.Name]; ok {
			continue
		}
		if record.Gone.IsZero() {
			record.Gone = now
			record.ConvertAbsence(now)
			next.leaving = append(next.leaving, record.Name)
		}
		next.gone[record.Name] = record
	}
	next.prune(now)
	return next
}

// prune lets go of the records without blame that are too many, those first
// whose section has been gone for the longest.
func (s *succession) prune(now time.Time) {
	var blameless []Record
	for _, record := range s.gone {
		if record.blameless(now) {
			blameless = append(blameless, record)
		}
	}
	if len(blameless) <= maxGone {
		return
	}
	slices.SortFunc(blameless, func(a, b Record) int { return cmp.Or(a.Gone.Compare(b.Gone), cmp.Compare(a.Name, b.Name)) })
	for _, record := range blameless[:len(blameless)-maxGone] {
		delete(s.gone, record.Name)
		s.dropped = append(s.dropped, record.Name)
	}
}

// inherit works out what becomes of one section.
func inherit(settings Settings, former Record, isKnown bool, kin *kin, now time.Time, unseen unseen) heir {
	h := heir{former: former, known: isKnown, goesOn: isKnown}
	if isKnown {
		h.Record, h.changed = merge(former, settings)
		h.Gone = time.Time{}
	} else {
		h.Record = newRecord(settings, now)
		h.goesOn = kin.lend(&h.Record)
	}
	met := h.isNew() || former.key() != h.key()
	kin.bequeath(&h.Record, former.key(), met)
	h.hear(former, isKnown, settings, now, unseen)
	h.judge()
	if isKnown && !former.Enabled && h.Enabled && h.hasOwnKeyAgain() {
		h.spendGrace(now)
	}
	if !h.goesOn && !h.Enabled {
		h.LastEnabled = time.Time{}
	}
	return h
}

// hasOwnKeyAgain reports whether the client is bound no more by what it learned of
// when it had the key of another.
func (h *heir) hasOwnKeyAgain() bool {
	return slices.ContainsFunc(h.facts(), func(l Lowering) bool { return l.Own != Key{} && !l.binds(h.key()) })
}

// spendGrace is for a client whose time did not pass for a while: it may prove itself
// anew, but, as at restarts, only once for each success.
func (h *heir) spendGrace(now time.Time) {
	if h.GraceSpent {
		h.Standing = h.expire(h.Name, GraceSpent, now, h.key())
		h.judge()
	}
	h.GraceSpent = true
}

// hear follows what the configuration says of the client's validity.
func (h *heir) hear(former Record, isKnown bool, settings Settings, now time.Time, unseen unseen) {
	word := settings.word()
	if word != NoWord || former.Word == UnknownWord {
		h.Word = word
	}
	asBefore := word == former.Word || former.Word == UnknownWord && settings.Enabled == former.Configured.Enabled
	spoken := isKnown && word != NoWord && !asBefore
	wasOff := isKnown && !former.Configured.Enabled
	switch {
	case settings.Enabled && spoken && (former.Word == WordNo || wasOff):
		h.raise(now, unseen)
	case !settings.Enabled && (spoken || !wasOff):
		section := "DEFAULT"
		if settings.EnabledOwn {
			section = "own"
		}
		h.Standing = h.lower(Lowering{
			ID:     factID("enabled = no", h.Name, section, h.key(), h.Life.Enables),
			Reason: ByConfiguration, By: FromConfiguration, At: now, Name: h.Name, Key: h.key(),
		})
	}
}

// kin finds the records that have to do with a key.
type kin struct {
	records []Record
	stays   map[string]Key // of the names that have a section
	byKey   map[string][]int
}

func newKin(records []Record, stays map[string]Key) *kin {
	k := &kin{records: records, stays: stays, byKey: make(map[string][]int)}
	for i := range records {
		r := &records[i]
		keys := []Key{r.key(), r.DeniedKey}
		for _, l := range r.facts() {
			keys = append(keys, l.Key)
		}
		for _, key := range keys {
			for _, part := range key.foundBy() {
				if at := k.byKey[part]; len(at) == 0 || at[len(at)-1] != i {
					k.byKey[part] = append(at, i)
				}
			}
		}
	}
	return k
}

// bequeath gives a record what those of other names know about its key. Before, it
// had the key former, if it was known.
func (k *kin) bequeath(heir *Record, former Key, met bool) {
	var facts []Lowering
	var seen []Standing
	k.of(heir, func(r *Record) {
		if len(r.against(r.key())) == 0 { // else something may only have taken the place of what it has seen
			seen = append(seen, r.Standing)
		}
		key, stays := k.stays[r.Name]
		hasKeyNow := r.key().same(heir.key()) && !(stays && key.differs(heir.key())) // but may have been lowered with another
		for _, l := range r.facts() {
			about := l.Key.same(heir.key()) || hasKeyNow && l.binds(r.key())
			if about && (met || l.Reason == ByAdministrator && !stays) {
				facts = append(facts, l)
			}
		}
		if met && (hasKeyNow || r.DeniedKey.same(heir.key())) && r.DeniedUntil.After(heir.DeniedUntil) {
			heir.DeniedUntil, heir.DeniedFor, heir.DeniedKey = r.DeniedUntil, r.DeniedFor, heir.key()
		}
	})
	hasSeen := func(id string) bool {
		return slices.ContainsFunc(seen, func(s Standing) bool { return s.hasSeen(id) })
	}
	if len(heir.against(former)) > 0 {
		former = Key{} // with which it would not be healthy either
	}
	if met {
		heir.Standing = heir.forgive(hasSeen)
	}
	heir.Standing = heir.heed(slices.DeleteFunc(facts, func(l Lowering) bool { return hasSeen(l.ID) }), former)
}

// lend has a record go on with the life of the client that has its key, if there
// is one; of several with that which went last.
func (k *kin) lend(heir *Record) (goesOn bool) {
	var former *Record
	k.of(heir, func(r *Record) {
		if r.key().same(heir.key()) && (former == nil || r.Gone.IsZero() || !former.Gone.IsZero() && r.Gone.After(former.Gone)) {
			former = r
		}
	})
	if former == nil {
		return false
	}
	heir.State, heir.Sources = former.State, former.Sources
	heir.Handed = slices.Clone(former.Handed)
	for i := range heir.Handed {
		if handed := &heir.Handed[i]; handed.Outcome == Underway { // which the former one tells of
			handed.Outcome = NeverKnown
		}
	}
	heir.DisabledSince, heir.DisabledBecause, heir.DisabledBy = time.Time{}, "", Actor{}
	heir.DeniedUntil, heir.DeniedFor, heir.DeniedKey = time.Time{}, 0, Key{} // which is bequeathed
	return true
}

// of calls do for each record of another name that has to do with a key of heir's.
func (k *kin) of(heir *Record, do func(*Record)) {
	var at []int
	for _, part := range heir.key().finds() {
		at = append(at, k.byKey[part]...)
	}
	slices.Sort(at)
	for _, i := range slices.Compact(at) {
		if k.records[i].Name != heir.Name {
			do(&k.records[i])
		}
	}
}
