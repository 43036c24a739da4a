// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"mandos/dbusapi"
)

// What comes from outside, besides keys and the size of the terminal.
type (
	tick       time.Time
	heardMsg   []heard
	failedMsg  struct{ err error }
	doneMsg    string // what came of an action
	historyMsg struct {
		client  string
		history []dbusapi.Event
	}
)

// Init is part of [tea.Model].
func (m *model) Init() tea.Cmd { return tea.Batch(m.listen, m.watchFailure, nextTick()) }

func nextTick() tea.Cmd {
	return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tick(t) })
}

// listen waits for events, and takes all that have come by then.
func (m *model) listen() tea.Msg {
	select {
	case first := <-m.events:
		all := heardMsg{first}
		for len(all) < maxHeard {
			select {
			case next := <-m.events:
				all = append(all, next)
			default:
				return all
			}
		}
		return all
	case <-m.ctx.Done():
		return nil
	}
}

func (m *model) watchFailure() tea.Msg {
	select {
	case err := <-m.failed:
		return failedMsg{err}
	case <-m.ctx.Done():
		return nil
	}
}

// Update is part of [tea.Model].
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tick:
		m.now = time.Time(msg)
		m.arrange()
		return m, nextTick()
	case heardMsg:
		m.now = time.Now()
		for _, h := range msg {
			m.hear(h)
		}
		m.arrange()
		return m, m.listen
	case failedMsg:
		m.err = msg.err
		return m, tea.Quit
	case doneMsg:
		m.say(string(msg))
	case historyMsg:
		if msg.client == m.selected {
			m.history = msg.history
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	case tea.PasteMsg:
		if m.searching {
			m.search += msg.Content
			m.arrange()
		}
	}
	return m, nil
}

// hear takes in one event.
func (m *model) hear(h heard) {
	e := h.event
	if e.Kind != dbusapi.Refreshed && !m.expected(&e) {
		m.record(e)
	}
	switch {
	case e.Kind == dbusapi.ServerUp:
		m.server, m.away, m.lockdown = h.server, "", e.Lockdown
		clear(m.clients)
		for _, c := range e.Clients {
			m.clients[c.Name] = c
		}
	case e.Kind == dbusapi.LockdownOn, e.Kind == dbusapi.LockdownOff:
		m.lockdown = e.Kind == dbusapi.LockdownOn
	case e.Kind == dbusapi.ServerDown:
		m.goAway("no Mandos server is on the bus")
	case e.Kind == dbusapi.BusLost:
		m.goAway("the bus cannot be reached")
	case e.Kind == dbusapi.Removed:
		delete(m.clients, e.Client)
	case e.Now.Name != "":
		m.clients[e.Client] = e.Now
	}
}

// expected reports whether an event is the server's being there from the beginning on,
// which is no news. That it is not there is.
func (m *model) expected(e *dbusapi.Event) bool {
	first := m.away == looking
	return first && e.Kind == dbusapi.ServerUp
}

func (m *model) goAway(why string) {
	m.server, m.away = nil, fmt.Sprintf("%s since %s; waiting", why, m.now.Local().Format(time.TimeOnly))
	clear(m.clients)
}
