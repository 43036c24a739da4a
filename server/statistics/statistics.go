// SPDX-License-Identifier: Apache-2.0

// Package statistics counts what the server does, from its start on: what the registry
// tells of, what becomes of connections before that hears of them, and how long checks
// and saves take. Counting costs a few atomic additions, and nobody waits for it.
package statistics

import (
	"sync/atomic"
	"time"

	"mandos/dbusapi"
	"mandos/server/client"
)

// statistic is one row of the table: one value, or one for each of its kinds, which then
// have their names from the row's, a dot and the kind.
type statistic struct {
	name  string
	now   func(*Statistics) uint64 // of what goes up and down; what is counted only goes up
	unit  string                   // seconds, or empty for a number
	label string                   // what the kinds are
	kinds []string                 // none for one value
	help  string
}

// The names of the rows.
const (
	connections       = "connections"
	strangers         = "strangers"
	evictions         = "evictions"
	handshakeFailures = "handshake-failures"
	handouts          = "handouts"
	notReceived       = "handouts-not-received"
	refusals          = "refusals"
	approvals         = "approvals"
	checks            = "checks"
	checkSeconds      = "check-seconds"
	saves             = "saves"
	saveSeconds       = "save-seconds"
	reloads           = "reloads"
	eventsDropped     = "events-dropped"
)

const seconds = "seconds"

// Kinds of which there are no codes elsewhere.
const (
	succeeded = "succeeded"
	failed    = "failed"

	notAClient    = "not-a-client"
	timedOut      = "timed-out"
	disconnected  = "disconnected"
	evicted       = "evicted"
	alertSent     = "alert-sent"
	alertReceived = "alert-received"

	killed     = "killed"
	stopped    = "stopped"
	notStarted = "not-started"

	approved = "approved"
	other    = "other"
)

// table is all there is.
var table = []statistic{
	{name: connections, help: "Connections that were accepted."},
	{name: strangers, now: func(s *Statistics) uint64 { return uint64(s.strangers()) }, help: "Connections at this moment that have not proved a known key."},
	{name: evictions, help: "Connections that were closed to make room for others."},
	{name: handshakeFailures, label: "kind", kinds: []string{notAClient, timedOut, disconnected, evicted, alertSent, alertReceived},
		help: "Connections that ended before a key was proved."},
	{name: handouts, help: "Secrets that clients have received."},
	{name: notReceived, help: "Secrets that were sent and not received, as far as can be told."},
	{name: refusals, label: "code", kinds: codes(client.Refusals), help: "Peers that proved a key and were refused."},
	{name: approvals, label: "outcome", kinds: []string{approved, string(client.WasDenied), string(client.ApprovalTimedOut), string(client.PeerGone), other},
		help: "Connections that waited for an approval, when their waiting was over."},
	{name: checks, label: "result", kinds: []string{succeeded, failed, killed, stopped, notStarted}, help: "Checks of clients."},
	{name: checkSeconds, unit: seconds, help: "The time that checkers have run, in all."},
	{name: saves, label: "result", kinds: []string{succeeded, failed}, help: "Times that the state was saved."},
	{name: saveSeconds, unit: seconds, help: "The time that saving the state took, in all."},
	{name: reloads, label: "result", kinds: []string{succeeded, failed}, help: "Times that the configuration was read again."},
	{name: eventsDropped, help: "Refusals that were not told of, for there were too many; they are in no other number."},
}

func codes(refusals []client.Refusal) (codes []string) {
	for _, refusal := range refusals {
		codes = append(codes, string(refusal))
	}
	return codes
}

// names are those of the row's values.
func (s *statistic) names() (names []string) {
	if s.kinds == nil {
		return []string{s.name}
	}
	for _, kind := range s.kinds {
		names = append(names, of(s.name, kind))
	}
	return names
}

func of(name, kind string) string { return name + "." + kind }

// List is what there is to know of each value, in the order of the table.
func List() (all []dbusapi.Statistic) {
	for i := range table {
		s := &table[i]
		kind := dbusapi.Counter
		if s.now != nil {
			kind = dbusapi.Gauge
		}
		for _, name := range s.names() {
			all = append(all, dbusapi.Statistic{Name: name, Type: kind, Unit: s.unit, Label: s.label, Help: s.help})
		}
	}
	return all
}

// Statistics are the values since the start of the server.
type Statistics struct {
	counters  map[string]*atomic.Uint64 // by their names; those of seconds count nanoseconds
	strangers func() int
}

// New begins at zero. The function gives the number of strangers whenever that is
// asked for.
func New(strangers func() int) *Statistics {
	s := &Statistics{counters: make(map[string]*atomic.Uint64), strangers: strangers}
	for i := range table {
		if table[i].now != nil {
			continue
		}
		for _, name := range table[i].names() {
			s.counters[name] = new(atomic.Uint64)
		}
	}
	return s
}

// add counts something that is in the table.
func (s *Statistics) add(name string, n uint64) {
	if counter, ok := s.counters[name]; ok {
		counter.Add(n)
	}
}

func (s *Statistics) addTime(name string, d time.Duration) { s.add(name, uint64(max(d, 0))) }

// outcome is the kind for something that may go wrong.
func outcome(err error) string {
	if err != nil {
		return failed
	}
	return succeeded
}

// Values are all values at this moment, by their names.
func (s *Statistics) Values() dbusapi.Statistics {
	values := make(dbusapi.Statistics, len(s.counters))
	for i := range table {
		for _, name := range table[i].names() {
			values[name] = table[i].value(s, name)
		}
	}
	return values
}

func (d *statistic) value(s *Statistics, name string) any {
	switch {
	case d.now != nil:
		return d.now(s)
	case d.unit == seconds:
		return time.Duration(s.counters[name].Load()).Seconds()
	}
	return s.counters[name].Load()
}
