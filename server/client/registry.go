// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Checker runs a shell command to its end and tells how it ended. When ctx ends
// it kills the command, with everything that the command started, before it
// returns. An error means that the command could not be started.
type Checker interface {
	Check(ctx context.Context, name, command string) (CheckResult, error)
}

// Journal keeps what must survive a restart.
type Journal interface {
	// Save stores the records durably, all or none, each in place of the
	// former record of that name. After an error either may be the case, but after an
	// [UnsavableError] all others are stored.
	Save([]Record) error
	// SaveServer stores the server's own record durably, in place of the former one.
	SaveServer(ServerRecord) error
}

// UnsavableError says why records cannot be saved at all, by their names.
type UnsavableError map[string]error

func (e UnsavableError) Error() string {
	names := slices.Sorted(maps.Keys(e))
	text := fmt.Sprintf("the state of client %s cannot be saved: %v", beginning(names[0]), e[names[0]])
	if len(names) > 1 {
		text += fmt.Sprintf(" (and that of %d more)", len(names)-1)
	}
	return text
}

// Registry holds the clients. All rules of their validity live here.
type Registry struct {
	checker Checker
	journal Journal
	wall    func() time.Time                  // the time of day; tests let it jump
	random  func(time.Duration) time.Duration // uniform in [0, n)

	mu         sync.Mutex
	clients    map[string]*client
	byPath     map[string]*client
	byIdentity finder[Identity]
	// byIdleFingerprint finds those who are known by their key ID.
	byIdleFingerprint finder[string]
	openPGP           int                 // how many clients have needsOpenPGP
	pending           int                 // on how many a connection waits for approval
	absent            map[string]absentee // what is known of clients that are not there
	// removed are the names of those whose section stands.
	removed      map[Identity][]string
	lockdown     *lockdown // nil if there is none
	massFailure  massFailure
	uplink       uplink
	stateUnsaved bool // saving failed the last time
	started      bool
	closed       bool
	queue        queue

	tell  []func(Event)
	idle  chan struct{} // closed when the queue's goroutine has ended
	stop  chan struct{}
	tasks sync.WaitGroup // running checks
}

// New makes an empty registry. Load fills it and Start sets it going.
func New(checker Checker, journal Journal) *Registry {
	return &Registry{
		checker:           checker,
		journal:           journal,
		wall:              time.Now,
		random:            rand.N[time.Duration],
		clients:           make(map[string]*client),
		byPath:            make(map[string]*client),
		byIdentity:        make(finder[Identity]),
		byIdleFingerprint: make(finder[string]),
		absent:            make(map[string]absentee),
		removed:           make(map[Identity][]string),
		queue:             newQueue(),
		idle:              make(chan struct{}),
		stop:              make(chan struct{}),
	}
}

// Subscribe adds one who is told every event, in order, one at a time. It must
// be called before Start. The subscriber must not block and must not wait for
// an answer of the registry's.
func (r *Registry) Subscribe(tell func(Event)) { r.tell = append(r.tell, tell) }

// Clients are all clients in the order of the configuration.
func (r *Registry) Clients() []View {
	r.mu.Lock()
	defer r.mu.Unlock()
	views := make([]View, 0, len(r.clients))
	for _, c := range r.ordered() {
		views = append(views, r.view(c))
	}
	return views
}

// Names are the names of all clients in the order of the configuration.
func (r *Registry) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.clients))
	for _, c := range r.ordered() {
		names = append(names, c.Name)
	}
	return names
}

// NamesWith are the names of the clients that have the key ID or the fingerprint, of
// which either may be empty, in the order of the configuration.
func (r *Registry) NamesWith(key Key) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*client
	for _, c := range r.clients {
		if key.KeyID != "" && c.KeyID == key.KeyID || key.Fingerprint != "" && c.Fingerprint == key.Fingerprint {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *client) int { return a.position - b.position })
	for _, c := range found {
		names = append(names, c.Name)
	}
	return names
}

// Client is the client of that name.
func (r *Registry) Client(name string) (View, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.viewOf(r.clients[name])
}

// ClientAt is the client with that D-Bus object path.
func (r *Registry) ClientAt(path string) (View, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.viewOf(r.byPath[path])
}

func (r *Registry) viewOf(c *client) (View, bool) {
	if c == nil {
		return View{}, false
	}
	return r.view(c), true
}

// Known reports whether a client, enabled or not, has that identity.
func (r *Registry) Known(id Identity) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lookup(id) != nil
}

// NeedsOpenPGP reports whether a client can prove itself with nothing but an OpenPGP
// key. A disabled one counts, and one that was lowered and is not there any more: only
// who could prove itself is told apart from a stranger, and refused for what it is.
// It costs no more with many clients.
func (r *Registry) NeedsOpenPGP() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.openPGP > 0
}

// countOpenPGP keeps the count that NeedsOpenPGP looks at, after c has changed.
func (r *Registry) countOpenPGP(c *client) {
	needs := !c.gone && c.identity().Kind == OpenPGPKey
	switch {
	case needs && !c.needsOpenPGP:
		r.openPGP++
	case !needs && c.needsOpenPGP:
		r.openPGP--
	}
	c.needsOpenPGP = needs
}

// Pending is how many clients there are, and on how many a connection waits for
// approval.
func (r *Registry) Pending() (clients, pending int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clients), r.pending
}

// Counts is Pending, and how many clients are enabled, which it has to count.
func (r *Registry) Counts() (clients, enabled, pending int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		if c.Enabled {
			enabled++
		}
	}
	return len(r.clients), enabled, r.pending
}

func (r *Registry) lookup(id Identity) *client { return r.byIdentity.first(id) }

func (r *Registry) ordered() []*client {
	all := make([]*client, 0, len(r.clients))
	for _, c := range r.clients {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *client) int { return a.position - b.position })
	return all
}

// insert makes the client findable.
func (r *Registry) insert(c *client) {
	r.clients[c.Name] = c
	r.byPath[c.objectPath] = c
	r.index(c)
	r.countOpenPGP(c)
}

// beginning is what an error shows of a name.
func beginning(name string) string {
	const longest = 60
	if len(name) <= longest {
		return name
	}
	return strings.ToValidUTF8(name[:longest], "") + "..."
}

// finder finds clients by something that several of them may have; in the order of
// the configuration.
type finder[K comparable] map[K][]*client

// first is the first client that has it, or nil.
func (f finder[K]) first(key K) *client {
	if clients := f[key]; len(clients) > 0 {
		return clients[0]
	}
	return nil
}

// add makes c findable by key. The zero key finds nobody.
func (f finder[K]) add(key K, c *client) {
	if key == *new(K) {
		return
	}
	f[key] = append(f[key], c)
	slices.SortFunc(f[key], func(a, b *client) int { return a.position - b.position })
}

func (f finder[K]) remove(key K, c *client) {
	f[key] = slices.DeleteFunc(f[key], func(o *client) bool { return o == c })
	if len(f[key]) == 0 {
		delete(f, key)
	}
}

func (r *Registry) index(c *client) {
	r.byIdentity.add(c.identity(), c)
	r.byIdleFingerprint.add(c.idleFingerprint(), c)
}

func (r *Registry) unindex(c *client) {
	r.byIdentity.remove(c.identity(), c)
	r.byIdleFingerprint.remove(c.idleFingerprint(), c)
}

// reindex sorts out anew who is found by what.
func (r *Registry) reindex() {
	clear(r.byIdentity)
	clear(r.byIdleFingerprint)
	for _, c := range r.ordered() {
		r.index(c)
	}
}

// drop ends the client's life: nothing finds it any more, its timers and
// checker stop, and those who wait for it are refused.
func (r *Registry) drop(c *client) {
	delete(r.clients, c.Name)
	delete(r.byPath, c.objectPath)
	r.unindex(c)
	if c.pending > 0 {
		r.pending--
	}
	c.gone = true
	r.lookAtFailures()
	r.countOpenPGP(c)
	r.idleTimers(c)
	r.stopChecker(c)
	r.stirAllOfKey(c)
}

// NoClientError says that there is no client of that name.
type NoClientError struct{ Name string }

func (e *NoClientError) Error() string { return fmt.Sprintf("no client is named %q", e.Name) }
