// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mandos/server/client"
	"mandos/server/history"
	"mandos/server/state"
)

func describe(e client.Event) map[string]string {
	return map[string]string{"kind": string(e.Kind), "reason": string(e.Reason), "time": e.Time.String()}
}

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

func TestHistory(t *testing.T) {
	lastStatus := func(e *client.Event) { e.Properties = []client.Property{client.PropLastCheckerStatus} }
	for sentence, c := range map[string]struct {
		events []client.Event
		want   []string // kind, reason and times
	}{
		"the oldest comes first": {
			events: []client.Event{event(client.Enabled), event(client.SecretSent), event(client.Disabled, because(client.TimedOut))},
			want:   []string{"enabled  ", "secret sent  ", "disabled no successful check within its timeout "}},
		"a refusal that repeats the one before is counted": {
			events: []client.Event{event(client.Rejected, because(client.IsDisabled)), event(client.Rejected, because(client.IsDisabled)),
				event(client.Rejected, because(client.IsDisabled)), event(client.Rejected, because(client.WasDenied))},
			want: []string{"rejected Disabled 3", "rejected Denied "}},
		"hand-outs are not counted but listed": {
			events: []client.Event{event(client.SecretSent), event(client.SecretSent)},
			want:   []string{"secret sent  ", "secret sent  "}},
		"of the checks only those are kept that ended differently": {
			events: []client.Event{event(client.CheckerStarted), event(client.CheckerCompleted, lastStatus), event(client.CheckerCompleted)},
			want:   []string{"checker completed  "}},
		"what is about no client is not kept": {
			events: []client.Event{{Kind: client.NotFound}, {Kind: client.StateNotSaved}}},
		"a client that left the configuration keeps it": {
			events: []client.Event{event(client.Enabled), event(client.Removed, because(client.ByConfiguration))},
			want:   []string{"enabled  ", "removed by the configuration "}},
		"a client that was forgotten has none": {
			events: []client.Event{event(client.Enabled), event(client.Forgotten)}},
	} {
		t.Run(sentence, func(t *testing.T) {
			store, err := state.Open(t.TempDir(), slog.Default())
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			keeper := history.New(store, describe, slog.Default())
			for _, e := range c.events {
				keeper.Tell(e)
			}
			unsaved := list(t, keeper)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			keeper.Run(ctx)
			saved := list(t, history.New(store, describe, slog.Default()))
			if !reflect.DeepEqual(unsaved, c.want) || !reflect.DeepEqual(saved, c.want) {
				t.Errorf("before it was saved %q, after %q, want %q", unsaved, saved, c.want)
			}
		})
	}
}

func list(t *testing.T, keeper *history.Keeper) (lines []string) {
	t.Helper()
	entries, err := keeper.History("host1")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		lines = append(lines, fmt.Sprintf("%s %s %s", entry["kind"], entry["reason"], entry[history.Times]))
	}
	return lines
}

// disk is a store in memory that may be full.
type disk struct {
	mu    sync.Mutex
	full  bool
	saved map[string][]map[string]string
}

func (d *disk) SaveHistory(histories map[string][]map[string]string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return errors.New("no space left on device")
	}
	for name, entries := range histories {
		d.saved[name] = entries
	}
	return nil
}

func (d *disk) History(name string) ([]map[string]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.saved[name], nil
}

func TestAFullDiskLosesNothingOfTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{full: true, saved: make(map[string][]map[string]string)}
		keeper := history.New(d, describe, slog.Default())
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
		entries := d.saved["host1"]
		if len(entries) != history.Length || entries[0]["reason"] != "50" || entries[history.Length-1]["reason"] != "99" {
			t.Errorf("%d entries: %v", len(entries), entries)
		}
	})
}
