// SPDX-License-Identifier: Apache-2.0

package statistics

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"mandos/server/client"
	"mandos/server/keytls"
)

// Tell counts an event of the registry's.
func (s *Statistics) Tell(event client.Event) {
	switch event.Kind {
	case client.SecretSent:
		s.add(handouts, 1)
	case client.SecretNotReceived:
		s.add(notReceived, 1)
	case client.Rejected:
		s.add(of(refusals, string(event.Refusal)), 1)
	case client.NotFound:
		s.add(of(refusals, string(client.IsNotFound)), 1)
	case client.ApprovalOver:
		s.add(of(approvals, approvalOutcome(event.Refusal)), 1)
	case client.CheckerNotStarted:
		s.add(of(checks, notStarted), 1)
	case client.EventsDropped:
		s.add(eventsDropped, uint64(event.Dropped))
	}
}

func approvalOutcome(refusal client.Refusal) string {
	switch refusal {
	case "":
		return approved
	case client.WasDenied, client.ApprovalTimedOut, client.PeerGone:
		return string(refusal)
	}
	return other
}

// Connected counts a connection that was accepted.
func (s *Statistics) Connected() { s.add(connections, 1) }

// Evicted counts a connection that was closed to make room.
func (s *Statistics) Evicted() { s.add(evictions, 1) }

// NotAClient counts a peer that does not begin as a Mandos client.
func (s *Statistics) NotAClient(err error) { s.handshakeFailed(err, notAClient) }

// HandshakeFailed counts a peer that proves no key.
func (s *Statistics) HandshakeFailed(err error) { s.handshakeFailed(err, disconnected) }

// handshakeFailed counts a failure as what the error says, or else as that kind.
func (s *Statistics) handshakeFailed(err error, kind string) {
	var alert *keytls.AlertError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		kind = timedOut
	case errors.Is(err, net.ErrClosed):
		kind = evicted
	case errors.As(err, &alert) && alert.Received:
		kind = alertReceived
	case alert != nil:
		kind = alertSent
	}
	s.add(of(handshakeFailures, kind), 1)
}

// Reloaded counts a time that the configuration was read again.
func (s *Statistics) Reloaded(err error) { s.add(of(reloads, outcome(err)), 1) }

// Checker counts and times what a checker does.
func (s *Statistics) Checker(checker client.Checker) client.Checker { return timedChecker{checker, s} }

type timedChecker struct {
	client.Checker
	statistics *Statistics
}

// Check is part of [client.Checker]. A checker that does not start is counted when the
// registry tells of it, as it does as well of one that was not even tried.
func (c timedChecker) Check(ctx context.Context, name, command string) (client.CheckResult, error) {
	start := time.Now()
	result, err := c.Checker.Check(ctx, name, command)
	c.statistics.addTime(checkSeconds, time.Since(start))
	switch {
	case ctx.Err() != nil:
		c.statistics.add(of(checks, stopped), 1)
	case err != nil:
	case result.OK():
		c.statistics.add(of(checks, succeeded), 1)
	case result.Signal != 0:
		c.statistics.add(of(checks, killed), 1)
	default:
		c.statistics.add(of(checks, failed), 1)
	}
	return result, err
}

// Journal counts and times what a journal does.
func (s *Statistics) Journal(journal client.Journal) client.Journal { return timedJournal{journal, s} }

type timedJournal struct {
	journal    client.Journal
	statistics *Statistics
}

// Save is part of [client.Journal].
func (j timedJournal) Save(records []client.Record) error {
	return j.timed(func() error { return j.journal.Save(records) })
}

// SaveServer is part of [client.Journal].
func (j timedJournal) SaveServer(record client.ServerRecord) error {
	return j.timed(func() error { return j.journal.SaveServer(record) })
}

func (j timedJournal) timed(save func() error) error {
	start := time.Now()
	err := save()
	j.statistics.addTime(saveSeconds, time.Since(start))
	j.statistics.add(of(saves, outcome(err)), 1)
	return err
}
