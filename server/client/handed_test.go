// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAHandoutIsOnRecordBeforeTheSecretLeaves(t *testing.T) {
	ctx := context.Background()
	id := Identity{RawPublicKey, keyA}
	free, strict := host("a", keyA), host("a", keyA)
	strict.RecordRequired = true
	outcomes := func(w *world) (all []Outcome) {
		record, _ := w.disk.get("a")
		for _, handed := range record.Handed {
			all = append(all, handed.Outcome)
		}
		return all
	}
	for sentence, c := range map[string]struct {
		client Settings
		do     func(w *world)
	}{
		"it is saved when the secret is there to be sent": {free, func(w *world) {
			h, err := w.Release(ctx, id, Origin{Address: somewhere})
			w.must(err)
			record, _ := w.disk.get("a")
			if len(record.Handed) != 1 || record.Handed[0].Outcome != Underway || record.Handed[0].Identity != id || record.Handed[0].Address != somewhere || len(record.Handed[0].ID) != 32 {
				w.t.Errorf("on disk is %+v", record.Handed)
			}
			h.Received("")
			w.pass(2 * SaveDelay)
			if got := outcomes(w); !slices.Equal(got, []Outcome{Underway}) { // until it is told for sure
				w.t.Errorf("soon after its end it is saved as %q", got)
			}
			w.pass(settleTime + SaveDelay)
			if got := outcomes(w); !slices.Equal(got, []Outcome{Arrived}) {
				w.t.Errorf("in the end it is saved as %q", got)
			}
		}},
		"what is lost on its way is saved as that": {free, func(w *world) {
			h, err := w.Release(ctx, id, Origin{Address: somewhere})
			w.must(err)
			h.NotReceived(errors.New("reset"))
			w.pass(settleTime + 2*SaveDelay)
			if got := outcomes(w); !slices.Equal(got, []Outcome{NotArrived}) {
				w.t.Errorf("it is saved as %q", got)
			}
		}},
		"an end in order knows everything": {free, func(w *world) {
			w.fetch(keyA)
			w.restart(time.Second, []Settings{free})
			if slices.Contains(w.signals(), string(MayHaveBeenSent)) {
				w.t.Error("it is told that it may have been sent")
			}
		}},
		"an end in order knows everything, also what it has saved as under way": {free, func(w *world) {
			w.fetch(keyA)
			w.pass(2 * SaveDelay)
			w.restart(time.Second, []Settings{free})
			if slices.Contains(w.signals(), string(MayHaveBeenSent)) {
				w.t.Error("it is told that it may have been sent")
			}
		}},
		"after a crash in between it may have been sent": {free, func(w *world) {
			_, err := w.Release(ctx, id, Origin{Address: somewhere})
			w.must(err)
			at := w.wall()
			crashed := w.Registry
			w.disk = &disk{records: w.disk.copyOf()}
			w.pass(time.Minute)
			w.signals()
			w.begin([]Settings{free})
			if e := w.lastEvent(MayHaveBeenSent); e.Client.Name != "a" || e.Identity != id || e.Address != somewhere || !e.Time.Equal(at) {
				w.t.Errorf("told %+v", e)
			}
			w.must(crashed.Close(ctx))
			w.signals()
			w.restart(time.Second, []Settings{free})
			if slices.Contains(w.signals(), string(MayHaveBeenSent)) {
				w.t.Error("it is told again")
			}
		}},
		"after a crash when its section is gone it is told of that name": {free, func(w *world) {
			_, err := w.Release(ctx, id, Origin{Address: somewhere})
			w.must(err)
			crashed := w.Registry
			w.disk = &disk{records: w.disk.copyOf()}
			renamed := free
			renamed.Name = "renamed"
			w.signals()
			w.begin([]Settings{renamed})
			if e := w.lastEvent(MayHaveBeenSent); e.Client.Name != "a" {
				w.t.Errorf("told %+v", e)
			}
			if told := w.signals(); countOf(told, string(MayHaveBeenSent)) != 1 {
				w.t.Errorf("told %q", told)
			}
			w.must(crashed.Close(ctx))
		}},
		"who is disabled while it is being saved gets nothing, and it was not sent": {free, func(w *world) {
			w.disk.during(func() {
				go w.Disable(ctx, admin, "a")
				for w.enabled("a") {
					time.Sleep(time.Millisecond)
				}
			})
			if _, why := w.fetch(keyA); why != IsDisabled {
				w.t.Errorf("it is answered %q", why)
			}
			w.pass(2 * SaveDelay)
			if got := outcomes(w); len(got) != 0 {
				w.t.Errorf("on disk is %q", got)
			}
		}},
		"who goes while it is being saved is gone, and it was not sent": {free, func(w *world) {
			going, leave := context.WithCancel(ctx)
			w.disk.during(func() { leave(); synctest.Wait() })
			if _, why := w.fetchWhile(going, keyA); why != PeerGone {
				w.t.Errorf("it is answered %q", why)
			}
			w.pass(2 * SaveDelay)
			if got := outcomes(w); len(got) != 0 {
				w.t.Errorf("on disk is %q", got)
			}
		}},
		"who has got so far when the server is about to end is served": {free, func(w *world) {
			serving, stop := context.WithCancelCause(ctx)
			w.disk.during(func() { stop(ErrClosed) })
			if _, why := w.fetchWhile(serving, keyA); why != "" {
				w.t.Errorf("it is answered %q", why)
			}
		}},
		"a full disk keeps no rack dark": {free, func(w *world) {
			w.disk.setFull(true)
			if _, why := w.fetch(keyA); why != "" {
				w.t.Errorf("it is answered %q", why)
			}
			if e := w.lastEvent(SecretSent); e.Note != "it was sent without being on record, for that could not be saved" {
				w.t.Errorf("told %+v", e)
			}
			w.lastEvent(StateNotSaved)
			w.disk.setFull(false)
		}},
		"unless somebody has said so": {strict, func(w *world) {
			w.disk.setFull(true)
			if _, why := w.fetch(keyA); why != NotRecorded {
				w.t.Errorf("it is answered %q", why)
			}
			rulings, err := w.Explain("a", Origin{})
			w.must(err)
			if r := Decisive(rulings); r.Rule != RuleRecord || r.Remedy != ToMendState {
				w.t.Errorf("explained is %+v", r)
			}
			w.disk.setFull(false)
			w.pass(2 * SaveDelay)
			if _, why := w.fetch(keyA); why != "" {
				w.t.Errorf("with room on the disk it is answered %q", why)
			}
		}},
		"a reload in between loses nothing": {free, func(w *world) {
			h, err := w.Release(ctx, id, Origin{Address: somewhere})
			w.must(err)
			changed := free
			changed.Host = "other"
			w.reload([]Settings{changed})
			h.Received("")
			w.reload([]Settings{free})
			w.pass(settleTime + 2*SaveDelay)
			if got := outcomes(w); !slices.Equal(got, []Outcome{Arrived}) {
				w.t.Errorf("it is saved as %q", got)
			}
		}},
		"one whose client is removed meanwhile": {free, func(w *world) {
			h, err := w.Release(ctx, id, Origin{Address: somewhere})
			w.must(err)
			w.must(w.Remove(ctx, admin, "a"))
			h.Received("")
			w.pass(settleTime + 2*SaveDelay)
			if got := outcomes(w); !slices.Equal(got, []Outcome{Arrived}) {
				w.t.Errorf("it is saved as %q", got)
			}
		}},
		"many at once, of which nothing else tells, are all kept": {free, func(w *world) {
			const many = 3 * maxHandedUncounted
			var all []*Handout
			for range many {
				h, err := w.Release(ctx, id, Origin{Address: somewhere})
				w.must(err)
				all = append(all, h)
			}
			if got := outcomes(w); len(got) != many {
				w.t.Errorf("%d are on disk", len(got))
			}
			for _, h := range all {
				h.Received("")
			}
			w.pass(2 * SaveDelay)
			if got := outcomes(w); len(got) != many {
				w.t.Errorf("soon after their end %d are on disk", len(got))
			}
		}},
		"what is kept is bounded, in number and time": {free, func(w *world) {
			for range 2 * maxHanded {
				w.fetch(keyA)
			}
			w.pass(settleTime + 2*SaveDelay)
			if got := outcomes(w); len(got) != maxHandedUncounted {
				w.t.Errorf("%d are kept", len(got))
			}
			w.pass(keepHanded)
			w.fetch(keyA)
			w.pass(settleTime + 2*SaveDelay)
			if got := outcomes(w); len(got) != 1 {
				w.t.Errorf("after a day %d are kept", len(got))
			}
		}},
	} {
		t.Run(sentence, func(t *testing.T) { inWorld(t, []Settings{c.client}, c.do) })
	}
}

func countOf(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
