// SPDX-License-Identifier: Apache-2.0

package client

import "testing"

func TestWhatFollowsFromARecordsStanding(t *testing.T) {
	healthy := newRecord(host("a", keyA), first)
	lowered := healthy
	lowered.Lowerings = []Lowering{{ID: "2", Reason: RemovedByAdministrator, By: admin, At: second}, {ID: "1", Reason: ByAdministrator, By: somebody, At: first}}
	known := lowered
	known.DisabledSince, known.DisabledBecause, known.DisabledBy = second, TimedOut, ByItself
	raised := known
	raised.Lowerings = nil
	for sentence, c := range map[string]struct {
		record  Record
		because Reason
		by      Actor
	}{
		"a healthy one is enabled":                           {healthy, "", Actor{}},
		"a lowered one is disabled for the first fact":       {lowered, ByAdministrator, somebody},
		"one that is disabled already is so for what it was": {known, TimedOut, ByItself},
		"one that was disabled is so no more":                {raised, "", Actor{}},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := c.record.Judged()
			enabled := c.because == ""
			if r.Enabled != enabled || r.DisabledBecause != c.because || r.DisabledBy != c.by || r.DisabledSince.IsZero() != enabled || r.Expires.IsZero() == enabled {
				t.Errorf("it is %+v", r.State)
			}
		})
	}
}

func TestOneThatIsRaisedAndStillBoundIsNotEnabled(t *testing.T) {
	r := newRecord(host("a", keyA), first)
	r.Lowerings = []Lowering{{ID: "1", Reason: ByAdministrator, Name: "a", Key: r.key()}}
	r = r.Judged()
	bound := r
	if bound.raise(second, unseen{"1": true}) || bound.Enabled || !bound.LastEnabled.Equal(first) || !bound.Expires.IsZero() {
		t.Errorf("bound it is %+v", bound.State)
	}
	if !r.raise(second, nil) || !r.Enabled || !r.LastEnabled.Equal(second) || !r.Expires.Equal(second.Add(2*r.Interval)) {
		t.Errorf("raised it is %+v", r.State)
	}
}

func TestWhoIsForgottenWithoutLoss(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(r *Record)
		want   bool
	}{
		"one whose last check succeeded":     {func(r *Record) {}, true},
		"one whose last check failed":        {func(r *Record) { r.LastCheckerStatus = 1 }, false},
		"one that was never checked":         {func(r *Record) { r.LastCheckerStatus = NeverChecked }, false},
		"one whose grace is spent":           {func(r *Record) { r.GraceSpent = true }, false},
		"one that was lowered":               {func(r *Record) { r.Lowerings = []Lowering{{ID: "1"}} }, false},
		"one that was lowered by its key":    {func(r *Record) { r.Lowerings = []Lowering{{ID: "1", Reason: RemovedByAdministrator, Key: knownB}} }, false},
		"one that was lowered and enabled":   {func(r *Record) { r.Seen = []Seen{{ID: "1"}} }, true},
		"one that expired":                   {func(r *Record) { r.Life.Expiry = &Lowering{ID: "1"} }, false},
		"one that is denied":                 {func(r *Record) { r.DeniedUntil = second.Add(1) }, false},
		"one that was denied until just now": {func(r *Record) { r.DeniedUntil = second }, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := newRecord(host("a", keyA), first)
			r.LastCheckerStatus = 0
			if c.change(&r); r.blameless(second) != c.want {
				t.Errorf("blameless: %v", !c.want)
			}
		})
	}
}
