// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mandos/server/client"
)

// How many records whoever connects may cause: all strangers together, and each of
// them; and the connections of each client, for each kind of event.
const (
	allBurst, allPerSecond   = 100, 10
	eachBurst, eachPerSecond = 20, 2

	// maxSources is how many strangers are told apart at a time.
	maxSources = 1000
	// reportEvery is how long left out records are counted before they are told.
	reportEvery = 10 * time.Second
)

// Limits bound what those who connect can cause to be logged, which they can do as
// often as they like: strangers, and whoever holds a client's key. What is too much
// is left out and counted, and the count is told.
type Limits struct {
	log       *slog.Logger
	strangers *shares[netip.Prefix]
	clients   *shares[cause]

	mu      sync.Mutex
	leftOut map[cause]leftOut
}

// cause is what a record is about: a kind of event of a client's connections. The
// zero cause is strangers.
type cause struct {
	client string
	kind   client.EventKind
}

// leftOut is what has been left out of one cause, and the last address among it.
type leftOut struct {
	records int
	last    netip.AddrPort
}

// NewLimits makes limits for what goes to log.
func NewLimits(log *slog.Logger) *Limits {
	return &Limits{
		log: log,
		strangers: &shares[netip.Prefix]{
			each:  make(map[netip.Prefix]*rate.Limiter),
			all:   rate.NewLimiter(allPerSecond, allBurst),
			crowd: rate.NewLimiter(eachPerSecond, eachBurst),
		},
		// There are only so many clients, and many of them may boot at once.
		clients: &shares[cause]{each: make(map[cause]*rate.Limiter)},
		leftOut: make(map[cause]leftOut),
	}
}

// Strangers makes the logger for what strangers cause. Each of them, whom it finds
// in the attribute "address", has a share, so that none can silence the others.
func (l *Limits) Strangers() *slog.Logger {
	return slog.New(&limited{Handler: l.log.Handler(), limits: l})
}

// allowClient reports whether to log that event of a client's connection. The kinds have
// shares of their own, so that a hand-out cannot be hidden behind refusals.
func (l *Limits) allowClient(e client.Event) bool {
	from := cause{e.Client.Name, e.Kind}
	return l.clients.allow(from) || l.leaveOut(from, e.Address)
}

// leaveOut counts a record that is left out. It is false.
func (l *Limits) leaveOut(from cause, address netip.AddrPort) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.leftOut) == 0 {
		time.AfterFunc(reportEvery, l.Report)
	}
	l.leftOut[from] = leftOut{l.leftOut[from].records + 1, address}
	return false
}

// Report tells at once what has been left out and not been told yet.
func (l *Limits) Report() {
	l.mu.Lock()
	all := l.leftOut
	l.leftOut = make(map[cause]leftOut)
	l.mu.Unlock()
	byName := func(a, b cause) int { return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.kind, b.kind)) }
	for _, from := range slices.SortedFunc(maps.Keys(all), byName) {
		if from == (cause{}) {
			l.log.Warn("Too many connections to log them all", "left_out", all[from].records)
			continue
		}
		l.log.Warn("Too many connections of client "+from.client+" to log them all",
			keyClient, from.client, "event", string(from.kind), "left_out", all[from].records, "last_address", all[from].last)
	}
}

// limited leaves out what is too much of strangers.
type limited struct {
	slog.Handler
	limits *Limits
	source netip.Prefix
}

func (h *limited) Handle(ctx context.Context, r slog.Record) error {
	source := h.source
	r.Attrs(func(a slog.Attr) bool {
		source = sourceOf(a, source)
		return true
	})
	if !h.limits.strangers.allow(source) {
		h.limits.leaveOut(cause{}, netip.AddrPort{})
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	source := h.source
	for _, a := range attrs {
		source = sourceOf(a, source)
	}
	return &limited{Handler: h.Handler.WithAttrs(attrs), limits: h.limits, source: source}
}

func (h *limited) WithGroup(name string) slog.Handler {
	return &limited{Handler: h.Handler.WithGroup(name), limits: h.limits, source: h.source}
}

// sourceOf is whom an attribute "address" is about, and otherwise what it was before.
func sourceOf(a slog.Attr, before netip.Prefix) netip.Prefix {
	if a.Key != keyAddress {
		return before
	}
	var address netip.Addr
	switch value := a.Value.Resolve().Any().(type) {
	case netip.AddrPort:
		address = value.Addr()
	case netip.Addr:
		address = value
	case net.Addr:
		parsed, _ := netip.ParseAddrPort(value.String())
		address = parsed.Addr()
	case string:
		parsed, _ := netip.ParseAddrPort(value)
		address = parsed.Addr()
	}
	return client.SourceOf(address)
}

// shares say who may log how much.
type shares[K comparable] struct {
	mu   sync.Mutex
	each map[K]*rate.Limiter
	all  *rate.Limiter // of all together; nil if there is no such bound
	// crowd is shared by those who are too many to be told apart; nil if there
	// are never too many.
	crowd *rate.Limiter
	swept time.Time // when those who are calm were last forgotten
}

func (s *shares[K]) allow(key K) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(key).Allow() && (s.all == nil || s.all.Allow())
}

func (s *shares[K]) of(key K) *rate.Limiter {
	if one, ok := s.each[key]; ok {
		return one
	}
	if now := time.Now(); len(s.each) >= maxSources && now.Sub(s.swept) > time.Second {
		s.swept = now
		maps.DeleteFunc(s.each, func(_ K, one *rate.Limiter) bool { return one.Tokens() >= eachBurst })
	}
	if s.crowd != nil && len(s.each) >= maxSources {
		return s.crowd
	}
	one := rate.NewLimiter(eachPerSecond, eachBurst)
	s.each[key] = one
	return one
}
