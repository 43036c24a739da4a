// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// absentee is a client that is not there: gone from the configuration, or removed
// at run time while its section stands.
type absentee struct {
	Record
	position int // of the section
}

// Absentee is a client that is not there, and what is known of it.
type Absentee struct {
	Name string
	Key  Key
	// GoneSince is since when the configuration has no section of that name; zero
	// for one that was removed at run time and whose section stands.
	GoneSince time.Time
	// Because is why it gets nothing if it comes back, By and Since by whom and
	// since when; zero if nothing is against it. A denial, too, has its end.
	Because     Reason
	By          Actor
	Since       time.Time
	DeniedUntil time.Time
}

// Absent are the clients that are not there, by name.
func (r *Registry) Absent() []Absentee {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.wall()
	all := make([]Absentee, 0, len(r.absent))
	for _, away := range r.absent {
		all = append(all, away.describe(now))
	}
	slices.SortFunc(all, func(a, b Absentee) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (a *absentee) describe(now time.Time) Absentee {
	described := Absentee{Name: a.Name, Key: a.key(), GoneSince: a.Gone}
	if a.DeniedUntil.After(now) {
		described.DeniedUntil = a.DeniedUntil
	}
	against := a.against(a.key())
	if i := slices.IndexFunc(against, func(l Lowering) bool { return l.Reason == RemovedByAdministrator }); i >= 0 {
		against = against[i:]
	}
	switch {
	case len(against) > 0:
		described.Because, described.By, described.Since = against[0].Reason, against[0].By, against[0].At
	case a.lapsed(now):
		described.Because, described.By, described.Since = TimedOut, ByItself, a.Expires
	}
	return described
}

// needsOpenPGP reports whether somebody lowered the client, who must not forget it,
// and who is told of it only if it is offered what its key is for.
func (a *absentee) needsOpenPGP() bool {
	return a.identity().Kind == OpenPGPKey && len(a.against(a.key())) > 0
}

// setAbsent and dropAbsent keep who is absent, and the count that NeedsOpenPGP looks
// at.
func (r *Registry) setAbsent(name string, away absentee) {
	r.dropAbsent(name)
	r.absent[name] = away
	if id := away.identity(); away.Gone.IsZero() && id != (Identity{}) {
		r.removed[id] = append(r.removed[id], name)
	}
	if away.needsOpenPGP() {
		r.openPGP++
	}
}

func (r *Registry) dropAbsent(name string) {
	away := r.absent[name]
	if away.needsOpenPGP() {
		r.openPGP--
	}
	id := away.identity()
	r.removed[id] = slices.DeleteFunc(r.removed[id], func(other string) bool { return other == name })
	if len(r.removed[id]) == 0 {
		delete(r.removed, id)
	}
	delete(r.absent, name)
}

// leave takes a client out and keeps what is known of it.
func (r *Registry) leave(c *client) {
	away := absentee{r.recordOf(c), c.position}
	away.judge()
	r.setAbsent(c.Name, away)
	r.drop(c)
}

// bringBack makes a client of one that was removed, because somebody has enabled it.
func (r *Registry) bringBack(away absentee, by Actor) []Event {
	r.dropAbsent(away.Name)
	c := newClient(away.Record, r.freeObjectPath(away.Name), away.position)
	r.insert(c)
	r.restoreDenial(c)
	enabled := r.revive(c, by)
	enabled.Properties = nil // it is shown with all of them
	return []Event{{Kind: Added, Time: enabled.Time, Client: enabled.Client, By: by}, enabled}
}

// Forget forgets on purpose what is known of a client that is gone. It refuses as
// long as a section has that name or the client's key.
func (r *Registry) Forget(ctx context.Context, by Actor, name string) error {
	var forgotten Record
	return r.propose(ctx, &change{
		name: name,
		plan: func(saved recordSource) ([]Record, error) {
			record, ok := saved(name)
			if !ok {
				return nil, &NoClientError{name}
			}
			if section, ok := r.sectionFor(&record); ok {
				return nil, &StillThereError{Name: name, Section: section}
			}
			forgotten = record
			return []Record{{Settings: Settings{Name: name}, Dropped: true}}, nil
		},
		apply: func() []Event {
			if _, ok := r.absent[name]; !ok {
				return nil
			}
			r.dropAbsent(name)
			return []Event{{Kind: Forgotten, Time: r.wall(), Client: View{Settings: forgotten.Settings, State: forgotten.State}, By: by}}
		},
	})
}

// sectionFor is the name of a section that has the record's name or key.
func (r *Registry) sectionFor(record *Record) (name string, ok bool) {
	if record.Gone.IsZero() {
		return record.Name, true
	}
	keys := []Key{record.key()}
	for _, l := range record.facts() {
		keys = append(keys, l.Key)
	}
	for _, other := range r.records(r.record) {
		if other.Gone.IsZero() && slices.ContainsFunc(keys, other.key().same) {
			return other.Name, true
		}
	}
	return "", false
}

// forgotten tells of records that are too many, and has them deleted.
func (r *Registry) forgotten(names []string) (events []Event) {
	for _, name := range names {
		r.dropAbsent(name)
		r.queue.unsaved[name] = struct{}{}
		events = append(events, Event{Kind: Forgotten, Time: r.wall(), Client: View{Settings: Settings{Name: name}}, By: ByItself})
	}
	return events
}

// NoSectionError says that a client cannot be enabled, as it is gone from the
// configuration.
type NoSectionError struct{ Name string }

func (e *NoSectionError) Error() string {
	return fmt.Sprintf("client %s has no section in the configuration; write it again and reload, and enable it then", e.Name)
}

// StillThereError says that a client cannot be forgotten, as it has a section.
type StillThereError struct{ Name, Section string }

func (e *StillThereError) Error() string {
	if e.Name == e.Section {
		return fmt.Sprintf("client %s has a section in the configuration; take that out and reload, and forget it then", e.Name)
	}
	return fmt.Sprintf("the key of client %s is in the section [%s] of the configuration; take that out and reload, and forget it then", e.Name, e.Section)
}

// VanishedError says that a configuration has no client at all, although some
// were in the one before. That is hardly meant: a file is missing.
type VanishedError struct{ Names []string }

func (e *VanishedError) Error() string {
	return "the configuration has no client, and the one before had " + Enumerate(e.Names)
}

// Enumerate lists names, the first of them if they are many.
func Enumerate(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
}

func vanished(configured []Settings, records []Record) error {
	if len(configured) > 0 {
		return nil
	}
	if names := Missing(configured, records); len(names) > 0 {
		return &VanishedError{names}
	}
	return nil
}

// Missing are the names of the clients that would be gone with this
// configuration. Those that were removed at run time are gone already.
func Missing(configured []Settings, records []Record) (names []string) {
	has := make(map[string]bool, len(configured))
	for i := range configured {
		has[configured[i].Name] = true
	}
	for i := range records {
		if record := &records[i]; !record.absent() && !has[record.Name] {
			names = append(names, record.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Missing is the function of that name for the clients there are.
func (r *Registry) Missing(configured []Settings) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Missing(configured, r.records(r.record))
}
