// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"
)

// check is one run of a client's checker.
type check struct {
	cancel  context.CancelFunc
	command string
	began   time.Time
	stopped bool // its result counts no more; it is being killed
	again   bool // start another one when this one is dead
}

func (k *check) running() bool { return k != nil && !k.stopped }

// schedule sets when the client is checked next, and from then on every interval.
func (r *Registry) schedule(c *client, first time.Duration) {
	if c.nextCheck != nil {
		c.nextCheck.Stop()
	}
	c.nextDue = time.Now().Add(first)
	c.nextCheck = r.after(c, first, func() { r.checkDue(c) })
}

func (r *Registry) checkDue(c *client) {
	now := time.Now()
	for !c.nextDue.After(now) {
		c.nextDue = c.nextDue.Add(c.Interval)
	}
	c.nextCheck.Reset(c.nextDue.Sub(now))
	r.startChecker(c)
}

// after runs f under the mutex after d, unless the timer is stopped before or
// the client is gone by then.
func (r *Registry) after(c *client, d time.Duration, f func()) *time.Timer {
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if c.gone || r.closed || (timer != c.expiry && timer != c.nextCheck && timer != c.approvalUp && timer != c.absenceCount) {
			return
		}
		f()
	})
	return timer
}

// startChecker starts the client's checker, unless it runs. One that is being
// killed is followed by a new one.
func (r *Registry) startChecker(c *client) {
	if c.check != nil {
		c.check.again = c.check.stopped
		return
	}
	now := r.wall()
	command, err := expandChecker(c.Checker, r.view(c))
	if err != nil {
		r.checkFailedToStart(c, c.Checker, err, nil)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	k := &check{cancel: cancel, command: command, began: time.Now()}
	c.check = k
	r.note(Event{Kind: CheckerStarted, Time: now, Client: r.view(c), Command: command, Properties: []Property{PropCheckerRunning}})
	name := c.Name
	r.tasks.Go(func() {
		defer cancel()
		result, err := r.checker.Check(ctx, name, command)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.checkEnded(c, k, result, err)
	})
}

func (r *Registry) checkEnded(c *client, k *check, result CheckResult, err error) {
	c.check = nil
	switch {
	case k.stopped:
		if k.again && !c.gone && !r.closed {
			r.startChecker(c)
		}
	case err != nil:
		r.checkFailedToStart(c, k.command, err, []Property{PropCheckerRunning})
	default:
		r.checkCompleted(c, k.command, result)
		if result.OK() {
			r.compareWithCheck(c, k.began)
		}
	}
}

func (r *Registry) checkCompleted(c *client, command string, result CheckResult) {
	properties := append([]Property{PropCheckerRunning}, r.lastCheck(c, result.Status, result.Output)...)
	switch {
	case result.OK():
		properties = append(properties, r.provedAlive(c)...)
	case result.Status > 0:
		c.wasAway()
	}
	completed := Event{Kind: CheckerCompleted, Time: r.wall(), Client: r.view(c), Command: command, Check: result, Properties: properties}
	r.touch(c.Name, andBack(completed)...)
}

// lastCheck notes how the last check ended, and tells what is another than before.
func (r *Registry) lastCheck(c *client, status int, output string) (changed []Property) {
	changed = set(changed, &c.LastCheckerStatus, &status, PropLastCheckerStatus)
	r.checked(c)
	return set(changed, &c.LastCheckerOutput, &output, PropLastCheckerOutput)
}

// checkFailedToStart counts as a failed check; the next interval tries again.
func (r *Registry) checkFailedToStart(c *client, command string, err error, properties []Property) {
	properties = append(properties, r.lastCheck(c, CheckerCrashed, err.Error())...)
	r.touch(c.Name, Event{Kind: CheckerNotStarted, Time: r.wall(), Client: r.view(c), Command: command, Err: err, Properties: properties})
}

// stopChecker has the running checker killed; its result counts no more.
func (r *Registry) stopChecker(c *client) (stopped bool) {
	if !c.check.running() {
		return false
	}
	c.check.stopped = true
	c.check.cancel()
	return true
}
