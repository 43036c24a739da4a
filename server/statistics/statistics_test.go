// SPDX-License-Identifier: Apache-2.0

package statistics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mandos/dbusapi"
	"mandos/server/client"
	"mandos/server/keytls"
)

// changed are the values that are others than at the start.
func changed(s *Statistics) dbusapi.Statistics {
	values := s.Values()
	maps.DeleteFunc(values, func(_ string, value any) bool { return value == uint64(0) || value == 0.0 })
	return values
}

func none() int { return 0 }

func rejected(refusal client.Refusal) client.Event {
	return client.Event{Kind: client.Rejected, Refusal: refusal}
}

func TestWhatIsCounted(t *testing.T) {
	for sentence, c := range map[string]struct {
		happen func(*Statistics)
		want   dbusapi.Statistics
	}{
		"nothing has happened": {func(*Statistics) {}, dbusapi.Statistics{}},
		"a client that got its secret twice": {func(s *Statistics) {
			s.Tell(client.Event{Kind: client.SecretSent})
			s.Tell(client.Event{Kind: client.SecretSent})
		}, dbusapi.Statistics{"handouts": uint64(2)}},
		"a client that went away": {func(s *Statistics) { s.Tell(client.Event{Kind: client.SecretNotReceived}) },
			dbusapi.Statistics{"handouts-not-received": uint64(1)}},
		"a client that is disabled":  {func(s *Statistics) { s.Tell(rejected(client.IsDisabled)) }, dbusapi.Statistics{"refusals.disabled": uint64(1)}},
		"a key that nobody has":      {func(s *Statistics) { s.Tell(client.Event{Kind: client.NotFound}) }, dbusapi.Statistics{"refusals.not-found": uint64(1)}},
		"an approval that was given": {func(s *Statistics) { s.Tell(client.Event{Kind: client.ApprovalOver}) }, dbusapi.Statistics{"approvals.approved": uint64(1)}},
		"an approval that was denied": {func(s *Statistics) { s.Tell(client.Event{Kind: client.ApprovalOver, Refusal: client.WasDenied}) },
			dbusapi.Statistics{"approvals.denied": uint64(1)}},
		"an approval that nobody gave": {func(s *Statistics) { s.Tell(client.Event{Kind: client.ApprovalOver, Refusal: client.ApprovalTimedOut}) },
			dbusapi.Statistics{"approvals.approval-timed-out": uint64(1)}},
		"a peer that did not wait so long": {func(s *Statistics) { s.Tell(client.Event{Kind: client.ApprovalOver, Refusal: client.PeerGone}) },
			dbusapi.Statistics{"approvals.peer-gone": uint64(1)}},
		"an approval that makes no difference": {func(s *Statistics) { s.Tell(client.Event{Kind: client.ApprovalOver, Refusal: client.IsLockedDown}) },
			dbusapi.Statistics{"approvals.other": uint64(1)}},
		"a checker that is missing": {func(s *Statistics) { s.Tell(client.Event{Kind: client.CheckerNotStarted}) },
			dbusapi.Statistics{"checks.not-started": uint64(1)}},
		"events that were too many": {func(s *Statistics) { s.Tell(client.Event{Kind: client.EventsDropped, Dropped: 7}) },
			dbusapi.Statistics{"events-dropped": uint64(7)}},
		"a code that there is not":          {func(s *Statistics) { s.Tell(rejected("nonsense")) }, dbusapi.Statistics{}},
		"a connection":                      {func(s *Statistics) { s.Connected() }, dbusapi.Statistics{"connections": uint64(1)}},
		"a connection that was evicted":     {func(s *Statistics) { s.Evicted() }, dbusapi.Statistics{"evictions": uint64(1)}},
		"a reload":                          {func(s *Statistics) { s.Reloaded(nil) }, dbusapi.Statistics{"reloads.succeeded": uint64(1)}},
		"a reload of what cannot be read":   {func(s *Statistics) { s.Reloaded(io.EOF) }, dbusapi.Statistics{"reloads.failed": uint64(1)}},
		"a browser":                         {func(s *Statistics) { s.NotAClient(errors.New("GET")) }, failure("not-a-client")},
		"a peer that says nothing":          {func(s *Statistics) { s.NotAClient(fmt.Errorf("read: %w", os.ErrDeadlineExceeded)) }, failure("timed-out")},
		"a peer that is too slow":           {func(s *Statistics) { s.HandshakeFailed(fmt.Errorf("%w: %w", context.DeadlineExceeded, net.ErrClosed)) }, failure("timed-out")},
		"a peer that had to go":             {func(s *Statistics) { s.HandshakeFailed(fmt.Errorf("read: %w", net.ErrClosed)) }, failure("evicted")},
		"one that had to go, from its line": {func(s *Statistics) { s.NotAClient(net.ErrClosed) }, failure("evicted")},
		"a peer that hangs up":              {func(s *Statistics) { s.HandshakeFailed(io.ErrUnexpectedEOF) }, failure("disconnected")},
		"a peer that is wrong":              {func(s *Statistics) { s.HandshakeFailed(&keytls.AlertError{Alert: 40}) }, failure("alert-sent")},
		"a peer that finds us wrong": {func(s *Statistics) {
			s.HandshakeFailed(fmt.Errorf("why: %w", &keytls.AlertError{Alert: 40, Received: true}))
		}, failure("alert-received")},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := New(none)
			c.happen(s)
			if diff := cmp.Diff(c.want, changed(s)); diff != "" {
				t.Errorf("wanted (-) and counted (+):\n%s", diff)
			}
		})
	}
}

func failure(kind string) dbusapi.Statistics {
	return dbusapi.Statistics{"handshake-failures." + kind: uint64(1)}
}

func TestEveryRefusalIsCounted(t *testing.T) {
	s := New(none)
	for _, refusal := range client.Refusals {
		s.Tell(rejected(refusal))
	}
	if got := changed(s); len(got) != len(client.Refusals) {
		t.Errorf("of %q only %v are", client.Refusals, got)
	}
}

// runs is a checker and a journal that take their time.
type runs struct {
	takes  time.Duration
	result client.CheckResult
	err    error
}

func (r runs) Check(ctx context.Context, _, _ string) (client.CheckResult, error) {
	select {
	case <-ctx.Done():
	case <-time.After(r.takes):
	}
	return r.result, r.err
}

func (r runs) Save([]client.Record) error {
	time.Sleep(r.takes)
	return r.err
}

func (r runs) SaveServer(client.ServerRecord) error { return r.Save(nil) }

func TestChecksAndSavesAreTimed(t *testing.T) {
	check := func(ctx context.Context, s *Statistics, r runs) {
		result, err := s.Checker(r).Check(ctx, "a", "true")
		if result != r.result || err != r.err {
			t.Errorf("answered %v, %v", result, err)
		}
	}
	for sentence, c := range map[string]struct {
		happen func(ctx context.Context, s *Statistics)
		want   dbusapi.Statistics
	}{
		"a check that succeeds": {func(ctx context.Context, s *Statistics) { check(ctx, s, runs{takes: 1500 * time.Millisecond}) },
			dbusapi.Statistics{"checks.succeeded": uint64(1), "check-seconds": 1.5}},
		"one that succeeds and one that fails": {func(ctx context.Context, s *Statistics) {
			check(ctx, s, runs{takes: time.Second})
			check(ctx, s, runs{takes: time.Second, result: client.CheckResult{Status: 2}})
		}, dbusapi.Statistics{"checks.succeeded": uint64(1), "checks.failed": uint64(1), "check-seconds": 2.0}},
		"a checker that is killed": {func(ctx context.Context, s *Statistics) {
			check(ctx, s, runs{takes: time.Second, result: client.CheckResult{Status: client.CheckerCrashed, Signal: 9}})
		}, dbusapi.Statistics{"checks.killed": uint64(1), "check-seconds": 1.0}},
		"a checker that somebody stops": {func(ctx context.Context, s *Statistics) {
			ctx, stop := context.WithTimeout(ctx, time.Second)
			defer stop()
			check(ctx, s, runs{takes: time.Hour, result: client.CheckResult{Status: client.CheckerCrashed, Signal: 9}})
		}, dbusapi.Statistics{"checks.stopped": uint64(1), "check-seconds": 1.0}},
		"a checker that does not start, of which the registry tells": {func(ctx context.Context, s *Statistics) { check(ctx, s, runs{err: io.EOF}) },
			dbusapi.Statistics{}},
		"saves": {func(_ context.Context, s *Statistics) {
			j := s.Journal(runs{takes: 250 * time.Millisecond})
			if err := errors.Join(j.Save(nil), j.SaveServer(client.ServerRecord{})); err != nil {
				t.Error(err)
			}
		}, dbusapi.Statistics{"saves.succeeded": uint64(2), "save-seconds": 0.5}},
		"a save that fails": {func(_ context.Context, s *Statistics) {
			if err := s.Journal(runs{err: io.EOF}).Save(nil); err != io.EOF {
				t.Errorf("answered %v", err)
			}
		}, dbusapi.Statistics{"saves.failed": uint64(1)}},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(none)
				c.happen(t.Context(), s)
				if diff := cmp.Diff(c.want, changed(s)); diff != "" {
					t.Errorf("wanted (-) and counted (+):\n%s", diff)
				}
			})
		})
	}
}

func TestStrangersAreThoseOfTheMoment(t *testing.T) {
	now := 7
	s := New(func() int { return now })
	for _, now = range []int{7, 0, 3} {
		if got := s.Values()["strangers"]; got != uint64(now) {
			t.Errorf("%v of %d", got, now)
		}
	}
}

func TestEveryStatisticIsListedOnceAndExplained(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)?$`)
	var names []string
	for _, s := range List() {
		names = append(names, s.Name)
		if !form.MatchString(s.Name) || strings.Contains(s.Name, ".") != (s.Label != "") || strings.HasSuffix(s.Name, "seconds") != (s.Unit == "seconds") {
			t.Errorf("%+v is not named as the others are", s)
		}
		if !strings.HasSuffix(s.Help, ".") || s.Type != dbusapi.Counter && s.Type != dbusapi.Gauge {
			t.Errorf("%+v is not explained", s)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(New(none).Values())), names); diff != "" {
		t.Errorf("those that have values (-) and that are listed (+):\n%s", diff)
	}
}

func TestNothingIsLostWhenManyCountAtOnce(t *testing.T) {
	s := New(none)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				s.Connected()
				s.Tell(rejected(client.IsDisabled))
				s.Values()
			}
		})
	}
	group.Wait()
	if diff := cmp.Diff(dbusapi.Statistics{"connections": uint64(8000), "refusals.disabled": uint64(8000)}, changed(s)); diff != "" {
		t.Errorf("wanted (-) and counted (+):\n%s", diff)
	}
}

// BenchmarkCounting is all that is counted of a hand-out.
func BenchmarkCounting(b *testing.B) {
	s := New(none)
	journal := s.Journal(runs{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Connected()
			s.Tell(client.Event{Kind: client.SecretSent})
			if err := journal.SaveServer(client.ServerRecord{}); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkValues(b *testing.B) {
	s := New(none)
	for b.Loop() {
		s.Values()
	}
}
