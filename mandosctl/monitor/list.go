// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
	"mandos/mandosctl/humantime"
)

// The widths of the columns of fixed width: what the widest text in them takes.
const (
	stateWidth = 8
	timeWidth  = 10
)

// eventLines is how many events are shown below the list: a quarter of the
// screen, but not on one so low that the list needs every line.
func (m *model) eventLines() int {
	if m.height < 12 {
		return 0
	}
	return max(m.height/4, 3)
}

// list is the page with the clients, and the last events below.
func (m *model) list() []string {
	name, host := m.nameWidth(), m.hostWidth()
	header := []string{fit("NAME", name), fit("HOST", host), fit("STATE", stateWidth), fit("CHECKED OK", timeWidth), fit("EXPIRES", timeWidth), "REASON"}
	lines := []string{m.colours.Strong(fit("  "+columns(header), m.width))}
	first := m.firstShown()
	last := min(first+m.pageLines(), len(m.shown))
	for _, r := range m.shown[first:last] {
		lines = append(lines, m.row(r, name, host))
	}
	if len(m.shown) == 0 {
		lines = append(lines, "", "  "+m.nobody())
	}
	for len(lines) < m.pageLines()+1 {
		lines = append(lines, "")
	}
	return append(lines, m.lastEvents(last)...)
}

func (m *model) nobody() string {
	switch {
	case m.away != "":
		return "There is nothing to show without a server. It is looked for all the time."
	case m.search != "":
		return fmt.Sprintf("No client has %q in its name or host.", m.search)
	}
	return "The server has no clients. See mandosctl add --help."
}

// firstShown scrolls the list so that the selected client is in sight.
func (m *model) firstShown() int {
	fit, at := m.pageLines(), max(m.position(), 0)
	m.top = min(m.top, at, max(len(m.shown)-fit, 0))
	m.top = max(m.top, at-fit+1)
	return m.top
}

// nameWidth is that of the longest name, within a third of the screen.
func (m *model) nameWidth() int {
	width := len("NAME")
	for _, r := range m.shown {
		width = max(width, console.Width(console.Printable(r.Name)))
	}
	return min(width, max(m.width/3, len("NAME")))
}

// hostColumnFrom is how wide a screen must be for the hosts to be shown as well.
const hostColumnFrom = 160

// hostWidth is that of the longest host, within a quarter of the screen; 0 without
// the column.
func (m *model) hostWidth() int {
	if m.width < hostColumnFrom {
		return 0
	}
	width := len("HOST")
	for _, r := range m.shown {
		width = max(width, console.Width(console.Printable(r.Host)))
	}
	return min(width, m.width/4)
}

// columns puts cells side by side, but for those without any width.
func columns(cells []string) string {
	return strings.Join(slices.DeleteFunc(cells, func(cell string) bool { return cell == "" }), "  ")
}

func (m *model) row(r row, name, host int) string {
	marker, paint := "  ", m.colours.Tone(r.state.Tone())
	if r.Name == m.selected {
		marker = "> "
	}
	cells := columns([]string{
		fit(console.Printable(r.Name), name),
		fit(console.Printable(r.Host), host),
		painted(string(r.state), stateWidth, paint),
		fit(m.relative(r.LastCheckedOK, "never"), timeWidth),
		fit(m.relative(r.Expires, ""), timeWidth),
	})
	used := len(marker) + name + stateWidth + 2*timeWidth + 4*2
	if host > 0 {
		used += host + 2
	}
	line := cells + "  " + fit(m.reason(r), m.width-used)
	if r.Name == m.selected {
		return m.colours.Strong(marker) + line
	}
	return marker + line
}

func (m *model) relative(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return humantime.Relative(t, m.now)
}

// reason is why the client stands so. For one that waits, the countdown and the
// key that changes the outcome come first.
func (m *model) reason(r row) string {
	left := clientinfo.ApprovalDeadline(r.Client).Sub(m.now)
	switch {
	case r.state == clientinfo.Pending && left > 0 && r.ApprovedByDefault:
		return fmt.Sprintf("approved in %s: (d)eny?", humantime.Rough(left))
	case r.state == clientinfo.Pending && left > 0:
		return fmt.Sprintf("denied in %s: (a)pprove?", humantime.Rough(left))
	}
	return console.Printable(clientinfo.ReasonInFull(r.Client, m.now))
}

// lastEvents are the last things that happened, below a rule that tells how much
// of the list is out of sight.
func (m *model) lastEvents(lastShown int) []string {
	n := m.eventLines()
	title := "events"
	if below := len(m.shown) - lastShown; below > 0 || m.top > 0 {
		title = fmt.Sprintf("%d above, %d below ── events", m.top, below)
	}
	lines := []string{m.rule(title)}
	told := m.told()
	if len(told) == 0 && n > 0 {
		return append(lines, m.colours.Faint("  nothing worth telling since the monitor began; v shows checks as well"))
	}
	told = told[max(len(told)-n, 0):]
	for i := range told {
		lines = append(lines, m.event(&told[i], true))
	}
	return lines
}
