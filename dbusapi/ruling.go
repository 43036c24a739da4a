// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Rule is a code for one of the things that a hand-out depends on. A later server may
// have others.
type Rule string

// The rules, in the order in which a server tells them.
const (
	RuleLockdown  Rule = "lockdown"      // nobody has locked everybody out
	RuleKnown     Rule = "known"         // the client is there, and has the key
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
	Depends Verdict = "depends" // on the address, which was not given
)

// Verdicts are all of them.
var Verdicts = []Verdict{Passes, Refuses, Waits, Depends}

// Remedy is a code for what a person does about a ruling that is not in favour. A later
// server may have others.
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
	Refusal Refusal   // why, for Refuses
	Remedy  Remedy    // changes a verdict that is not in favour
	Until   time.Time // when the ruling ends by itself; zero if it does not
	Note    string    // what it rests on, as a sentence
}

// rulingFields are how the bus carries a ruling.
var rulingFields = dictionary[Ruling]{
	{"rule", func(r *Ruling) any { return &r.Rule }},
	{"verdict", func(r *Ruling) any { return &r.Verdict }},
	{"refusal", func(r *Ruling) any { return &r.Refusal }},
	{"remedy", func(r *Ruling) any { return &r.Remedy }},
	{"until", func(r *Ruling) any { return &r.Until }},
	{"note", func(r *Ruling) any { return &r.Note }},
}

// Encode makes the dictionary that the bus carries of a ruling. What is empty is left out.
func (r *Ruling) Encode() map[string]dbus.Variant { return rulingFields.encode(r) }

// Explain asks what each rule would say to the client's asking for its secret now, from
// an address, which may have a zone; an empty one leaves open from where. The error is
// [ErrNotSupported] with a server that does not tell.
func (conn *Connection) Explain(ctx context.Context, c Client, address string) ([]Ruling, error) {
	var encoded []map[string]dbus.Variant
	if err := conn.call(ctx, c.Path, ClientInterface1+".Explain", []any{address}, &encoded); err != nil {
		return nil, err
	}
	rulings := make([]Ruling, len(encoded))
	for i, fields := range encoded {
		if err := rulingFields.decode(fields, &rulings[i]); err != nil {
			return nil, fmt.Errorf("a ruling of the server's: %w", err)
		}
	}
	return rulings, nil
}
