// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSeveralHaveToApprove(t *testing.T) {
	ctx := context.Background()
	secure := host("a", keyA)
	secure.ApprovalDelay, secure.ApprovalsNeeded, secure.ApprovalDuration = time.Minute, 2, 10*time.Second
	secure.Checker, secure.Interval, secure.Timeout = ":", 24*time.Hour, 1000*time.Hour
	third := Actor{Kind: Caller, BusName: ":1.11", UID: 9, PID: 10}
	adminAgain := Actor{Kind: Caller, BusName: ":1.12", UID: 0, PID: 999}
	for sentence, do := range map[string]func(w *world){
		"two people, while it waits": func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Approve(ctx, admin, "a", true))
			if e := w.lastEvent(Approved); e.By != admin || e.Note != "1 of 2 approvals" {
				w.t.Errorf("told %+v", e)
			}
			w.pass(time.Second)
			w.want(o, "waiting")
			w.must(w.Approve(ctx, somebody, "a", true))
			w.pass(0)
			w.want(o, "got it")
			w.want(w.fetchInBackground(ctx, keyA), "got it") // the decision holds
			w.pass(10 * time.Second)
			w.want(w.fetchInBackground(ctx, keyA), "waiting")
		},
		"nobody counts twice, and root is one": func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Approve(ctx, admin, "a", true))
			w.must(w.Approve(ctx, admin, "a", true))
			w.must(w.Approve(ctx, adminAgain, "a", true))
			w.pass(0)
			w.want(o, "waiting")
		},
		"those for whom one process asks are people of their own": func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			alice, bob := third, third
			alice.For, bob.For = "alice", "bob"
			w.must(w.Approve(ctx, alice, "a", true))
			w.pass(0)
			w.want(o, "waiting")
			w.must(w.Approve(ctx, bob, "a", true))
			w.pass(0)
			w.want(o, "got it")
		},
		"one denial ends it, and what was said before": func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Approve(ctx, admin, "a", true))
			w.must(w.Approve(ctx, somebody, "a", false))
			w.pass(0)
			w.want(o, "denied")
			w.pass(10 * time.Second)
			o = w.fetchInBackground(ctx, keyA)
			w.must(w.Approve(ctx, third, "a", true))
			w.pass(0)
			w.want(o, "waiting")
		},
		"that nobody says anything is no approval, whatever the default": func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Approve(ctx, admin, "a", true))
			w.pass(time.Minute)
			w.want(o, "approval-timed-out")
			if e := w.lastEvent(Rejected); e.Note != "1 of 2 approvals" {
				w.t.Errorf("told %+v", e)
			}
		},
		"an approval does not outlast those who wait": func(w *world) {
			going, leave := context.WithCancel(ctx)
			o := w.fetchInBackground(going, keyA)
			w.must(w.Approve(ctx, admin, "a", true))
			leave()
			w.pass(0)
			w.want(o, "peer-gone")
			o = w.fetchInBackground(ctx, keyA)
			w.must(w.Approve(ctx, somebody, "a", true))
			w.pass(0)
			w.want(o, "waiting")
		},
		"while nobody waits it is no approval, and one is told": func(w *world) {
			if err := w.Approve(ctx, admin, "a", true); err == nil || !strings.Contains(err.Error(), "nobody waits for approval of client a: it needs 2") {
				w.t.Errorf("it is answered %v", err)
			}
			unknown := Actor{Kind: Caller, BusName: ":1.13"}
			w.fetchInBackground(ctx, keyA)
			if err := w.Approve(ctx, unknown, "a", true); err == nil || !strings.Contains(err.Error(), "needs the approval of 2 people") {
				w.t.Errorf("an unknown one is answered %v", err)
			}
		},
		"in advance each has to say so": func(w *world) {
			w.must(w.ApproveAhead(ctx, admin, "a", 2, time.Hour))
			if v := w.client("a"); v.ApprovalsAhead != 0 {
				w.t.Errorf("%d are approved by one", v.ApprovalsAhead)
			}
			w.must(w.ApproveAhead(ctx, somebody, "a", 1, 0))
			if e := w.lastEvent(ApprovedAhead); e.By != somebody || e.Note != "1 hand-out" || e.Client.ApprovalsAhead != 1 || !e.Client.ApprovedAheadUntil.Equal(w.wall().Add(time.Hour)) {
				w.t.Errorf("told %+v", e)
			}
			w.want(w.fetchInBackground(ctx, keyA), "got it")
			w.want(w.fetchInBackground(ctx, keyA), "waiting")
			w.must(w.ApproveAhead(ctx, third, "a", 1, 0))
			w.pass(0)
			if v := w.client("a"); v.ApprovalsAhead != 0 { // one who waited has used them
				w.t.Errorf("%d are left", v.ApprovalsAhead)
			}
		},
		"what needs several cannot be without a delay": func(w *world) {
			none := secure
			none.ApprovalDelay = 0
			faults := none.Faults()
			if len(faults) != 1 || !strings.Contains(faults[0].Err.Error(), "write for example approval_delay = PT10M") {
				w.t.Errorf("its faults are %v", faults)
			}
			if err := w.Update(ctx, admin, "a", Update{PropApprovalDelay: time.Duration(0)}); !errors.Is(err, ErrBadSetting) {
				w.t.Errorf("it is answered %v", err)
			}
			if err := w.Update(ctx, admin, "a", Update{PropApprovalsNeeded: 11}); !errors.Is(err, ErrBadSetting) {
				w.t.Errorf("it is answered %v", err)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) { inWorld(t, []Settings{secure}, do) })
	}
}

func TestApprovalsInAdvance(t *testing.T) {
	ctx := context.Background()
	asks := host("a", keyA)
	asks.ApprovalDelay, asks.ApprovedByDefault = time.Minute, false
	asks.Checker, asks.Interval, asks.Timeout = ":", 24*time.Hour, 1000*time.Hour
	for sentence, do := range map[string]func(w *world){
		"so many, within that time": func(w *world) {
			w.must(w.ApproveAhead(ctx, admin, "a", 2, time.Hour))
			w.want(w.fetchInBackground(ctx, keyA), "got it")
			w.restart(time.Second, []Settings{asks})
			w.want(w.fetchInBackground(ctx, keyA), "got it")
			w.want(w.fetchInBackground(ctx, keyA), "waiting")
		},
		"it ends": func(w *world) {
			w.must(w.ApproveAhead(ctx, admin, "a", 2, time.Hour))
			w.pass(time.Hour)
			w.want(w.fetchInBackground(ctx, keyA), "waiting")
		},
		"who waits already gets it": func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.ApproveAhead(ctx, admin, "a", 1, 0))
			w.pass(0)
			w.want(o, "got it")
		},
		"a denial takes it back": func(w *world) {
			w.must(w.ApproveAhead(ctx, admin, "a", 1, 0))
			w.must(w.Approve(ctx, somebody, "a", false))
			if v := w.client("a"); v.ApprovalsAhead != 0 {
				w.t.Errorf("%d are left", v.ApprovalsAhead)
			}
			w.pass(2 * time.Second)
			w.want(w.fetchInBackground(ctx, keyA), "waiting")
		},
		"disabling takes it back": func(w *world) {
			w.must(w.ApproveAhead(ctx, admin, "a", 1, 0))
			w.must(w.Disable(ctx, admin, "a"))
			w.must(w.Enable(ctx, admin, "a"))
			w.want(w.fetchInBackground(ctx, keyA), "waiting")
		},
		"a decision in force does not use it up": func(w *world) {
			w.must(w.ApproveAhead(ctx, admin, "a", 1, 0))
			w.must(w.Approve(ctx, admin, "a", true))
			w.want(w.fetchInBackground(ctx, keyA), "got it")
			if v := w.client("a"); v.ApprovalsAhead != 1 {
				w.t.Errorf("%d are left", v.ApprovalsAhead)
			}
		},
		"what did not arrive is given back": func(w *world) {
			w.must(w.ApproveAhead(ctx, admin, "a", 1, 0))
			if why := w.lose(keyA); why != "" {
				w.t.Errorf("it is answered %q", why)
			}
			if e := w.lastEvent(SecretNotReceived); e.Note != "what was approved in advance is given back" {
				w.t.Errorf("told %+v", e)
			}
			w.want(w.fetchInBackground(ctx, keyA), "got it")
		},
		"what cannot be saved is not used": func(w *world) {
			w.must(w.ApproveAhead(ctx, admin, "a", 1, 0))
			w.disk.setFull(true)
			w.want(w.fetchInBackground(ctx, keyA), "not-recorded")
			w.disk.setFull(false)
		},
		"it is not known who it was": func(w *world) {
			if err := w.ApproveAhead(ctx, Actor{Kind: Caller, BusName: ":1.13"}, "a", 1, 0); err == nil {
				w.t.Error("nobody has approved")
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) { inWorld(t, []Settings{asks}, do) })
	}
}
