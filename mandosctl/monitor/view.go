// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
)

// The lines around a page: the head above it and the foot below it.
const surroundings = 2

// View is part of [tea.Model].
func (m *model) View() tea.View {
	lines := []string{m.head()}
	lines = append(lines, m.body()...)
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:max(m.height-1, 1)], m.foot())
	view := tea.NewView(strings.Join(lines, "\n"))
	view.AltScreen = true
	view.WindowTitle = "Mandos"
	return view
}

// body is the page without head and foot, at most as many lines as fit.
func (m *model) body() []string {
	if m.page == listPage {
		return m.list()
	}
	lines := m.lines()
	top := min(m.top, m.lastTop())
	return lines[top:min(top+m.pageLines(), len(lines))]
}

// lines are all lines of a page that is longer than the screen, or not.
func (m *model) lines() []string {
	switch m.page {
	case detailsPage:
		return m.details()
	case eventsPage:
		return m.allEvents()
	}
	return m.help()
}

// pageLines is how many lines of a page fit, or clients of the list.
func (m *model) pageLines() int {
	fit := m.height - surroundings
	if m.page == listPage {
		fit -= m.eventLines() + 2
	}
	return max(fit, 1)
}

// lastTop is how far one can go down a page.
func (m *model) lastTop() int {
	if m.page == listPage {
		return 0
	}
	return max(len(m.lines())-m.pageLines(), 0)
}

// head says how everything stands.
func (m *model) head() string {
	clock := m.now.Local().Format(time.TimeOnly)
	text := "Mandos  "
	if m.away != "" {
		text += m.away
	} else {
		text += m.counts()
	}
	if m.lockdown && m.away == "" {
		text = "Mandos  LOCKDOWN, nobody gets a secret  " + m.counts()
	}
	paint := m.colours.Reverse
	if m.away != "" || m.lockdown {
		paint = m.colours.ReverseBad
	}
	room := m.width - len(clock) - 3
	return paint(" " + fit(text, room) + " " + clock + " ")
}

func (m *model) counts() string {
	if len(m.clients) == 0 {
		return "no clients"
	}
	counts := make(map[clientinfo.State]int)
	for _, c := range m.clients {
		counts[clientinfo.StateOf(&c, m.now)]++
	}
	var parts []string
	for _, state := range clientinfo.States {
		if n := counts[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return fmt.Sprintf("%d clients: %s", len(m.clients), strings.Join(parts, ", "))
}

// foot says what one can do, or what came of it.
func (m *model) foot() string {
	switch {
	case m.searching:
		return fit("/"+m.search+"_", m.width)
	case m.message != "" && m.now.Before(m.messageUntil):
		return m.colours.Strong(fit(console.Printable(m.message), m.width))
	case m.page != listPage:
		return fit("Esc back  up/down scroll  ? help  q quit", m.width)
	case m.search != "":
		return fit(fmt.Sprintf("%d with %q  Esc all  / search again  ? help  q quit", len(m.shown), m.search), m.width)
	}
	hint := "a approve  d deny  + enable  - disable  c check  Enter details  / search  ? help  q quit"
	if console.Width(hint) > m.width {
		hint = "a approve  d deny  + enable  - disable  Enter details  / search  ? help  q quit"
	}
	return fit(hint, m.width)
}

// rule separates parts of the screen.
func (m *model) rule(title string) string {
	line := "── " + title + " "
	return m.colours.Faint(line + strings.Repeat("─", max(m.width-console.Width(line), 0)))
}

// fit makes a text exactly as wide as that, cutting or filling it.
func fit(text string, width int) string {
	if width <= 0 {
		return ""
	}
	text = ansi.Truncate(text, width, "…")
	return text + strings.Repeat(" ", width-console.Width(text))
}

// painted makes a text as wide as that and gives it a colour.
func painted(text string, width int, paint console.Paint) string {
	return paint(fit(text, width))
}
