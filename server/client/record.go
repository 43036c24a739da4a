// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/netip"
	"time"
)

// Record is what must survive of one client. Configured tells what the
// configuration said when Settings were last merged with it; a setting that
// the configuration changes since then overrides one changed at run time. The
// secret of Configured is the key under which a secret set at run time is kept.
//
// A record stays when its client goes, so that the client is what it was when
// it comes back.
type Record struct {
	Settings
	State
	Configured Settings
	// Word is what the client's own section said last of its validity.
	Word Word
	Standing
	// Sources are those that it fetched its secret from, the latest last; see [SourceOf].
	Sources []netip.Prefix
	// Handed are the hand-outs on record, the latest last.
	Handed []Handed
	// Grants are what people have granted; none to a disabled client.
	Grants grants
	// Ahead are the approvals that people have given in advance; none to a disabled client.
	Ahead grants
	// Gone is since when the configuration has no section of that name; zero
	// while it has one.
	Gone time.Time
	// Dropped says that the record is to be deleted.
	Dropped bool
}

// Word is what a person wrote as enabled in a client's own section.
type Word string

// The words. That the line is missing is none: it may have been lost. Of a client
// that is taken over from another server only what was in force is known, and not
// whose word it was: it is as it is now, until it changes.
const (
	NoWord      Word = ""
	WordYes     Word = "yes"
	WordNo      Word = "no"
	UnknownWord Word = "unknown"
)

func (s *Settings) word() Word {
	switch {
	case !s.EnabledOwn:
		return NoWord
	case s.Enabled:
		return WordYes
	}
	return WordNo
}

// newRecord begins the life of a client that the server has not met before.
func newRecord(settings Settings, now time.Time) Record {
	r := Record{
		Settings: settings, Configured: settings, Word: settings.word(),
		State: State{Created: now, LastEnabled: now, Expires: now.Add(settings.Timeout), LastCheckerStatus: NeverChecked},
	}
	r.Settings.Enabled = true
	return r
}

// judge draws the consequences of the record's standing. This is the one place
// where it is worked out whether a client is enabled.
func (r *Record) judge() {
	against := r.against(r.key())
	r.Enabled = len(against) == 0
	switch {
	case r.Enabled:
		r.DisabledSince, r.DisabledBecause, r.DisabledBy = time.Time{}, "", Actor{}
	case r.DisabledBecause == "":
		first := against[0]
		r.DisabledSince, r.DisabledBecause, r.DisabledBy = first.At, first.Reason, first.By
	}
	if !r.Enabled {
		r.Expires, r.Absence, r.Borrowed = time.Time{}, PlannedAbsence{}, Borrowed{}
		r.Grants, r.Ahead = nil, nil
	}
}

// Judged is the record with all that follows from its standing.
func (r Record) Judged() Record {
	r.judge()
	return r
}

// raise is the part of becoming enabled that is saved. It reports whether the client
// is enabled then: what is unseen goes on to bind it.
func (r *Record) raise(now time.Time, unseen unseen) bool {
	r.Standing = r.Standing.raise(r.Name, r.key(), unseen)
	r.judge()
	if r.Enabled {
		r.LastEnabled = now
		r.Expires = now.Add(r.probation())
	}
	return r.Enabled
}

// Removed reports whether the client was removed at run time.
func (r *Record) Removed() bool { return r.removes(r.key()) }

// absent reports whether there is no client, but only its record.
func (r *Record) absent() bool { return r.Dropped || !r.Gone.IsZero() || r.Removed() }

// lapsed reports whether the client's time has run out, although nobody noted it,
// as it was gone.
func (r *Record) lapsed(now time.Time) bool {
	return r.Enabled && !r.graceful() && !r.Expires.After(now)
}

// graceful reports whether a restart gives the client another timeout.
func (r *Record) graceful() bool { return r.LastCheckerStatus == 0 && !r.GraceSpent }

// blameless reports whether nothing would be forgotten with the record but what
// the server may learn anew.
func (r *Record) blameless(now time.Time) bool {
	return len(r.facts()) == 0 && r.graceful() && !r.DeniedUntil.After(now)
}

// moveExpiry moves the expiry by what the timeout became longer or shorter.
func (r *Record) moveExpiry(before time.Duration) {
	if !r.Expires.IsZero() {
		r.Expires = r.Expires.Add(r.Timeout - before)
	}
}
