// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mandos/server/client"
	"mandos/server/history"
	"mandos/server/state"
)

func event(kind client.EventKind, change ...func(*client.Event)) client.Event {
	e := client.Event{Kind: kind, Time: time.Now(), Client: client.View{Settings: client.Settings{Name: "host1"}}}
	for _, f := range change {
		f(&e)
	}
	return e
}

func because(why client.Reason) func(*client.Event) {
	return func(e *client.Event) { e.Reason = why }
}

func refused(why client.Refusal) client.Event {
	return event(client.Rejected, func(e *client.Event) { e.Refusal = why })
}

func TestHistory(t *testing.T) {
	lastStatus := func(e *client.Event) { e.Properties = []client.Property{client.PropLastCheckerStatus} }
	for sentence, c := range map[string]struct {
		events []client.Event
		want   []string // kind, reason and times
	}{
		"the oldest comes first": {
			events: []client.Event{event(client.Enabled), event(client.SecretSent), event(client.Disabled, because(client.TimedOut))},
			want:   []string{"enabled", "secret-sent", "disabled expired"}},
		"a refusal that repeats the one before is counted": {
			events: []client.Event{refused(client.IsDisabled), refused(client.IsDisabled),
				refused(client.IsDisabled), refused(client.WasDenied)},
			want: []string{"rejected disabled 3", "rejected denied"}},
		"hand-outs are not counted but listed": {
			events: []client.Event{event(client.SecretSent), event(client.SecretSent)},
			want:   []string{"secret-sent", "secret-sent"}},
		"of the checks only those are kept that ended differently": {
			events: []client.Event{event(client.CheckerStarted), event(client.CheckerCompleted, lastStatus), event(client.CheckerCompleted)},
			want:   []string{"checker-completed"}},
		"what is about no client is not kept": {
			events: []client.Event{{Kind: client.NotFound}, {Kind: client.StateNotSaved}}},
		"a client that left the configuration keeps it": {
			events: []client.Event{event(client.Enabled), event(client.Removed, because(client.ByConfiguration))},
			want:   []string{"enabled", "removed configuration"}},
		"a client that was forgotten has none": {
			events: []client.Event{event(client.Enabled), event(client.Forgotten)}},
	} {
		t.Run(sentence, func(t *testing.T) {
			store, err := state.Open(t.TempDir(), slog.Default())
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			keeper := history.New(store, slog.Default())
			for _, e := range c.events {
				keeper.Tell(e)
			}
			unsaved := list(t, keeper)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			keeper.Run(ctx)
			saved := list(t, history.New(store, slog.Default()))
			if !reflect.DeepEqual(unsaved, c.want) || !reflect.DeepEqual(saved, c.want) {
				t.Errorf("before it was saved %q, after %q, want %q", unsaved, saved, c.want)
			}
		})
	}
}

func list(t *testing.T, keeper *history.Keeper) (lines []string) {
	t.Helper()
	events, err := keeper.History("host1")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range events {
		line := fmt.Sprintf("%s %s%s", entry.Kind, entry.Reason, entry.Refusal)
		if entry.Times > 0 {
			line += fmt.Sprint(" ", entry.Times)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// disk is a store in memory that may be full.
type disk struct {
	mu    sync.Mutex
	full  bool
	saved map[string][]byte
}

func (d *disk) SaveHistory(histories map[string][]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return errors.New("no space left on device")
	}
	for name, content := range histories {
		d.saved[name] = content
	}
	return nil
}

func (d *disk) History(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.saved[name], nil
}

func TestAFullDiskLosesNothingOfTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{full: true, saved: make(map[string][]byte)}
		keeper := history.New(d, slog.Default())
		ctx, cancel := context.WithCancel(t.Context())
		go keeper.Run(ctx)
		for i := range 2 * history.Length {
			keeper.Tell(event(client.Changed, because(client.Reason(strconv.Itoa(i)))))
			time.Sleep(300 * time.Millisecond)
		}
		d.mu.Lock()
		d.full = false
		d.mu.Unlock()
		time.Sleep(3 * time.Second)
		cancel()
		synctest.Wait()
		entries, err := history.New(d, slog.Default()).History("host1")
		if err != nil || len(entries) != history.Length || entries[0].Reason != "50" || entries[history.Length-1].Reason != "99" {
			t.Errorf("%d entries, error %v: %v", len(entries), err, entries)
		}
	})
}

// everything is an event that has all that a history keeps.
func everything() client.Event {
	return client.Event{
		Kind: client.Rejected, Time: time.Unix(1764000000, 5000).UTC(), Client: client.View{Settings: client.Settings{Name: "host1"}},
		By:     client.Actor{Kind: client.Caller, BusName: ":1.7", UID: 1000, PID: 42, For: "alice"},
		Reason: client.TimedOut, Refusal: client.WasDenied,
		Changes:  []client.Change{{Setting: "timeout", Value: "5m"}, {Setting: "secret"}},
		Identity: client.Identity{Kind: client.RawPublicKey, Hex: "AB"}, Address: netip.MustParseAddrPort("[fe80::1%eth0]:4711"),
		Command: "fping -q -- \"ä\"", Check: client.CheckResult{Status: -1, Signal: 9, Output: "killed"},
		Err: errors.New("broken"), Note: "odd",
	}
}

func TestAHistoryHasAllOfAnEvent(t *testing.T) {
	d := &disk{saved: make(map[string][]byte)}
	keeper := history.New(d, slog.Default())
	keeper.Tell(everything())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	keeper.Run(ctx)
	got, err := history.New(d, slog.Default()).History("host1")
	if want := []client.Event{everything()}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is\n%+v, error %v, want\n%+v", got, err, want)
	}
	golden := `[{"Kind":"rejected","Time":"2025-11-24T16:00:00.000005Z","By":{"Kind":"caller","BusName":":1.7","UID":1000,"PID":42,"For":"alice"},` +
		`"Reason":"expired","Refusal":"denied","Changes":[{"Setting":"timeout","Value":"5m"},{"Setting":"secret","Value":""}],` +
		`"Key":"AB","KeyKind":"raw-public-key","Address":"[fe80::1%eth0]:4711","Command":"fping -q -- \"ä\"","Status":-1,"Signal":9,"Output":"killed","Error":"broken","Note":"odd"}]`
	if content := string(d.saved["host1"]); content != golden {
		t.Errorf("on disk it is\n%s, want\n%s", content, golden)
	}
}

func TestADamagedHistoryBeginsAnew(t *testing.T) {
	d := &disk{saved: map[string][]byte{"host1": []byte(`[{"Kind":`)}}
	keeper := history.New(d, slog.New(slog.DiscardHandler))
	if _, err := keeper.History("host1"); err == nil || !strings.Contains(err.Error(), "it is damaged") {
		t.Errorf("read: %v", err)
	}
	keeper.Tell(event(client.Enabled))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	keeper.Run(ctx)
	if got := list(t, keeper); !reflect.DeepEqual(got, []string{"enabled"}) {
		t.Errorf("it is %q", got)
	}
}
