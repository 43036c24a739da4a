// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"testing"
	"time"
)

func TestApproval(t *testing.T) {
	ctx := context.Background()
	for sentence, c := range map[string]struct {
		settings func(*Settings)
		do       func(w *world)
	}{
		"by default it is given when the delay is over": {do: func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.pass(time.Minute - 1)
			w.want(o, "waiting")
			w.pass(1)
			w.want(o, "got it")
		}},
		"it is refused when the delay is over if the default says so": {
			settings: func(s *Settings) { s.ApprovedByDefault = false },
			do: func(w *world) {
				o := w.fetchInBackground(ctx, keyA)
				w.pass(time.Minute)
				w.want(o, "approval-timed-out")
			}},
		"without a delay none is needed, whatever the default": {
			settings: func(s *Settings) { s.ApprovedByDefault, s.ApprovalDelay = false, 0 },
			do: func(w *world) {
				w.want(w.fetchInBackground(ctx, keyA), "got it")
			}},
		"a delay of nothing, set meanwhile, hands out at once, whatever the default": {
			settings: func(s *Settings) { s.ApprovedByDefault = false },
			do: func(w *world) {
				o := w.fetchInBackground(ctx, keyA)
				none := time.Duration(0)
				w.must(w.Update(ctx, admin, "a", Update{PropApprovalDelay: none}))
				w.pass(0)
				w.want(o, "got it")
			}},
		"another delay, set meanwhile, is for those who come later": {do: func(w *world) {
			first, hour := w.fetchInBackground(ctx, keyA), time.Hour
			w.must(w.Update(ctx, admin, "a", Update{PropApprovalDelay: hour}))
			second := w.fetchInBackground(ctx, keyA)
			w.pass(time.Minute)
			w.want(first, "got it")
			w.want(second, "waiting")
			w.pass(hour)
			w.want(second, "got it")
		}},
		"approving ends the wait of all connections": {
			settings: func(s *Settings) { s.ApprovedByDefault = false },
			do: func(w *world) {
				first, second := w.fetchInBackground(ctx, keyA), w.fetchInBackground(ctx, keyA)
				if v := w.client("a"); v.ApprovalsPending != 2 {
					w.t.Errorf("%d pending", v.ApprovalsPending)
				}
				w.must(w.Approve(ctx, admin, "a", true))
				w.pass(0)
				w.want(first, "got it")
				w.want(second, "got it")
				if v := w.client("a"); v.ApprovalsPending != 0 {
					w.t.Errorf("%d pending", v.ApprovalsPending)
				}
				if by := w.lastEvent(Approved).By; by != admin {
					w.t.Errorf("approved by %v", by)
				}
			}},
		"denying ends the wait": {do: func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Approve(ctx, admin, "a", false))
			w.pass(0)
			w.want(o, "denied")
			if by := w.lastEvent(Denied).By; by != admin {
				w.t.Errorf("denied by %v", by)
			}
		}},
		"a decision made before the connection holds for the approval duration": {
			settings: func(s *Settings) { s.ApprovedByDefault = false },
			do: func(w *world) {
				w.must(w.Approve(ctx, admin, "a", true))
				w.pass(time.Second - 1)
				w.want(w.fetchInBackground(ctx, keyA), "got it")
				if until := w.client("a").ApprovedUntil; !until.Equal(w.wall().Add(1)) {
					w.t.Errorf("approved until %v", until)
				}
				w.pass(1)
				if until := w.client("a").ApprovedUntil; !until.IsZero() {
					w.t.Errorf("still approved, until %v", until)
				}
				o := w.fetchInBackground(ctx, keyA)
				w.want(o, "waiting")
				w.pass(time.Minute)
				w.want(o, "approval-timed-out")
			}},
		"a later decision replaces an earlier one for its whole duration": {
			settings: func(s *Settings) { s.ApprovalDuration = 4 * time.Second },
			do: func(w *world) {
				w.must(w.Approve(ctx, admin, "a", true))
				w.pass(2 * time.Second)
				w.must(w.Approve(ctx, admin, "a", false))
				w.pass(4*time.Second - 1)
				w.want(w.fetchInBackground(ctx, keyA), "denied")
			}},
		"disabling refuses those who wait, at once": {do: func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Disable(ctx, admin, "a"))
			w.pass(0)
			w.want(o, "disabled")
		}},
		"removing refuses those who wait, at once": {do: func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Remove(ctx, admin, "a"))
			w.pass(0)
			w.want(o, "removed")
		}},
		"expiry refuses those who wait": {
			settings: func(s *Settings) { s.ApprovalDelay = time.Hour },
			do: func(w *world) {
				w.checks.behave(fail)
				o := w.fetchInBackground(ctx, keyA)
				w.pass(5 * time.Minute)
				w.want(o, "disabled")
			}},
		"a peer that hangs up ends its wait at once": {do: func(w *world) {
			present, hangUp := context.WithCancel(ctx)
			o := w.fetchInBackground(present, keyA)
			w.pass(time.Second)
			hangUp()
			w.pass(0)
			w.want(o, string(PeerGone))
			if v := w.client("a"); v.ApprovalsPending != 0 {
				w.t.Errorf("%d still pending", v.ApprovalsPending)
			}
			if over := w.lastEvent(ApprovalOver); over.Refusal != PeerGone {
				w.t.Errorf("its wait ended so: %q", over.Refusal)
			}
		}},
		"the server's exit refuses those who wait": {do: func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.shutDown()
			w.pass(0)
			w.want(o, string(ShuttingDown))
		}},
		"enabling while somebody waits changes nothing for him": {do: func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			w.must(w.Enable(ctx, admin, "a"))
			w.pass(30 * time.Second)
			w.want(o, "waiting")
			w.pass(30 * time.Second)
			w.want(o, "got it")
		}},
		"turning the approval off lets those who wait have it": {do: func(w *world) {
			o := w.fetchInBackground(ctx, keyA)
			none := time.Duration(0)
			w.must(w.Update(ctx, admin, "a", Update{PropApprovalDelay: none}))
			w.pass(0)
			w.want(o, "got it")
			if over := w.lastEvent(ApprovalOver); over.Refusal != "" {
				w.t.Errorf("its wait ended so: %q", over.Refusal)
			}
		}},
		"a denial in force outlives a restart": {
			settings: func(s *Settings) { s.ApprovalDuration = time.Hour },
			do: func(w *world) {
				w.must(w.Approve(ctx, admin, "a", false))
				clients := []Settings{w.client("a").Settings}
				w.restart(time.Minute, clients)
				w.want(w.fetchInBackground(ctx, keyA), "denied")
				w.pass(59 * time.Minute)
				w.want(w.fetchInBackground(ctx, keyA), "waiting")
				w.pass(time.Minute)
			}},
	} {
		t.Run(sentence, func(t *testing.T) {
			a := host("a", keyA)
			a.ApprovalDelay = time.Minute
			if c.settings != nil {
				c.settings(&a)
			}
			inWorld(t, []Settings{a}, c.do)
		})
	}
}

func (w *world) want(o *outcome, want string) {
	w.t.Helper()
	if o.String() != want {
		w.t.Errorf("%v, want %s", o, want)
	}
}
