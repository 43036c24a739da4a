// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Keys as they are known, and the moments at which something is said of them.
var (
	knownA, knownB, knownC = Key{KeyID: keyA}, Key{KeyID: keyB}, Key{KeyID: keyC}
	byFingerprint          = Key{Fingerprint: "F"}
	first, second          = time.Unix(1000, 0), time.Unix(2000, 0)
)

func TestANewFactSaysWhatItIsAndWhomItIsAbout(t *testing.T) {
	one := NewLowering(ByAdministrator, somebody, first, "a", knownA)
	if len(one.ID) != 32 || one.ID == NewLowering(ByAdministrator, somebody, first, "a", knownA).ID {
		t.Errorf("its ID is %q", one.ID)
	}
	if want := (Lowering{ID: one.ID, Reason: ByAdministrator, By: somebody, At: first, Name: "a", Key: knownA}); one != want {
		t.Errorf("it is %+v, want %+v", one, want)
	}
}

func TestWhatBindsAClientOfWhichKey(t *testing.T) {
	for sentence, c := range map[string]struct {
		l     Lowering
		key   Key
		binds bool
	}{
		"a disablement, with its key":                                      {Lowering{Reason: ByAdministrator, Key: knownA}, knownA, true},
		"a disablement, with another key":                                  {Lowering{Reason: ByAdministrator, Key: knownA}, knownB, true},
		"a removal, with its key":                                          {Lowering{Reason: RemovedByAdministrator, Key: knownA}, knownA, true},
		"a removal, with another key":                                      {Lowering{Reason: RemovedByAdministrator, Key: knownA}, knownB, false},
		"a removal, with a key that cannot be compared":                    {Lowering{Reason: RemovedByAdministrator, Key: knownA}, byFingerprint, true},
		"what it learned of with another's key, as long as it has that":    {Lowering{Reason: ByAdministrator, Key: knownA, Own: knownB}, knownA, true},
		"what it learned of with another's key, with its own again":        {Lowering{Reason: ByAdministrator, Key: knownA, Own: knownB}, knownB, false},
		"what it learned of with another's key, with a third":              {Lowering{Reason: ByAdministrator, Key: knownA, Own: knownB}, knownC, true},
		"what it learned of with a key that cannot be told from its own":   {Lowering{Reason: ByAdministrator, Key: byFingerprint, Own: knownB}, knownB, true},
		"what it learned of with its own key":                              {Lowering{Reason: ByAdministrator, Key: knownA, Own: knownA}, knownA, true},
		"a removal that it learned of with another's key, and a third key": {Lowering{Reason: RemovedByAdministrator, Key: knownA, Own: knownB}, knownC, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			if binds := c.l.binds(c.key); binds != c.binds {
				t.Errorf("it binds: %v", binds)
			}
		})
	}
}

// ids are those of a standing: of the lowerings that it has, and of those that count
// no more.
func (s *Standing) ids() string {
	lowerings, seen := []string{}, []string{}
	for _, l := range s.Lowerings {
		lowerings = append(lowerings, l.ID)
	}
	for _, one := range s.Seen {
		seen = append(seen, one.ID)
	}
	return fmt.Sprintf("%v seen %v", lowerings, seen)
}

func TestWhichFactTakesThePlaceOfWhich(t *testing.T) {
	disabled := Lowering{ID: "1", Reason: ByAdministrator, Key: knownA}
	removed := Lowering{ID: "2", Reason: RemovedByAdministrator, Key: knownA}
	configured := Lowering{ID: "3", Reason: ByConfiguration, Key: knownA}
	as := func(l Lowering, id string, key Key) Lowering {
		l.ID, l.Key = id, key
		return l
	}
	for sentence, c := range map[string]struct {
		has  []Lowering
		new  Lowering
		want string
	}{
		"a disablement that of an earlier one of the same key": {[]Lowering{disabled}, as(disabled, "9", knownA), "[9] seen [1]"},
		"a removal that of an earlier one of the same key":     {[]Lowering{removed}, as(removed, "9", knownA), "[9] seen [2]"},
		"a disablement none of another key":                    {[]Lowering{disabled}, as(disabled, "9", knownB), "[1 9] seen []"},
		"a removal none of another key":                        {[]Lowering{removed}, as(removed, "9", knownB), "[2 9] seen []"},
		"a disablement none of another kind":                   {[]Lowering{removed, configured}, disabled, "[2 3 1] seen []"},
		"a removal none of another kind":                       {[]Lowering{disabled, configured}, removed, "[1 3 2] seen []"},
		"what the configuration says that of nothing":          {[]Lowering{configured}, as(configured, "9", knownA), "[3 9] seen []"},
		"a fact that is there already that of nothing":         {[]Lowering{disabled, configured}, disabled, "[1 3] seen []"},
	} {
		t.Run(sentence, func(t *testing.T) {
			former := Standing{Lowerings: slices.Clone(c.has)}
			after := former.lower(c.new)
			if got := after.ids(); got != c.want {
				t.Errorf("it has %s, want %s", got, c.want)
			}
			if !slices.Equal(former.Lowerings, c.has) || former.Seen != nil {
				t.Errorf("the former one was changed to %+v", former)
			}
		})
	}
}

func TestFactsAreListedTheEarliestFirstAndWithoutThoseSeen(t *testing.T) {
	s := Standing{
		Lowerings: []Lowering{{ID: "late", At: second}, {ID: "seen", At: first}},
		Seen:      []Seen{{ID: "seen"}},
		Life:      Life{Expiry: &Lowering{ID: "expired", At: first}},
	}
	if facts := s.facts(); len(facts) != 2 || facts[0].ID != "expired" || facts[1].ID != "late" {
		t.Errorf("they are %+v", facts)
	}
	s.Seen = append(s.Seen, Seen{ID: "expired"})
	if facts := s.facts(); len(facts) != 1 || facts[0].ID != "late" {
		t.Errorf("with the expiry seen they are %+v", facts)
	}
}

func TestWhatIsSeenTwiceIsNotedOnceAndWithTheEnablementOfThen(t *testing.T) {
	s := Standing{Life: Life{Enables: 3}}.see("1")
	s.Life.Enables = 4
	if s = s.see("1").see("2"); !slices.Equal(s.Seen, []Seen{{"1", 3}, {"2", 4}}) {
		t.Errorf("noted is %v", s.Seen)
	}
}

func TestAnExpiryIsOneFactOfOneLife(t *testing.T) {
	life := Standing{Life: Life{Enables: 2, Witnesses: 1}}
	expired := life.expire("a", CheckFailedLast, first, knownA)
	// The ID is saved, and must be the same in every version.
	want := Lowering{ID: "acb7b453f9c464958577448896ad386d", Reason: CheckFailedLast, By: ByItself, At: first, Name: "a", Key: knownA}
	if got := *expired.Life.Expiry; got != want {
		t.Errorf("it is %+v, want %+v", got, want)
	}
	if again := life.expire("a", TimedOut, second, knownB); again.Life.Expiry.ID != want.ID {
		t.Error("found out at another time it is another fact")
	}
	for what, other := range map[string]Standing{
		"of another client":          life.expire("b", CheckFailedLast, first, knownA),
		"after another enablement":   Standing{Life: Life{Enables: 3, Witnesses: 1}}.expire("a", CheckFailedLast, first, knownA),
		"of a life with more proofs": Standing{Life: Life{Enables: 2, Witnesses: 2}}.expire("a", CheckFailedLast, first, knownA),
	} {
		if other.Life.Expiry.ID == want.ID {
			t.Errorf("one %s is the same fact", what)
		}
	}
}

func TestADisablementByTheConfigurationIsOneFactForEachKey(t *testing.T) {
	off := func(name, key string, own bool, enables uint64) string {
		settings := host(name, key)
		settings.Enabled, settings.EnabledOwn = false, own
		h := heir{Record: newRecord(settings, first)}
		h.Life.Enables = enables
		h.hear(Record{}, false, settings, second, nil)
		want := Lowering{Reason: ByConfiguration, By: FromConfiguration, At: second, Name: name, Key: Key{KeyID: key}}
		if len(h.Lowerings) == 1 {
			want.ID = h.Lowerings[0].ID
		}
		if !slices.Equal(h.Lowerings, []Lowering{want}) {
			t.Fatalf("it has %+v, want %+v", h.Lowerings, want)
		}
		return h.Lowerings[0].ID
	}
	// The ID is saved, and must be the same in every version.
	const want = "3349c4662f6023cf5479d43afd00a6c0"
	if got := off("a", keyA, true, 0); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	for what, id := range map[string]string{
		"of another name":       off("b", keyA, true, 0),
		"of another key":        off("a", keyB, true, 0),
		"of [DEFAULT]":          off("a", keyA, false, 0),
		"after an enablement":   off("a", keyA, true, 1),
		"after a second one":    off("a", keyA, true, 2),
		"of all that another's": off("b", keyB, false, 3),
	} {
		if id == want {
			t.Errorf("one %s is the same fact", what)
		}
	}
}

func TestWhatRaisingMakesOfFacts(t *testing.T) {
	own := Lowering{ID: "own", Reason: ByAdministrator, Name: "a", Key: knownA}
	for sentence, c := range map[string]struct {
		has    []Lowering
		unseen unseen
		want   string
	}{
		"one of its own is seen":                             {[]Lowering{own}, nil, "[] seen [own]"},
		"one of its key under another name is seen":          {[]Lowering{{ID: "b", Name: "b", Key: knownA}}, nil, "[] seen [b]"},
		"one of its name with its former key is seen":        {[]Lowering{{ID: "former", Name: "a", Key: knownB}}, nil, "[] seen [former]"},
		"one of another's key is let go of and not seen":     {[]Lowering{{ID: "b", Name: "b", Key: knownB}}, nil, "[] seen []"},
		"one of another's key beside its own":                {[]Lowering{{ID: "b", Name: "b", Key: knownB}, own}, nil, "[] seen [own]"},
		"one of another's name with a key like none is seen": {[]Lowering{{ID: "b", Name: "b", Key: byFingerprint}}, nil, "[] seen [b]"},
		"one that came after it was asked for stays":         {[]Lowering{own}, unseen{"own": true}, "[own] seen []"},
		"another's that came after it was asked for stays":   {[]Lowering{{ID: "b", Name: "b", Key: knownB}}, unseen{"b": true}, "[b] seen []"},
		"one that came after that, beside another's":         {[]Lowering{{ID: "b", Name: "b", Key: knownB}, own}, unseen{"own": true}, "[own] seen []"},
		"a removal of another key stays, as it does not bind": {
			[]Lowering{own, {ID: "removed", Reason: RemovedByAdministrator, Name: "a", Key: knownB}}, nil, "[removed] seen [own]"},
	} {
		t.Run(sentence, func(t *testing.T) {
			former := Standing{Lowerings: slices.Clone(c.has), Life: Life{Enables: 4, Witnesses: 7}}
			raised := former.raise("a", knownA, c.unseen)
			if got := raised.ids(); got != c.want {
				t.Errorf("it has %s, want %s", got, c.want)
			}
			if raised.Life != (Life{Enables: 5}) {
				t.Errorf("the new life is %+v", raised.Life)
			}
			if !slices.Equal(former.Lowerings, c.has) {
				t.Errorf("the former one was changed to %+v", former)
			}
		})
	}
	t.Run("an expiry is seen", func(t *testing.T) {
		expired := Standing{Life: Life{Enables: 4}}.expire("a", TimedOut, first, knownA)
		raised := expired.raise("a", knownA, nil)
		if raised.Life != (Life{Enables: 5}) || !slices.Equal(raised.Seen, []Seen{{expired.Life.Expiry.ID, 5}}) {
			t.Errorf("it is %+v", raised)
		}
	})
}

func TestWhatIsForgivenThatWasSeenUnderAnotherName(t *testing.T) {
	lowered := Standing{
		Lowerings: []Lowering{{ID: "1", Reason: ByAdministrator}, {ID: "2", Reason: RemovedByAdministrator}},
		Life:      Life{Enables: 4, Expiry: &Lowering{ID: "expired"}},
	}
	for sentence, c := range map[string]struct {
		seen    []string
		want    string
		enables uint64
		expired bool
	}{
		"nothing":                     {nil, "[1 2] seen []", 4, true},
		"something else":              {[]string{"3"}, "[1 2] seen []", 4, true},
		"one fact, and no other":      {[]string{"1"}, "[2] seen [1]", 5, true},
		"the expiry, and nothing but": {[]string{"expired"}, "[1 2] seen [expired]", 5, false},
		"all":                         {[]string{"1", "2", "expired"}, "[] seen [1 2 expired]", 5, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			after := lowered.forgive(func(id string) bool { return slices.Contains(c.seen, id) })
			if got := after.ids(); got != c.want || after.Life.Enables != c.enables || (after.Life.Expiry != nil) != c.expired {
				t.Errorf("it has %s in %+v, want %s", got, after.Life, c.want)
			}
		})
	}
}

func TestWhatASectionHeedsOfAnotherName(t *testing.T) {
	fact := Lowering{ID: "1", Reason: ByAdministrator, Name: "b", Key: knownA, Own: knownC}
	as := func(own Key) []Lowering {
		l := fact
		l.Own = own
		return []Lowering{l}
	}
	for sentence, c := range map[string]struct {
		seen []Seen
		own  Key
		want []Lowering
	}{
		"with a key of its own before, which it may have again": {nil, knownB, as(knownB)},
		"with the key that it is about":                         {nil, knownA, as(Key{})},
		"without a key before":                                  {nil, Key{}, as(Key{})},
		"what it has seen":                                      {[]Seen{{ID: "1"}}, knownB, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			if after := (Standing{Seen: c.seen}).heed([]Lowering{fact}, c.own); !slices.Equal(after.Lowerings, c.want) {
				t.Errorf("it has %+v, want %+v", after.Lowerings, c.want)
			}
		})
	}
}

func TestWhatThereIsToSaveAndToFollow(t *testing.T) {
	settings := host("a", keyA)
	former := newRecord(settings, first)
	former.Lowerings, former.Seen = []Lowering{{ID: "1"}}, []Seen{{ID: "2"}}
	for sentence, c := range map[string]struct {
		change func(h *heir)
		want   bool
	}{
		"nothing":                      {func(h *heir) {}, false},
		"what is the same once more":   {func(h *heir) { h.Lowerings, h.Seen = []Lowering{{ID: "1"}}, []Seen{{ID: "2"}} }, false},
		"a section that was not there": {func(h *heir) { h.known = false }, true},
		"a section that is back":       {func(h *heir) { h.former.Gone = second }, true},
		"another setting":              {func(h *heir) { h.Configured.Timeout++ }, true},
		"another lowering":             {func(h *heir) { h.Lowerings = []Lowering{{ID: "3"}} }, true},
		"something seen":               {func(h *heir) { h.Seen = append(h.Seen, Seen{ID: "1"}) }, true},
		"another life":                 {func(h *heir) { h.Life.Enables++ }, true},
		"a denial":                     {func(h *heir) { h.DeniedUntil = second }, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			h := &heir{Record: former, former: former, known: true}
			if c.change(h); h.differs() != c.want {
				t.Errorf("it differs: %v", !c.want)
			}
		})
	}
}
