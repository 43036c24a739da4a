// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// world is a registry with the world around it, inside a synctest bubble: a disk
// in memory, checkers that do as told, and everything that was told.
type world struct {
	*Registry
	t       *testing.T
	disk    *disk
	checks  *checks
	told    []Event
	toldMu  sync.Mutex
	onTold  func(Event)
	grace   time.Duration // lent while the uplink fails
	stepped atomic.Int64  // how far the wall clock was set forward, in nanoseconds
}

// disk is a journal in memory, which may be full.
type disk struct {
	mu      sync.Mutex
	records map[string]Record
	full    bool
	refuses string // the name of a client whose record cannot be saved
	fails   bool   // after having taken what it was given
	saves   int
	server  ServerRecord
	meddle  func() // called once, before the next records are taken
}

var errFull = errors.New("no space left on device")

// beMeddledWith lets happen what is to happen while something is being saved.
func (d *disk) beMeddledWith() {
	d.mu.Lock()
	meddle := d.meddle
	d.meddle = nil
	d.mu.Unlock()
	if meddle != nil {
		meddle()
	}
}

func (d *disk) Save(records []Record) error {
	d.beMeddledWith()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return errFull
	}
	unsavable := make(UnsavableError)
	if d.refuses != "" {
		records = slices.DeleteFunc(slices.Clone(records), func(r Record) bool {
			if r.Name == d.refuses {
				unsavable[r.Name] = errors.New("it is too large")
			}
			return r.Name == d.refuses
		})
	}
	if len(records) > 0 {
		d.saves++
	}
	for _, record := range records {
		if record.Dropped {
			delete(d.records, record.Settings.Name)
			continue
		}
		d.records[record.Settings.Name] = record
	}
	if d.fails {
		d.fails, d.full = false, true
		return errFull
	}
	if len(unsavable) > 0 {
		return unsavable
	}
	return nil
}

func (d *disk) SaveServer(record ServerRecord) error {
	d.beMeddledWith()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return errFull
	}
	d.server = record
	return nil
}

func (d *disk) get(name string) (Record, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	record, ok := d.records[name]
	return record, ok
}

// during has something happen while the next records are being saved.
func (d *disk) during(meddle func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.meddle = meddle
}

func (d *disk) setFull(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *disk) refuse(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuses = name
}

func (d *disk) takeThenFail() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = true
}

func (d *disk) all() (all []Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, record := range d.records {
		all = append(all, record)
	}
	return all
}

// checks runs checkers: as run says, or for no time and with success.
type checks struct {
	mu       sync.Mutex
	run      func(ctx context.Context) (CheckResult, error)
	each     func(command string) CheckResult // in place of run, if there is one
	commands []string
	started  []time.Time
	at, most int
}

func (c *checks) Check(ctx context.Context, _, command string) (CheckResult, error) {
	c.mu.Lock()
	c.commands = append(c.commands, command)
	c.started = append(c.started, time.Now())
	c.at++
	c.most = max(c.most, c.at)
	run := c.run
	if each := c.each; each != nil {
		run = func(context.Context) (CheckResult, error) { return each(command), nil }
	}
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.at--; c.mu.Unlock() }()
	return run(ctx)
}

func (c *checks) behave(run func(context.Context) (CheckResult, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run = run
}

// behaveEach has each command end as it is told.
func (c *checks) behaveEach(each func(command string) CheckResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each = each
}

func (c *checks) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.started)
}

func succeed(context.Context) (CheckResult, error) { return CheckResult{}, nil }
func fail(context.Context) (CheckResult, error)    { return CheckResult{Status: 1}, nil }
func hang(ctx context.Context) (CheckResult, error) {
	<-ctx.Done()
	return CheckResult{Status: CheckerCrashed, Signal: 15}, nil
}
func unstartable(context.Context) (CheckResult, error) {
	return CheckResult{}, errors.New("resource temporarily unavailable")
}

const (
	keyA = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	keyB = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
)

// host is a client with upstream's defaults.
func host(name, keyID string) Settings {
	return Settings{
		Name: name, KeyID: keyID, Secret: NewSecret([]byte("secret of " + name)), Host: name + ".example.org",
		Checker: "fping -q -- %(host)s", Timeout: 5 * time.Minute, ExtendedTimeout: 15 * time.Minute, Interval: 2 * time.Minute,
		ApprovalDuration: time.Second, ApprovedByDefault: true, Handouts: handoutsFree, Enabled: true,
	}
}

// inWorld runs f in a bubble with a registry of the given clients.
func inWorld(t *testing.T, clients []Settings, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &disk{records: make(map[string]Record)}, succeed, clients)
		defer func() { w.shutDown() }()
		f(w)
	})
}

func newWorld(t *testing.T, d *disk, run func(context.Context) (CheckResult, error), clients []Settings) *world {
	w := &world{t: t, disk: d, checks: &checks{run: run}}
	w.begin(clients)
	return w
}

func (w *world) begin(clients []Settings) {
	w.Registry = New(w.checks, w.disk)
	w.wall = func() time.Time { return time.Now().Add(time.Duration(w.stepped.Load())).Round(0) }
	w.random = func(d time.Duration) time.Duration { return d / 2 } // else first checks come into what is looked at
	w.Subscribe(func(event Event) {
		w.toldMu.Lock()
		defer w.toldMu.Unlock()
		w.told = append(w.told, event)
		if w.onTold != nil {
			w.onTold(event)
		}
	})
	w.Lend(w.grace)
	w.Resume(w.disk.server)
	if _, err := w.Load(clients, w.disk.all()); err != nil {
		w.t.Fatal(err)
	}
	w.Start()
	synctest.Wait()
}

func (w *world) shutDown() {
	if err := w.Close(context.Background()); err != nil && !errors.Is(err, ErrClosed) {
		w.t.Error(err)
	}
}

// restart ends the registry in order and starts another one on the same disk after
// the server was down for that long.
func (w *world) restart(down time.Duration, clients []Settings) {
	w.shutDown()
	time.Sleep(down)
	w.begin(clients)
}

// reload reads a configuration that nothing is wrong with.
func (w *world) reload(clients []Settings) Reloaded {
	w.t.Helper()
	reloaded, err := w.Reload(context.Background(), FromConfiguration, clients)
	w.must(err)
	return reloaded
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) client(name string) View {
	w.t.Helper()
	v, ok := w.Client(name)
	if !ok {
		w.t.Fatalf("no client %s", name)
	}
	return v
}

func (w *world) enabled(name string) bool { return w.client(name).Enabled }

var somewhere = netip.MustParseAddrPort("[fe80::1%eth0]:4711")

// fetch is a whole hand-out to a peer that stays.
func (w *world) fetch(keyID string) (Secret, Refusal) {
	return w.fetchWhile(context.Background(), keyID)
}

func (w *world) fetchWhile(ctx context.Context, keyID string) (Secret, Refusal) {
	h, err := w.Release(ctx, Identity{RawPublicKey, keyID}, Origin{Address: somewhere})
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		if refused.Client == "" {
			return Secret{}, "unknown"
		}
		return Secret{}, refused.Refusal
	}
	if err != nil {
		w.t.Error(err)
		return Secret{}, ""
	}
	h.Received("")
	return h.Secret, ""
}

// outcome is how a hand-out in the background ended, if it has.
type outcome struct {
	mu     sync.Mutex
	ended  bool
	secret Secret
	reason Refusal
}

func (w *world) fetchInBackground(ctx context.Context, keyID string) *outcome {
	o := &outcome{}
	go func() {
		secret, reason := w.fetchWhile(ctx, keyID)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.ended, o.secret, o.reason = true, secret, reason
	}()
	synctest.Wait()
	return o
}

func (o *outcome) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !o.ended:
		return "waiting"
	case o.reason != "":
		return string(o.reason)
	case o.secret.Len() > 0:
		return "got it"
	}
	return "nothing"
}

// signals is what a listener on the bus would see: properties, then the event.
func (w *world) signals() []string {
	synctest.Wait()
	w.toldMu.Lock()
	defer w.toldMu.Unlock()
	var all []string
	for _, event := range w.told {
		for _, p := range event.Properties {
			all = append(all, string(p))
		}
		all = append(all, string(event.Kind))
	}
	w.told = nil
	return all
}

func (w *world) wantSignals(want ...string) {
	w.t.Helper()
	if got := w.signals(); !slices.Equal(got, want) {
		w.t.Errorf("told\n %q, want\n %q", got, want)
	}
}

func (w *world) lastEvent(kind EventKind) (last Event) {
	w.t.Helper()
	synctest.Wait()
	w.toldMu.Lock()
	defer w.toldMu.Unlock()
	for _, event := range w.told {
		if event.Kind == kind {
			last = event
		}
	}
	if last.Kind == "" {
		w.t.Errorf("no event %q was told", kind)
	}
	return last
}

// somebody is another administrator.
var somebody = Actor{Kind: Caller, BusName: ":1.9", UID: 7, PID: 8}

var admin = Actor{Kind: Caller, BusName: ":1.7", UID: 0, PID: 4711}
