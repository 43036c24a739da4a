// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"slices"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"mandos/dbusapi"
)

// binding is what some keys do. Those that do something to a client are the
// same as in mandos-monitor(8).
type binding struct {
	keys []string
	name string // of the keys in the help
	help string
	do   func(*model) tea.Cmd
}

// bindings are all keys, in the order of the help.
func bindings() []binding {
	return []binding{
		{[]string{"a"}, "a", "approve the client that waits", func(m *model) tea.Cmd { return m.decide("approved", approve) }},
		{[]string{"d"}, "d", "deny the client that waits", func(m *model) tea.Cmd { return m.decide("denied", deny) }},
		{[]string{"+", "e"}, "+  e", "enable the client", func(m *model) tea.Cmd { return m.act("enabled", (*dbusapi.Connection).Enable) }},
		{[]string{"-", "x"}, "-  x", "disable the client", func(m *model) tea.Cmd { return m.act("disabled", (*dbusapi.Connection).Disable) }},
		{[]string{"s", "c"}, "s  c", "check the client now", func(m *model) tea.Cmd { return m.act("being checked", (*dbusapi.Connection).StartChecker) }},
		{[]string{"S"}, "S", "stop the running check", func(m *model) tea.Cmd { return m.act("no checker runs any more", (*dbusapi.Connection).StopChecker) }},
		{[]string{"C"}, "C", "vouch for the client, as if a check had succeeded", func(m *model) tea.Cmd { return m.act("taken as checked OK", (*dbusapi.Connection).CheckedOK) }},
		{nil, "", "", nil},
		{[]string{"up", "k", "ctrl+p"}, "up  k", "go up", func(m *model) tea.Cmd { return m.move(-1) }},
		{[]string{"down", "j", "ctrl+n"}, "down  j", "go down", func(m *model) tea.Cmd { return m.move(1) }},
		{[]string{"pgup", "b"}, "PgUp  b", "go up a screen", func(m *model) tea.Cmd { return m.move(-m.pageLines()) }},
		{[]string{"pgdown", "f", "space"}, "PgDn  f", "go down a screen", func(m *model) tea.Cmd { return m.move(m.pageLines()) }},
		{[]string{"home", "g"}, "Home  g", "go to the top, where the most urgent is", func(m *model) tea.Cmd { return m.move(-allTheWay) }},
		{[]string{"end", "G"}, "End  G", "go to the end", func(m *model) tea.Cmd { return m.move(allTheWay) }},
		{nil, "", "", nil},
		{[]string{"enter"}, "Enter", "all about the client, and back", (*model).toggleDetails},
		{[]string{"l"}, "l", "all events, and back", func(m *model) tea.Cmd { return m.toggle(eventsPage) }},
		{[]string{"v"}, "v", "also show checks that start and succeed, or not", (*model).toggleRoutine},
		{[]string{"/"}, "/", "search for names and hosts", (*model).startSearch},
		{[]string{"?", "h", "f1"}, "?  h", "this help, and back", func(m *model) tea.Cmd { return m.toggle(helpPage) }},
		{[]string{"esc"}, "Esc", "back to the list, and to all clients", (*model).back},
		{[]string{"ctrl+l"}, "Ctrl-L", "draw the screen anew", func(*model) tea.Cmd { return tea.ClearScreen }},
		{[]string{"q", "Q", "ctrl+c"}, "q", "quit", func(*model) tea.Cmd { return tea.Quit }},
	}
}

// press does what a key stands for.
func (m *model) press(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	m.message = "" // which was about the key before
	if m.searching && m.typed(msg) {
		return nil
	}
	for _, b := range bindings() {
		if slices.Contains(b.keys, key) {
			return b.do(m)
		}
	}
	return nil
}

// typed gives a key to the search, unless it is none that one types.
func (m *model) typed(msg tea.KeyPressMsg) bool {
	switch key := msg.String(); {
	case key == "enter":
		m.searching = false
	case key == "backspace":
		_, size := utf8.DecodeLastRuneInString(m.search)
		m.search = m.search[:len(m.search)-size]
	case key == "ctrl+u":
		m.search = ""
	case msg.Text != "":
		m.search += msg.Text
	default:
		return false
	}
	m.arrange()
	return true
}

// allTheWay is more lines than there can be.
const allTheWay = 1 << 30

// move goes up or down, in the list by clients and elsewhere by lines.
func (m *model) move(by int) tea.Cmd {
	if m.page == listPage {
		m.selectAt(m.position() + by)
		return nil
	}
	m.top = min(max(m.top+by, 0), m.lastTop())
	return nil
}

func (m *model) toggle(p page) tea.Cmd {
	if m.page == p {
		p = listPage
	}
	m.page, m.top = p, 0
	if p == eventsPage {
		m.top = m.lastTop()
	}
	return nil
}

func (m *model) toggleDetails() tea.Cmd {
	if _, ok := m.client(); !ok {
		return nil
	}
	m.toggle(detailsPage)
	if m.page != detailsPage {
		return nil
	}
	return m.askHistory()
}

func (m *model) toggleRoutine() tea.Cmd {
	m.routine = !m.routine
	if m.routine {
		m.say("showing checks that start and succeed as well")
	} else {
		m.say("leaving out checks that start and succeed")
	}
	return nil
}

func (m *model) startSearch() tea.Cmd {
	m.page, m.searching = listPage, true
	return nil
}

func (m *model) back() tea.Cmd {
	if m.page == listPage {
		m.search = ""
	}
	m.page, m.searching = listPage, false
	m.arrange()
	return nil
}
