// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
	"mandos/mandosctl/humantime"
)

// details are all about the selected client.
func (m *model) details() []string {
	c, ok := m.client()
	if !ok {
		return []string{"", "  " + m.selected + " is gone."}
	}
	lines := []string{m.colours.Strong(fit("  "+console.Printable(c.Name), m.width))}
	for i, line := range clientinfo.Details(&c, m.now, m.when) {
		paint := m.colours.Plain
		if i == 0 {
			paint = m.colours.Tone(clientinfo.StateOf(&c, m.now).Tone())
		}
		name := line.Name
		for _, part := range wrapped(console.Printable(line.Value), m.width-nameColumn) {
			lines = append(lines, fmt.Sprintf("  %-17s ", name)+paint(part))
			name = ""
		}
	}
	lines = append(lines, "", m.rule("what happened to it"))
	for i := range m.history {
		lines = append(lines, m.event(&m.history[i], false))
	}
	return lines
}

// nameColumn is the width of what stands before the values of the details.
const nameColumn = 20

// wrapped breaks a text into lines that are no wider than that.
func wrapped(text string, width int) []string {
	return strings.Split(ansi.Wrap(text, max(width, 1), ""), "\n")
}

// when writes a time with how far it is.
func (m *model) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s (%s)", humantime.Relative(t, m.now), humantime.Absolute(t))
}

func (m *model) allEvents() []string {
	lines := []string{m.colours.Strong("  what happened since the monitor began")}
	told := m.told()
	for i := range told {
		lines = append(lines, m.event(&told[i], true))
	}
	return lines
}

// event is the line of one event, with the day if it was another one.
func (m *model) event(h *dbusapi.Event, name bool) string {
	at := h.Time.Local()
	text := at.Format(time.TimeOnly) + "  "
	if at.Format(time.DateOnly) != m.now.Local().Format(time.DateOnly) {
		text = at.Format("Jan _2 15:04") + "  "
	}
	if name && h.Client != "" {
		text += console.Printable(h.Client) + "  "
	}
	return "  " + painted(text+console.Printable(clientinfo.Sentence(h)), m.width-2, m.colours.Tone(clientinfo.ToneOf(h)))
}

func (m *model) help() []string {
	lines := []string{m.colours.Strong("  keys"), ""}
	for _, b := range bindings() {
		lines = append(lines, fit(fmt.Sprintf("  %-10s%s", b.name, b.help), m.width))
	}
	return append(lines, "",
		"  What is urgent is on top: clients that wait for approval, that expire soon,",
		"  whose checks fail, that expired. Then come those that are fine, and those that",
		"  somebody disabled.")
}
