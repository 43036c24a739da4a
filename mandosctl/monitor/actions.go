// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"mandos/dbusapi"
)

// patience is how long the server may take for an action.
const patience = 15 * time.Second

type action func(*dbusapi.Connection, context.Context, dbusapi.Client) error

func approve(s *dbusapi.Connection, ctx context.Context, c dbusapi.Client) error {
	return s.Approve(ctx, c, true)
}

func deny(s *dbusapi.Connection, ctx context.Context, c dbusapi.Client) error {
	return s.Approve(ctx, c, false)
}

// act does something to the selected client, and says what came of it.
func (m *model) act(done string, do action) tea.Cmd {
	c, ok := m.client()
	server := m.server
	if !ok || server == nil {
		m.say("no client is selected")
		return nil
	}
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		if err := do(server, ctx, c); err != nil {
			return doneMsg(c.Name + ": " + err.Error())
		}
		return doneMsg(c.Name + ": " + done)
	}
}

// decide approves or denies, which means something only to a client that waits.
func (m *model) decide(done string, do action) tea.Cmd {
	if c, ok := m.client(); ok && !c.ApprovalPending {
		m.say(c.Name + " does not wait for approval")
		return nil
	}
	return m.act(done, do)
}

// askHistory asks what happened to the selected client before. Other Mandos
// servers do not know.
func (m *model) askHistory() tea.Cmd {
	m.history = nil
	c, ok := m.client()
	server := m.server
	if !ok || server == nil {
		return nil
	}
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, patience)
		defer cancel()
		history, err := server.History(ctx, c)
		if err != nil {
			return nil
		}
		return historyMsg{c.Name, history}
	}
}
