// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many records strangers may cause: all of them together, and each.
const (
	allBurst, allPerSecond   = 100, 10
	eachBurst, eachPerSecond = 20, 2

	// maxSources is how many strangers are told apart at a time.
	maxSources = 1000
	// reportEvery is how long left out records are counted before they are told.
	reportEvery = 10 * time.Second
)

// Limit makes a logger for what strangers can cause as often as they like. It
// leaves out what is too much and tells how many records that were. The share
// of one address, which it finds in the attribute "address", is limited too, so
// that it cannot silence others.
func Limit(log *slog.Logger) *slog.Logger {
	return slog.New(&limited{Handler: log.Handler(), quota: &quota{
		log:   log,
		all:   rate.NewLimiter(allPerSecond, allBurst),
		crowd: rate.NewLimiter(eachPerSecond, eachBurst),
		each:  make(map[netip.Prefix]*rate.Limiter),
	}})
}

type limited struct {
	slog.Handler
	quota  *quota
	source netip.Prefix
}

func (l *limited) Handle(ctx context.Context, r slog.Record) error {
	source := l.source
	r.Attrs(func(a slog.Attr) bool {
		source = sourceOf(a, source)
		return true
	})
	if !l.quota.allow(source) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

func (l *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	source := l.source
	for _, a := range attrs {
		source = sourceOf(a, source)
	}
	return &limited{Handler: l.Handler.WithAttrs(attrs), quota: l.quota, source: source}
}

func (l *limited) WithGroup(name string) slog.Handler {
	return &limited{Handler: l.Handler.WithGroup(name), quota: l.quota, source: l.source}
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
	return neighbourhood(address)
}

// neighbourhood is what one stranger is likely to have to himself: an IPv4
// address, a link-local IPv6 address, or a network of 64 bits.
func neighbourhood(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() && !a.IsLinkLocalUnicast() {
		bits = 64
	}
	// The zero Addr makes the zero Prefix, a source like others.
	prefix, _ := a.Prefix(bits)
	return prefix
}

// quota says who may log how much.
type quota struct {
	log *slog.Logger

	mu      sync.Mutex
	all     *rate.Limiter
	each    map[netip.Prefix]*rate.Limiter
	crowd   *rate.Limiter // shared by those who are too many to be told apart
	swept   time.Time     // when those who are calm were last forgotten
	leftOut int
}

func (q *quota) allow(source netip.Prefix) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.of(source).Allow() && q.all.Allow() {
		return true
	}
	if q.leftOut == 0 {
		time.AfterFunc(reportEvery, q.report)
	}
	q.leftOut++
	return false
}

func (q *quota) of(source netip.Prefix) *rate.Limiter {
	if one, ok := q.each[source]; ok {
		return one
	}
	if now := time.Now(); len(q.each) >= maxSources && now.Sub(q.swept) > time.Second {
		q.swept = now
		maps.DeleteFunc(q.each, func(_ netip.Prefix, one *rate.Limiter) bool { return one.Tokens() >= eachBurst })
	}
	if len(q.each) >= maxSources {
		return q.crowd
	}
	one := rate.NewLimiter(eachPerSecond, eachBurst)
	q.each[source] = one
	return one
}

func (q *quota) report() {
	q.mu.Lock()
	leftOut := q.leftOut
	q.leftOut = 0
	q.mu.Unlock()
	q.log.Warn("Too many connections to log them all", "left_out", leftOut)
}
