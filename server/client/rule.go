// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Rule is a code for one of the things that a hand-out depends on.
type Rule string

// The rules, in the order in which they are told.
const (
	RuleLockdown  Rule = "lockdown"      // nobody has locked everybody out
	RuleKnown     Rule = "known"         // it is there, and has the key
	RuleEnabled   Rule = "enabled"       // it is valid
	RuleSameKey   Rule = "same-key"      // so is every other that has its key
	RuleBorrowed  Rule = "borrowed-time" // it is valid of its own, or a person lets it
	RuleAllowFrom Rule = "allow-from"    // it is where it is to be
	RuleLimit     Rule = "handout-limit" // it was not handed out too often
	RuleGrant     Rule = "grant"         // somebody has granted it, if that is needed
	RuleApproval  Rule = "approval"      // a person lets it, if one has to
	RuleRecord    Rule = "record"        // it is on record before, if it has to be
)

// Rules are all of them.
var Rules = []Rule{RuleLockdown, RuleKnown, RuleEnabled, RuleSameKey, RuleBorrowed, RuleAllowFrom, RuleLimit, RuleGrant, RuleApproval, RuleRecord}

// Verdict is a code for what a rule says to a hand-out.
type Verdict string

// The verdicts.
const (
	Passes  Verdict = "pass"
	Refuses Verdict = "refuse"
	Waits   Verdict = "wait"    // for a person
	Depends Verdict = "depends" // on the address, which is not known; to a peer it is a refusal
)

// Verdicts are all of them.
var Verdicts = []Verdict{Passes, Refuses, Waits, Depends}

// Remedy is a code for what a person does about a ruling that is not in favour.
type Remedy string

// The remedies.
const (
	ToEndLockdown Remedy = "end-lockdown"
	ToEnable      Remedy = "enable"
	ToApprove     Remedy = "approve"
	ToAllowFrom   Remedy = "set-allow-from"
	ToSetLimit    Remedy = "set-handout-limit"
	ToAllow       Remedy = "allow"
	ToMendSection Remedy = "mend-section"
	ToMendState   Remedy = "mend-state"
)

// Remedies are all of them.
var Remedies = []Remedy{ToEndLockdown, ToEnable, ToApprove, ToAllowFrom, ToSetLimit, ToAllow, ToMendSection, ToMendState}

// Ruling is what one rule says to a hand-out.
type Ruling struct {
	Rule    Rule
	Verdict Verdict
	// Refusal is why, for Refuses.
	Refusal Refusal
	// Remedy changes a verdict that is not in favour.
	Remedy Remedy
	// Until is when the ruling ends by itself; zero if it does not.
	Until time.Time
	// Note is a sentence about what it rests on; mostly empty.
	Note string
}

// Origin is where a peer is.
type Origin struct {
	// Address is not valid if it is not known.
	Address netip.AddrPort
	// Interface of this machine is the one that the peer is reached by; empty if that
	// is not known.
	Interface string
}

// request is a hand-out that a peer asks for, or that somebody asks about.
type request struct {
	client *client
	id     Identity
	origin Origin
	// supposed is one that somebody asks about, who need not say from where.
	supposed bool
	// entered is the ID of the hand-out, once it is on record, and unrecorded says that
	// this could not be saved.
	entered    string
	unrecorded bool
	// late is one that has waited for the client's approval delay.
	late bool
}

// rules are asked in this order, and each of them every time: it is the first that is
// not in favour that decides, and none can be in favour of what another is against.
var rules = []struct {
	code  Rule
	judge func(*Registry, *request) Ruling
}{
	{RuleLockdown, judgeLockdown},
	{RuleKnown, judgeKnown},
	{RuleEnabled, judgeEnabled},
	{RuleSameKey, judgeSameKey},
	{RuleBorrowed, judgeBorrowed},
	{RuleAllowFrom, judgeAllowFrom},
	{RuleLimit, judgeLimit},
	{RuleGrant, judgeGrant},
	{RuleApproval, judgeApproval},
	{RuleRecord, judgeRecord},
}

// rulings are what all rules say, in their order.
func (r *Registry) rulings(of *request) []Ruling {
	all := make([]Ruling, len(rules))
	for i, rule := range rules {
		all[i] = rule.judge(r, of)
		all[i].Rule = rule.code
	}
	return all
}

// Decisive is the ruling that decides: the first that refuses, or else the first that
// waits, or else the first that depends on what is not known, or else one that passes.
func Decisive(rulings []Ruling) (decisive Ruling) {
	weight := map[Verdict]int{Passes: 0, Depends: 1, Waits: 2}
	heaviest := -1
	for _, ruling := range rulings {
		w, known := weight[ruling.Verdict]
		if !known {
			w = len(weight)
		}
		if w > heaviest {
			heaviest, decisive = w, ruling
		}
	}
	return decisive
}

// Explain tells what each rule would say to the client's asking for its secret now,
// from there if that is known.
func (r *Registry) Explain(name string, from Origin) ([]Ruling, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clients[name]
	if c == nil {
		return nil, &NoClientError{name}
	}
	r.expireAllOfKeyIfDue(c)
	return r.rulings(&request{client: c, id: c.identity(), origin: from, supposed: true}), nil
}

// judgeKnown looks whether the key still finds the client. To ask about one whose key
// finds another, that comes before it, is to ask about a client that is not found.
func judgeKnown(r *Registry, of *request) Ruling {
	c := of.client
	found := r.lookup(of.id)
	switch {
	case !c.gone && found == c:
		return Ruling{Verdict: Passes}
	case !of.supposed || c.gone:
		return Ruling{Verdict: Refuses, Refusal: IsRemoved}
	}
	ruling := Ruling{Verdict: Refuses, Refusal: IsNotFound, Remedy: ToMendSection, Note: "no key can be that of its section"}
	if found != nil {
		ruling.Note = fmt.Sprintf("its key finds client %s, which comes first in the configuration", found.Name)
	}
	return ruling
}

func judgeEnabled(_ *Registry, of *request) Ruling {
	if of.client.Enabled {
		return Ruling{Verdict: Passes}
	}
	return Ruling{Verdict: Refuses, Refusal: IsDisabled, Remedy: ToEnable}
}

// judgeSameKey is about two sections with one key. Whoever lowers one of them means the
// host, and must not have to know of the other.
func judgeSameKey(r *Registry, of *request) Ruling {
	against := ""
	for _, other := range r.byIdentity[of.id] {
		if other != of.client && !other.Enabled {
			against = fmt.Sprintf("client %s has the same key, and is disabled", other.Name)
		}
	}
	if names := r.removed[of.id]; len(names) > 0 {
		against = fmt.Sprintf("client %s has the same key, and was removed", slices.Min(names))
	}
	if against == "" {
		return Ruling{Verdict: Passes}
	}
	return Ruling{Verdict: Refuses, Refusal: OtherIsDisabled, Remedy: ToMendSection, Note: against + "; give each client its own"}
}

func judgeAllowFrom(_ *Registry, of *request) Ruling {
	text := of.client.AllowFrom
	if text == "" {
		return Ruling{Verdict: Passes}
	}
	ruling := Ruling{Verdict: Passes, Note: "allow_from is " + text}
	places, err := parseAllowFrom(text)
	switch {
	case err != nil: // which no setting can be; but it fails closed
		ruling.Verdict, ruling.Note = Refuses, err.Error()
	case of.supposed && !of.origin.Address.IsValid():
		ruling.Verdict = Depends
	case !places.allow(of.origin):
		ruling.Verdict = Refuses
	}
	if ruling.Verdict == Refuses {
		ruling.Refusal, ruling.Remedy = NotFromThere, ToAllowFrom
	}
	return ruling
}

// judgeRecord is about a disk that takes nothing: that is no reason for a rack to stay
// dark, unless somebody has said so, or hand-outs are counted.
func judgeRecord(r *Registry, of *request) Ruling {
	failing := of.unrecorded || of.supposed && r.stateUnsaved
	c := of.client
	counts := c.HandoutLimit != "" || c.granted() || c.Ahead.usedFor(of.entered)
	if !failing || !c.RecordRequired && !counts {
		return Ruling{Verdict: Passes}
	}
	return Ruling{Verdict: Refuses, Refusal: NotRecorded, Remedy: ToMendState, Note: "the hand-out could not be put on record before"}
}
