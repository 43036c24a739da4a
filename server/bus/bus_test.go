// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mandos/dbusapi"
	"mandos/server/bus"
	"mandos/server/client"
)

// server is a registry on a bus, as the daemon has it.
type server struct {
	*client.Registry
	bus     *bus.Service
	checker *checker
	daemon  *daemon
	journal *journal
	log     *logBook
	stop    func()

	mu     sync.Mutex
	events []client.Event
}

// by is who caused the last event of that kind.
func (s *server) by(kind client.EventKind) client.Actor {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range slices.Backward(s.events) {
		if e.Kind == kind {
			return e.By
		}
	}
	return client.Actor{}
}

// reload reads a configuration.
func reload(ctx context.Context, s *server, by client.Actor, configured []client.Settings) error {
	_, err := s.Reload(ctx, by, configured)
	return err
}

// serve puts a registry with those clients on a bus and waits until it was tried.
func serve(t testing.TB, address string, clients ...client.Settings) *server {
	t.Helper()
	s := &server{checker: &checker{results: make(chan client.CheckResult)}, daemon: &daemon{level: "info", reach: dbusapi.Status{Address: "::", Interface: "eth0", ZeroconfState: "announced"}}, journal: &journal{}, log: &logBook{}}
	s.Registry = client.New(s.checker, s.journal)
	if _, err := s.Load(clients, nil); err != nil {
		t.Fatal(err)
	}
	s.bus = bus.New(s.Registry, s.daemon, address, slog.New(slog.NewTextHandler(s.log, nil)))
	s.Subscribe(func(e client.Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	})
	s.Subscribe(s.bus.Tell)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.bus.Run(ctx)
	}()
	s.Start()
	s.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("closing the registry: %v", err)
		}
	})
	t.Cleanup(s.stop)
	<-s.bus.Tried()
	return s
}

// connect is a connection to the bus by the typed client.
func connect(t testing.TB, address string) *dbusapi.Connection {
	t.Helper()
	s, err := dbusapi.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// settings are those of a client as the shipped configuration has them.
func settings(name string) client.Settings {
	return client.Settings{
		Name:              name,
		KeyID:             fmt.Sprintf("%X", sha256.Sum256([]byte(name))),
		Fingerprint:       strings.Repeat("CD", 20),
		Secret:            client.NewSecret([]byte("secret of " + name)),
		Host:              name + ".example.org",
		Checker:           "fping -q -- %(host)s",
		Timeout:           5 * time.Minute,
		ExtendedTimeout:   15 * time.Minute,
		Interval:          2 * time.Minute,
		ApprovalDuration:  time.Second,
		ApprovedByDefault: true,
		Enabled:           true,
	}
}

// unhurried are those of a client whose checker does not start by chance while a test
// listens.
func unhurried(name string) client.Settings {
	s := settings(name)
	s.Timeout, s.ExtendedTimeout, s.Interval = 1000*time.Hour, 3000*time.Hour, 1000*time.Hour
	return s
}

// checker is a checker whose results the test decides.
type checker struct{ results chan client.CheckResult }

func (c *checker) Check(ctx context.Context, _, _ string) (client.CheckResult, error) {
	select {
	case result := <-c.results:
		return result, nil
	case <-ctx.Done():
		return client.CheckResult{Status: client.CheckerCrashed, Signal: 9}, nil
	}
}

// journal is a disk that can be slow.
type journal struct {
	mu    sync.Mutex
	block chan struct{}
}

// slow makes saving wait until release is closed.
func (j *journal) slow(release chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.block = release
}

func (j *journal) SaveServer(client.ServerRecord) error { return j.Save(nil) }

func (j *journal) Save([]client.Record) error {
	j.mu.Lock()
	block := j.block
	j.mu.Unlock()
	if block != nil {
		<-block
	}
	return nil
}

// daemon is the rest of the server.
type daemon struct {
	mu       sync.Mutex
	level    string
	reloads  []client.Actor
	reloaded error
	mistake  bool
	reach    dbusapi.Status // of which only how clients reach it counts
	past     []client.Event
}

func (d *daemon) Status() dbusapi.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return dbusapi.Status{
		Version: "1.2.3", Address: d.reach.Address, Port: 4711, Interface: d.reach.Interface, ListenProblem: d.reach.ListenProblem,
		ServiceName: "Mandos", ZeroconfState: d.reach.ZeroconfState,
		StartedAt: time.Date(2026, 11, 23, 4, 5, 6, 7000, time.UTC), LogLevel: d.level,
	}
}

// moves is where it listens and is announced from now on.
func (d *daemon) moves(address, iface, problem, announced string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reach = dbusapi.Status{Address: address, Interface: iface, ListenProblem: problem, ZeroconfState: announced}
}

func (d *daemon) SetLogLevel(_ client.Actor, level string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains([]string{"debug", "info"}, level) {
		return errors.New("there are the log levels debug and info")
	}
	d.level = level
	return nil
}

func (d *daemon) Statistics() dbusapi.Statistics {
	return dbusapi.Statistics{"handouts": uint64(3), "save-seconds": 0.25}
}

func (d *daemon) ListStatistics() []dbusapi.Statistic {
	return []dbusapi.Statistic{{Name: "refusals.disabled", Type: dbusapi.Counter, Label: "code", Help: "Refused."}, {Name: "save-seconds", Type: dbusapi.Gauge, Unit: "seconds"}}
}

func (d *daemon) Reload(_ context.Context, by client.Actor) (client.Reloaded, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mistake {
		panic("a mistake in reloading")
	}
	d.reloads = append(d.reloads, by)
	return client.Reloaded{Added: []string{"new"}, Removed: []string{"old", "older"}}, d.reloaded
}

func (d *daemon) ReadSection(text string) dbusapi.Section {
	return dbusapi.Section{Name: text, Findings: []dbusapi.Finding{{Severity: dbusapi.SeverityWarning, Line: 7, Problem: "doubtful"}}}
}

func (d *daemon) JudgeSecret(secret []byte) dbusapi.SecretVerdict {
	return dbusapi.SecretVerdict{Recipients: string(secret)}
}

func (d *daemon) Place(name string) string {
	if name == "nosuch" {
		return ""
	}
	return "/etc/mandos/clients.conf:7"
}

func (d *daemon) History(name string) ([]client.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.past != nil {
		return d.past, nil
	}
	return []client.Event{{Kind: client.Added, Client: client.View{Settings: client.Settings{Name: name}}}}, nil
}

func (d *daemon) InterfaceTo(address netip.Addr) string { return address.Zone() }

// reloading makes reloading fail from now on, or panic.
func (d *daemon) reloading(err error, mistake bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reloaded, d.mistake = err, mistake
}

// logBook collects what is logged.
type logBook struct {
	mu    sync.Mutex
	lines []string
}

func (l *logBook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(line))
	return len(line), nil
}

func (l *logBook) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.lines, func(line string) bool { return strings.Contains(line, text) })
}

// askForSecret has the client ask and tells how that ended.
func (s *server) askForSecret(t *testing.T, c client.Settings) <-chan error {
	ended := make(chan error, 1)
	go func() {
		id := client.Identity{Kind: client.RawPublicKey, Hex: c.KeyID}
		handout, err := s.Release(t.Context(), id, client.Origin{Address: netip.MustParseAddrPort("[2001:db8::7]:4711")})
		if err == nil {
			handout.Received("")
		}
		ended <- err
	}()
	return ended
}
