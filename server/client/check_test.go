// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// dying is a checker that takes its time to die.
func dying(ctx context.Context) (CheckResult, error) {
	<-ctx.Done()
	time.Sleep(time.Second)
	return CheckResult{Status: CheckerCrashed, Signal: 9}, nil
}

func TestACheckIsAskedForWhileTheLastOneDies(t *testing.T) {
	ctx := context.Background()
	for sentence, c := range map[string]struct {
		meanwhile func(w *world)
		want      int // checks in all
	}{
		"it is started when that is dead":                   {func(w *world) { w.must(w.StartChecker(ctx, "a")) }, 2},
		"it is started once, however often it is asked for": {func(w *world) { w.must(w.StartChecker(ctx, "a")); w.must(w.StartChecker(ctx, "a")) }, 2},
		"nobody asks":                           {func(w *world) {}, 1},
		"the client is removed after that":      {func(w *world) { w.must(w.StartChecker(ctx, "a")); w.must(w.Remove(ctx, admin, "a")) }, 1},
		"the server ends after that":            {func(w *world) { w.must(w.StartChecker(ctx, "a")); w.shutDown() }, 1},
		"a disabled client is checked as asked": {func(w *world) { w.must(w.Disable(ctx, admin, "a")); w.must(w.StartChecker(ctx, "a")) }, 2},
	} {
		t.Run(sentence, func(t *testing.T) {
			rare := host("a", keyA)
			rare.Interval, rare.Timeout = time.Hour, 3*time.Hour
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, disk: &disk{records: make(map[string]Record)}, checks: &checks{run: dying}}
				w.begin([]Settings{rare})
				defer func() { w.shutDown() }()
				w.must(w.StartChecker(ctx, "a"))
				w.must(w.StopChecker(ctx, admin, "a"))
				w.pass(time.Second / 2)
				c.meanwhile(w)
				w.pass(time.Second / 4)
				if n := w.checks.count(); n != 1 {
					t.Errorf("%d checks before the first one is dead", n)
				}
				w.pass(time.Minute)
				if n := w.checks.count(); n != c.want || w.checks.most != 1 {
					t.Errorf("%d checks, %d at once; want %d", n, w.checks.most, c.want)
				}
			})
		})
	}
}

func TestHowACheckEndedIsTold(t *testing.T) {
	ctx := context.Background()
	result := CheckResult{Status: 3, Output: "no route to host"}
	inWorld(t, []Settings{host("a", keyA)}, func(w *world) {
		w.checks.behave(func(context.Context) (CheckResult, error) { return result, nil })
		w.must(w.StartChecker(ctx, "a"))
		if e := w.lastEvent(CheckerCompleted); e.Check != result || e.Client.LastCheckerOutput != result.Output {
			t.Errorf("told is %+v", e)
		}
		w.checks.behave(unstartable)
		w.signals()
		w.must(w.StartChecker(ctx, "a"))
		w.wantSignals("CheckerRunning", "checker-started", "CheckerRunning", "LastCheckerStatus", "LastCheckerOutput", "checker-not-started")
	})
}

func TestWhatStopsAndStartsNoChecker(t *testing.T) {
	ctx := context.Background()
	rare := host("a", keyA)
	rare.Interval, rare.Timeout = time.Hour, 3*time.Hour
	unusable := rare
	unusable.Checker = "ping %(nosuch)s"
	minute := time.Minute
	for sentence, c := range map[string]struct {
		settings Settings
		do       func(w *world)
		want     []string // what is told
	}{
		"one that dies is not stopped again": {rare, func(w *world) {
			w.must(w.StartChecker(ctx, "a"))
			w.must(w.StopChecker(ctx, admin, "a"))
			if w.client("a").CheckerRunning {
				w.t.Error("it is said to run while it dies")
			}
			w.signals()
			w.must(w.StopChecker(ctx, admin, "a"))
		}, nil},
		"a disabled client is not checked for its new interval": {rare, func(w *world) {
			w.must(w.Disable(ctx, admin, "a"))
			w.signals()
			w.must(w.Update(ctx, admin, "a", Update{PropInterval: minute}))
			w.pass(time.Hour)
		}, []string{"Interval", "changed"}},
		"a command that cannot be made is a check that failed": {unusable, func(w *world) {
			w.signals()
			w.must(w.StartChecker(ctx, "a"))
			if v := w.client("a"); v.CheckerRunning || v.LastCheckerStatus != CheckerCrashed || v.LastCheckerOutput == "" {
				w.t.Errorf("running: %v, %+v", v.CheckerRunning, v.State)
			}
		}, []string{"LastCheckerStatus", "LastCheckerOutput", "checker-not-started"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{t: t, disk: &disk{records: make(map[string]Record)}, checks: &checks{run: dying}}
				w.begin([]Settings{c.settings})
				defer func() { w.shutDown() }()
				c.do(w)
				w.wantSignals(c.want...)
			})
		})
	}
}
