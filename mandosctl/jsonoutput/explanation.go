// SPDX-License-Identifier: Apache-2.0

package jsonoutput

import (
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

// Explanation is the document of "explain".
type Explanation struct {
	SchemaVersion int    `json:"schemaVersion"`
	Name          string `json:"name"`
	// Would is "yes", "no", "wait" (for somebody's approval) or "if" (it asks from where
	// it may).
	Would   clientinfo.Answer `json:"would"`
	Verdict string            `json:"verdict"`
	Steps   []Step            `json:"steps"`
	// Rules are what the server's rules say, in codes and in their order.
	Rules     []Ruling `json:"rules"`
	Refusals  []Event  `json:"refusals"` // the last ones, the oldest first
	Rehearsal string   `json:"rehearsal,omitempty"`
}

// Step is one thing that a hand-out depends on.
type Step struct {
	Answer  clientinfo.Answer `json:"answer"` // as in "would", or "note"
	Text    string            `json:"text"`
	Command string            `json:"command,omitempty"` // changes it
}

// Ruling is what one rule says to a hand-out. What it does not have is left out.
type Ruling struct {
	Rule    dbusapi.Rule    `json:"rule"`
	Verdict dbusapi.Verdict `json:"verdict"` // "pass", "refuse", "wait" or "depends"
	Refusal dbusapi.Refusal `json:"refusal,omitempty"`
	Remedy  dbusapi.Remedy  `json:"remedy,omitempty"`
	Until   *time.Time      `json:"until,omitempty"`
	Note    string          `json:"note,omitempty"`
}

// OfExplanation makes the document of what is explained of the client of that name.
func OfExplanation(name string, e *clientinfo.Explanation) Explanation {
	document := Explanation{
		SchemaVersion: SchemaVersion, Name: name, Would: e.Would, Verdict: e.Verdict, Rehearsal: e.Rehearsal,
		Steps: make([]Step, len(e.Steps)), Rules: make([]Ruling, len(e.Rulings)), Refusals: make([]Event, len(e.Refusals)),
	}
	for i, step := range e.Steps {
		document.Steps[i] = Step(step)
	}
	for i, r := range e.Rulings {
		document.Rules[i] = Ruling{Rule: r.Rule, Verdict: r.Verdict, Refusal: r.Refusal, Remedy: r.Remedy, Until: orNull(r.Until), Note: r.Note}
	}
	for i := range e.Refusals {
		document.Refusals[i] = ofEvent(&e.Refusals[i])
	}
	return document
}
