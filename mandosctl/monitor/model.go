// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
)

// looking is why there is no server before one was looked for.
const looking = "looking for the server"

// page is what fills the screen.
type page int

const (
	listPage page = iota
	detailsPage
	eventsPage
	helpPage
)

// maxEvents bounds the events that are kept to look back at.
const maxEvents = 1000

// model is all that is known and seen.
type model struct {
	ctx     context.Context
	events  <-chan heard
	failed  <-chan error
	colours *console.Palette
	now     time.Time
	err     error // why the monitor ended

	width, height int
	page          page
	top           int // the first line shown of the page

	server   *dbusapi.Connection // nil while there is none
	away     string              // why there is none
	lockdown bool                // everybody is refused
	clients  map[string]dbusapi.Client
	shown    []row  // as searched for and in order
	selected string // the name of a client

	search    string
	searching bool // keys go into the search

	happened []dbusapi.Event
	routine  bool // whether events that go on all the time are shown
	history  []dbusapi.Event

	message      string
	messageUntil time.Time
}

// row is a client of the list, with how it stood when the list was made.
type row struct {
	*dbusapi.Client
	state clientinfo.State
}

func newModel(ctx context.Context, events <-chan heard, failed <-chan error, colours *console.Palette, now time.Time) *model {
	return &model{
		ctx: ctx, events: events, failed: failed, colours: colours, now: now,
		width: 80, height: 24, away: looking,
		clients: make(map[string]dbusapi.Client),
	}
}

// arrange makes the list anew: what is urgent first. The selected client stays
// so wherever it goes; if it is gone, one that was near takes its place.
func (m *model) arrange() {
	near := m.position()
	m.shown = m.shown[:0]
	for _, c := range m.clients {
		if m.search == "" || strings.Contains(strings.ToLower(c.Name+" "+c.Host), strings.ToLower(m.search)) {
			m.shown = append(m.shown, row{&c, clientinfo.StateOf(&c, m.now)})
		}
	}
	slices.SortFunc(m.shown, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(slices.Index(clientinfo.States, a.state), slices.Index(clientinfo.States, b.state)),
			clientinfo.ByName(a.Client, b.Client))
	})
	if m.position() < 0 {
		m.selectAt(max(near, 0))
	}
}

// position is the selected client's in the list, or -1.
func (m *model) position() int {
	return slices.IndexFunc(m.shown, func(r row) bool { return r.Name == m.selected })
}

// selectAt selects the client at a position, or the nearest there is.
func (m *model) selectAt(i int) {
	if len(m.shown) == 0 {
		return
	}
	m.selected = m.shown[min(max(i, 0), len(m.shown)-1)].Name
}

// client is the selected one.
func (m *model) client() (dbusapi.Client, bool) {
	c, ok := m.clients[m.selected]
	return c, ok && m.position() >= 0
}

func (m *model) say(message string) {
	m.message, m.messageUntil = message, m.now.Add(5*time.Second)
}

// record keeps an event to look back at.
func (m *model) record(h dbusapi.Event) {
	m.happened = append(m.happened, h)
	if len(m.happened) > maxEvents {
		m.happened = m.happened[len(m.happened)-maxEvents:]
	}
	if m.page == detailsPage && h.Client == m.selected {
		m.history = append(m.history, h)
	}
}

// told are the events to show.
func (m *model) told() []dbusapi.Event {
	if m.routine {
		return m.happened
	}
	var told []dbusapi.Event
	for i := range m.happened {
		if clientinfo.ToneOf(&m.happened[i]) != console.Routine {
			told = append(told, m.happened[i])
		}
	}
	return told
}
