// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// model is what a simple mind expects of one client: until when it is valid at
// the latest, and whether a decision about it is in force.
type model struct {
	settings Settings
	present  bool
	enabled  bool
	// latest is the last moment at which the rules could still call the client valid.
	latest      time.Time
	awayUntil   time.Time // when a planned absence is over, zero without one
	deniedUntil time.Time
	// failed is how long the uplink has failed since the last good check, at lastOK, as
	// seen at failedAt; approved is until when a person's approval is in force.
	uplinkFails      bool
	failed           time.Duration
	failedAt, lastOK time.Time
	approved         time.Time
	lockedDown       bool
	elsewhere        bool // it may fetch from somewhere else only
	granted          bool // it needs a grant
	grants           int  // hand-outs that it may have at most, while it needs them
}

// modelGrace is what the server lends.
const modelGrace = 7 * time.Minute

// TestNoSequenceOfEventsHandsOutWhatIsForbidden drives a registry with random
// commands, checks, hand-outs, reloads and restarts, and compares it with the
// model after each.
func TestNoSequenceOfEventsHandsOutWhatIsForbidden(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// Draw outside of the bubble, whose clock rapid must not see.
		steps := rapid.SliceOfN(genStep, 1, 60).Draw(rt, "steps")
		failed := ""
		synctest.Test(t, func(t *testing.T) { failed = play(t, steps) })
		if failed != "" {
			rt.Fatal(failed)
		}
	})
}

type step struct {
	what   string
	wait   time.Duration
	length time.Duration
	yes    bool
}

var genStep = rapid.Custom(func(t *rapid.T) step {
	return step{
		what: rapid.SampledFrom([]string{
			"fetch", "fetch", "fetch", "enable", "disable", "approve", "check", "vouch", "expect", "end absence", "uplink fails", "uplink works", "checks succeed", "checks fail", "checks hang",
			"timeout", "interval", "approval delay", "default", "remove", "reload", "restart", "disk full", "disk free", "kill",
			"lockdown", "end lockdown", "allow from", "grants", "allow",
		}).Draw(t, "what"),
		wait:   time.Duration(rapid.IntRange(0, 400).Draw(t, "wait")) * time.Second,
		length: time.Duration(rapid.IntRange(1, 600).Draw(t, "length")) * time.Second,
		yes:    rapid.Bool().Draw(t, "yes"),
	}
})

func play(t *testing.T, steps []step) (failed string) {
	ctx := context.Background()
	a := host("a", keyA)
	a.ApprovalDuration = 10 * time.Second
	w := &world{t: t, disk: &disk{records: make(map[string]Record)}, checks: &checks{run: succeed}, grace: modelGrace}
	w.begin([]Settings{a})
	defer func() { w.disk.setFull(false); w.shutDown() }()
	m := &model{settings: a, present: true, enabled: true}
	m.latest = time.Now().Add(2*a.Interval + a.Timeout)
	var waiting []*outcome

	for _, s := range steps {
		w.pass(s.wait)
		m.follow(w)
		switch s.what {
		case "fetch":
			delay := w.approvalDelay()
			o := w.fetchInBackground(ctx, keyA)
			if delay > 0 && s.yes {
				waiting = append(waiting, o)
				break
			}
			w.pass(delay)
			m.learnChecks(w)
			m.learnHandouts(w, o.String() == "got it")
			if got := o.String(); got == "got it" {
				if why := m.forbids(w.lastEvent(SecretSent).Time, delay); why != "" {
					return "a client got its secret that " + why
				}
				if m.granted {
					m.grants--
				}
				m.extend(a.ExtendedTimeout)
			} else if got == "waiting" {
				return "an approval did not end with its delay"
			}
		case "enable":
			if w.Enable(ctx, admin, "a") == nil && (!m.present || !m.enabled) {
				m.present, m.enabled, m.awayUntil = true, true, time.Time{}
				m.latest = time.Now().Add(2 * m.settings.Interval)
			}
		case "disable":
			w.Disable(ctx, admin, "a")
			m.enabled = false
		case "approve":
			w.Approve(ctx, admin, "a", s.yes)
			m.deniedUntil, m.approved = time.Time{}, time.Time{}
			if s.yes {
				m.approved = time.Now().Add(a.ApprovalDuration)
			} else {
				m.deniedUntil = time.Now().Add(a.ApprovalDuration)
			}
		case "check":
			w.StartChecker(ctx, "a")
		case "vouch":
			w.CheckedOK(ctx, admin, "a")
			w.pass(0)
		case "uplink fails", "uplink works":
			m.uplinkFails = s.what == "uplink fails"
			w.UplinkChecked(!m.uplinkFails, CheckResult{})
		case "expect":
			if w.Expect(ctx, admin, "a", s.length, "") == nil {
				m.awayUntil = time.Now().Add(s.length)
			}
		case "end absence":
			w.EndAbsence(ctx, admin, "a")
			m.awayUntil = time.Time{}
		case "checks succeed":
			w.checks.behave(succeed)
		case "checks fail":
			w.checks.behave(fail)
		case "checks hang":
			w.checks.behave(hang)
		case "timeout":
			if w.Update(ctx, admin, "a", Update{PropTimeout: s.length}) == nil && m.present {
				m.latest = m.latest.Add(s.length - m.settings.Timeout)
				m.settings.Timeout = s.length
			}
		case "interval":
			if w.Update(ctx, admin, "a", Update{PropInterval: s.length}) == nil && m.present {
				m.settings.Interval = s.length
			}
		case "approval delay":
			w.Update(ctx, admin, "a", Update{PropApprovalDelay: s.length})
		case "default":
			w.Update(ctx, admin, "a", Update{PropApprovedByDefault: s.yes})
		case "lockdown":
			w.LockDown(ctx, admin, "", 0)
			m.lockedDown = true
		case "end lockdown":
			if w.EndLockdown(ctx, admin) == nil {
				m.lockedDown = false
			}
		case "allow from":
			places := map[bool]string{true: "192.0.2.0/24", false: "fe80::/10"}[s.yes]
			if w.Update(ctx, admin, "a", Update{PropAllowFrom: places}) == nil && m.present {
				m.elsewhere = s.yes
			}
		case "grants":
			how := map[bool]string{true: handoutsGranted, false: handoutsFree}[s.yes]
			if w.Update(ctx, admin, "a", Update{PropHandouts: how}) == nil && m.present {
				m.granted = s.yes
			}
		case "allow":
			if w.Allow(ctx, admin, "a", 1, 0) == nil {
				m.grants++
			}
		case "remove":
			w.Remove(ctx, admin, "a")
			m.present = false
		case "reload":
			w.reload([]Settings{a})
		case "restart":
			w.disk.setFull(false)
			w.pass(2 * SaveDelay)
			w.restart(s.length, []Settings{a})
			m.restarted(w)
			m.stretch(s.length)
		case "disk full":
			w.disk.setFull(true)
		case "disk free":
			w.disk.setFull(false)
		case "kill":
			before, ok := w.Client("a")
			full := w.disk.full
			old := w.Registry
			w.disk = &disk{records: w.disk.copyOf(), server: w.disk.server}
			m.lockedDown = w.disk.server.Lockdown != nil
			w.begin([]Settings{a})
			synctest.Wait()
			_ = old.Close(ctx)
			after, still := w.Client("a")
			if !full && (still && !ok || still && after.Enabled && !before.Enabled) {
				return "a crash brought a client back"
			}
			m.present, m.enabled = still, still && after.Enabled
			m.restarted(w)
			m.stretch(absenceCount + SaveDelay)
			if _, saved := w.disk.get("a"); full || !saved {
				m.atLeast(after.Expires) // the server could not know better
			}
		}
		m.follow(w)
		if v, ok := w.Client("a"); ok && v.Enabled && (!m.enabled || m.expiredAt(time.Now())) {
			return "after " + s.what + " the client is enabled though it should not be"
		}
	}
	w.pass(time.Hour)
	for _, o := range waiting {
		if o.String() == "waiting" {
			return "an approval never ended"
		}
	}
	return ""
}

func (w *world) approvalDelay() time.Duration {
	v, _ := w.Client("a")
	if v.OnBorrowedTime {
		return max(v.ApprovalDelay, askingTime)
	}
	return v.ApprovalDelay
}

func (d *disk) copyOf() map[string]Record {
	records := make(map[string]Record)
	for _, record := range d.all() {
		records[record.Settings.Name] = record
	}
	return records
}

// follow learns what may have prolonged the client's validity: proofs of life, by
// the one rule for them.
func (m *model) follow(w *world) {
	v, ok := w.Client("a")
	if !ok || !m.present {
		return
	}
	if !v.Enabled {
		m.enabled = false
		return
	}
	if v.AbsenceUntil.IsZero() {
		if !time.Now().Before(m.awayUntil) {
			m.atLeast(m.awayUntil)
		}
		m.awayUntil = time.Time{}
	}
	m.learnChecks(w)
	if !v.LastHandout.IsZero() {
		m.atLeast(v.LastHandout.Add(v.ExtendedTimeout))
	}
}

func (m *model) learnChecks(w *world) {
	if m.uplinkFails {
		m.failed += time.Since(m.failedAt)
	}
	m.failedAt = time.Now()
	if v, ok := w.Client("a"); ok && !v.LastCheckedOK.Equal(m.lastOK) {
		m.lastOK, m.failed = v.LastCheckedOK, 0
		if m.uplinkFails {
			m.failed = time.Since(v.LastCheckedOK)
		}
	}
	if v, ok := w.Client("a"); ok && !v.LastCheckedOK.IsZero() {
		m.atLeast(v.LastCheckedOK.Add(v.Timeout))
	}
}

// learnHandouts learns of those that waited in the background; the latest
// hand-out is left out if it is the one in question.
func (m *model) learnHandouts(w *world, butLast bool) {
	w.toldMu.Lock()
	defer w.toldMu.Unlock()
	sent := slices.DeleteFunc(slices.Clone(w.told), func(e Event) bool { return e.Kind != SecretSent })
	if butLast && len(sent) > 0 {
		sent = sent[:len(sent)-1]
	}
	for _, event := range sent {
		m.atLeast(event.Time.Add(event.Client.ExtendedTimeout))
	}
}

// isOwn reports whether the client could be valid at that time without borrowed time.
func (m *model) isOwn(at time.Time) bool { return !at.After(m.latest) || !at.After(m.awayUntil) }

func (m *model) expiredAt(at time.Time) bool {
	borrowed := min(m.failed, modelGrace)
	return at.After(m.latest.Add(borrowed)) && at.After(m.awayUntil.Add(borrowed))
}

// stretch is for time during which a planned absence does not pass.
func (m *model) stretch(d time.Duration) {
	if !m.awayUntil.IsZero() {
		m.awayUntil = m.awayUntil.Add(d)
	}
}

func (m *model) atLeast(t time.Time) {
	if t.After(m.latest) {
		m.latest = t
	}
}

func (m *model) extend(d time.Duration) {
	if m.enabled {
		m.atLeast(time.Now().Add(d))
	}
}

// restarted gives one timeout from now to a client whose last check succeeded.
func (m *model) restarted(w *world) {
	if v, ok := w.Client("a"); ok && v.Enabled && v.LastCheckerStatus == 0 {
		m.atLeast(time.Now().Add(v.Timeout))
	}
}

func (m *model) forbids(at time.Time, delay time.Duration) string {
	switch {
	case m.lockedDown:
		return "was locked out with all others"
	case m.elsewhere:
		return "may get it somewhere else only"
	case m.granted && m.grants <= 0:
		return "nobody has granted it to"
	case !m.present:
		return "was removed"
	case !m.enabled:
		return "was disabled"
	case m.expiredAt(at):
		return "had expired"
	case !m.isOwn(at) && at.After(m.approved):
		return "was on borrowed time, and approved by nobody"
	case delay > 0 && at.Before(m.deniedUntil):
		return "was denied"
	}
	return ""
}
