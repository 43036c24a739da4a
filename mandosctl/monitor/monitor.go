// SPDX-License-Identifier: Apache-2.0

// Package monitor is the full-screen view: the clients live, what is urgent on
// top, what happens below, and a key for everything that one may want to do.
//
// Everything that is seen follows from a [model]. What comes from outside, keys,
// events and the clock, changes it in update.go and keys.go, and never waits; what
// is asked of the server is done aside, in actions.go. The screens are in view.go,
// list.go and pages.go.
package monitor

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"mandos/dbusapi"
	"mandos/mandosctl/console"
)

// ErrNoTerminal is returned where there is no terminal to show anything on.
var ErrNoTerminal = errors.New("the monitor needs a terminal; elsewhere use \"mandosctl watch\" or \"mandosctl list\"")

// Run shows the clients of the server on the bus at that address until somebody
// has seen enough, or ctx ends.
func Run(ctx context.Context, c *console.Console, bus string) error {
	if !c.Interactive {
		return ErrNoTerminal
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan heard, maxHeard)
	failed := make(chan error, 1)
	go func() {
		failed <- dbusapi.Follow(ctx, bus, true, nil, func(server *dbusapi.Connection, e dbusapi.Event) error {
			select {
			case events <- heard{server, e}:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	m := newModel(ctx, events, failed, c.Palette, time.Now())
	end, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(c.In), tea.WithOutput(c.Out)).Run()
	if end, ok := end.(*model); ok && end.err != nil {
		return end.err
	}
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// heard is an event with the connection that it came over.
type heard struct {
	server *dbusapi.Connection
	event  dbusapi.Event
}

// maxHeard bounds the events that are taken in at once.
const maxHeard = 1024
