// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
)

var now = time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)

// filled is a model of a server with those clients, all well.
func filled(t testing.TB, names ...string) *model {
	t.Helper()
	m := newModel(t.Context(), nil, nil, console.NewPalette(false), now)
	up := dbusapi.Event{Kind: dbusapi.ServerUp}
	for _, name := range names {
		up.Clients = append(up.Clients, well(name))
	}
	m.hear(heard{new(dbusapi.Connection), up})
	m.arrange()
	return m
}

func well(name string) dbusapi.Client {
	return dbusapi.Client{Name: name, Host: name + ".example.org", Enabled: true, Timeout: 5 * time.Minute, Interval: time.Minute,
		Expires: now.Add(4 * time.Minute), LastCheckedOK: now.Add(-time.Minute), DisabledBecause: ""}
}

func (m *model) tell(kind dbusapi.EventKind, c dbusapi.Client) {
	m.hear(heard{m.server, dbusapi.Event{Kind: kind, Client: c.Name, Now: c}})
	m.arrange()
}

func (m *model) keys(keys ...string) {
	codes := map[string]rune{"up": tea.KeyUp, "down": tea.KeyDown, "end": tea.KeyEnd, "home": tea.KeyHome, "enter": tea.KeyEnter,
		"esc": tea.KeyEscape, "backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown}
	for _, key := range keys {
		press := tea.KeyPressMsg{Text: key, Code: []rune(key)[0]}
		if code, ok := codes[key]; ok {
			press = tea.KeyPressMsg{Code: code}
		}
		m.Update(press)
	}
}

func (m *model) listed() string {
	var names []string
	for _, r := range m.shown {
		name := r.Name
		if name == m.selected {
			name = ">" + name
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestSelectionStaysWithItsClient(t *testing.T) {
	m := filled(t, "a", "b", "c")
	want := func(sentence, want string) {
		t.Helper()
		if got := m.listed(); got != want {
			t.Errorf("%s: %s, want %s", sentence, got, want)
		}
	}
	want("at first the top is selected", ">a b c")
	pending := well("c")
	pending.ApprovalPending = true
	m.tell(dbusapi.Changed, pending)
	want("what becomes urgent comes to the top, and is not selected", "c >a b")
	m.keys("down")
	want("one goes down", "c a >b")
	m.keys("down")
	want("and no further than the end", "c a >b")
	m.tell(dbusapi.Added, well("aa"))
	want("a new client takes its place", "c a aa >b")
	m.tell(dbusapi.Removed, well("b"))
	want("when the selected one is gone, one near it is selected", "c a >aa")
	m.keys("home")
	want("home is the most urgent", ">c a aa")
	m.hear(heard{nil, dbusapi.Event{Kind: dbusapi.ServerDown}})
	m.arrange()
	want("without a server there is nobody", "")
	if m.server != nil || !strings.Contains(m.head(), "no Mandos server is on the bus since ") {
		t.Errorf("the head is %q", m.head())
	}
}

func TestSearchIsForNamesAndHosts(t *testing.T) {
	m := filled(t, "web-1", "Web-2", "nas")
	m.keys("/", "w", "E", "b")
	if got := m.listed(); got != "Web-2 >web-1" && got != ">Web-2 web-1" {
		t.Errorf("listed are %s", got)
	}
	m.keys("backspace", "backspace", "backspace", "n", "a", "s", ".", "enter")
	if got := m.listed(); got != ">nas" || m.searching {
		t.Errorf("listed are %s", got)
	}
	m.keys("q") // with the search over, this quits
	m.keys("esc")
	if len(m.shown) != 3 || m.search != "" {
		t.Errorf("listed are %s", m.listed())
	}
}

func TestEveryScreenFits(t *testing.T) {
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("host-with-a-long-name-%d.日本.example.org", i))
	}
	m := filled(t, names...)
	evil := well("evil\x1b[2J\nname")
	evil.Checker = strings.Repeat("long\x07 ", 60)
	m.tell(dbusapi.Added, evil)
	for i := range 20 {
		m.hear(heard{m.server, dbusapi.Event{
			Kind: dbusapi.Rejected, Client: names[i], Time: now.Add(-time.Duration(i) * 10 * time.Hour), Refusal: "\x1b]0;evil\x07", Address: "[::1]:4711",
		}})
	}
	for _, size := range [][2]int{{80, 24}, {200, 60}, {20, 6}, {1, 1}, {40, 12}, {300, 5}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		for _, page := range []page{listPage, detailsPage, eventsPage, helpPage} {
			m.page, m.top, m.selected = page, 0, evil.Name
			for range 3 {
				checkScreen(t, m, size[0], size[1])
				m.keys("pgdown")
			}
		}
	}
}

func checkScreen(t *testing.T, m *model, width, height int) {
	t.Helper()
	lines := strings.Split(m.View().Content, "\n")
	if len(lines) > max(height, 2) {
		t.Errorf("%dx%d: page %d has %d lines", width, height, m.page, len(lines))
	}
	for _, line := range lines {
		if console.Printable(line) != line {
			t.Errorf("%dx%d: %q steers the terminal", width, height, line)
		}
		if got := console.Width(line); got > width && width >= 80 {
			t.Errorf("%dx%d: %q is %d wide", width, height, line, got)
		}
	}
}

func TestCountdownTicks(t *testing.T) {
	m := filled(t, "a")
	waiting := well("a")
	waiting.ApprovalPending, waiting.LastApprovalRequest, waiting.ApprovalDelay = true, now, 30*time.Second
	m.tell(dbusapi.Changed, waiting)
	for seconds, want := range map[int]string{0: "denied in 30s: (a)pprove?", 29: "denied in 1s: (a)pprove?", 30: "waits for approval"} {
		m.now = now.Add(time.Duration(seconds) * time.Second)
		if got := m.View().Content; !strings.Contains(got, want) {
			t.Errorf("after %d s there is no %q:\n%s", seconds, want, got)
		}
	}
	waiting.ApprovedByDefault = true
	m.tell(dbusapi.Changed, waiting)
	m.now = now
	if got := m.View().Content; !strings.Contains(got, "approved in 30s: (d)eny?") {
		t.Errorf("the screen is\n%s", got)
	}
}

func TestOnlyWhoWaitsIsDecidedAbout(t *testing.T) {
	m := filled(t, "a")
	m.keys("a")
	if m.message != "a does not wait for approval" {
		t.Errorf("it says %q", m.message)
	}
}

func TestMessageGoesWithTheNextKey(t *testing.T) {
	m := filled(t, "a")
	m.keys("a")
	if got := m.foot(); !strings.Contains(got, "a does not wait for approval") {
		t.Errorf("the foot is %q", got)
	}
	m.keys("down")
	if got := m.foot(); !strings.Contains(got, "q quit") {
		t.Errorf("the foot is %q", got)
	}
}

func TestHintSaysHowToQuit(t *testing.T) {
	m := filled(t, "a")
	for _, width := range []int{80, 90, 200} {
		m.width = width
		for _, page := range []page{listPage, detailsPage, eventsPage, helpPage} {
			m.page = page
			if got := m.foot(); !strings.Contains(got, "q quit") || console.Width(got) != width {
				t.Errorf("at %d columns the foot of page %d is %q", width, page, got)
			}
		}
	}
}

func TestLossOfTheServerIsAmongTheEvents(t *testing.T) {
	m := filled(t, "a")
	if len(m.happened) != 0 {
		t.Errorf("that the server is there is news: %+v", m.happened)
	}
	m.hear(heard{nil, dbusapi.Event{Kind: dbusapi.ServerDown}})
	m.hear(heard{new(dbusapi.Connection), dbusapi.Event{Kind: dbusapi.ServerUp, Clients: []dbusapi.Client{well("a"), well("b")}}})
	m.hear(heard{nil, dbusapi.Event{Kind: dbusapi.BusLost, Error: "it closed the connection"}})
	want := []string{"server down", "server up: it has 2 clients", "bus lost: it closed the connection"}
	var got []string
	for i := range m.told() {
		got = append(got, clientinfo.Sentence(&m.happened[i]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("told is %q, want %q", got, want)
	}

	m = newModel(t.Context(), nil, nil, console.NewPalette(false), now)
	m.hear(heard{nil, dbusapi.Event{Kind: dbusapi.ServerDown}})
	m.hear(heard{new(dbusapi.Connection), dbusapi.Event{Kind: dbusapi.ServerUp}})
	if len(m.told()) != 2 {
		t.Errorf("that the server comes after the monitor is not told: %+v", m.told())
	}
}

func TestHostsHaveAColumnOnWideScreens(t *testing.T) {
	m := filled(t, "a")
	m.height = 24
	for width, want := range map[int]bool{80: false, 159: false, 160: true, 300: true} {
		m.width = width
		screen := m.View().Content
		if strings.Contains(screen, "  HOST") != want || strings.Contains(screen, "a.example.org") != want {
			t.Errorf("at %d columns:\n%s", width, screen)
		}
	}
}

func TestEventsAreBounded(t *testing.T) {
	m := filled(t, "a")
	for i := range maxEvents + 10 {
		m.record(dbusapi.Event{Kind: dbusapi.Rejected, Client: "a", Note: fmt.Sprint(i)})
	}
	if len(m.happened) != maxEvents || m.happened[0].Note != "10" {
		t.Errorf("%d events are kept from %s on", len(m.happened), m.happened[0].Note)
	}
}

func BenchmarkScreenOfTenThousand(b *testing.B) {
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("host%d", i))
	}
	m := filled(b, names...)
	for b.Loop() {
		m.arrange()
		m.View()
	}
}
