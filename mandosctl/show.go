// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
	"mandos/mandosctl/humantime"
	"mandos/mandosctl/jsonoutput"
)

type showOptions struct {
	names  []string
	events int
	json   bool
}

func newShowCommand(p *program) *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show NAME...",
		Short: "Show everything about clients",
		Long: `Shows all that the server knows of the clients, and what happened to each last:
hand-outs, refusals, expiries, changes and by whom. The server keeps the last 50
events of each client, over restarts too.

A NAME may be a shell pattern such as 'web*'; quote it. With --json, an object as
"mandosctl list --json" prints it, in which each client also has its "history":
[{"time", "kind", "client", "by", "reason", "refusal", "key", "keyKind", "address",
"command", "status", "signal", "output", "error", "note", "times", "changes"}], the oldest
first, as "mandosctl watch --json" prints them.`,
		Example: `  mandosctl show laptop-7
  mandosctl show --events 50 laptop-7`,
		Args: takesSome("NAME"),
		RunE: func(cmd *cobra.Command, names []string) error {
			o.names = names
			return p.show(cmd.Context(), o)
		},
		ValidArgsFunction: p.completeNames,
	}
	cmd.Flags().IntVarP(&o.events, "events", "n", 10, "how many events to show; 0 for none")
	cmd.Flags().BoolVarP(&o.json, "json", "j", false, "print JSON")
	return cmd
}

func (p *program) show(ctx context.Context, o showOptions) error {
	if o.events < 0 {
		return usagef("--events must not be negative")
	}
	server, clients, err := p.chosen(ctx, o.names, false)
	if err != nil {
		return err
	}
	defer server.Close()
	now := time.Now()
	histories := make([][]dbusapi.Event, len(clients))
	for i, c := range clients {
		if histories[i], err = p.history(ctx, server, c, o.events); err != nil {
			return err
		}
	}
	if o.json {
		return jsonoutput.Write(p.console.Out, jsonoutput.OfHistories(clients, histories, now), p.console.Terminal)
	}
	for i := range clients {
		if i > 0 {
			p.console.Printf("\n")
		}
		p.showClient(&clients[i], now)
		p.showEvents("what happened last", histories[i], now)
	}
	return nil
}

// allEvents asks for all of a history.
const allEvents = math.MaxInt

// history is the end of a client's history, as many events of it as asked for. Other
// Mandos servers keep none.
func (p *program) history(ctx context.Context, server *dbusapi.Connection, c dbusapi.Client, events int) ([]dbusapi.Event, error) {
	if events == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	history, err := server.History(ctx, c)
	if errors.Is(err, dbusapi.ErrNotSupported) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the history of %s: %w", printable(c.Name), err)
	}
	return history[max(len(history)-events, 0):], nil
}

func (p *program) showClient(c *dbusapi.Client, now time.Time) {
	colours := p.console.Palette
	p.console.Printf("%s\n", colours.Strong(printable(c.Name)))
	lines := clientinfo.Details(c, now, func(t time.Time) string { return p.when(t, now) })
	p.showLine(lines[0], colours.Tone(clientinfo.StateOf(c, now).Tone()))
	for _, line := range lines[1:] {
		p.showLine(line, nil)
	}
}

// showLine prints one line about something.
func (p *program) showLine(line clientinfo.Line, paint console.Paint) {
	value := printable(line.Value)
	switch {
	case line.Name == "":
		p.console.Printf("\n")
		return
	case paint != nil:
		value = paint(value)
	}
	p.console.Printf("  %-17s %s\n", line.Name, value)
}

// when writes a time with how far it is, the latter only where somebody looks
// at it now.
func (p *program) when(t, now time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case p.console.Terminal:
		return fmt.Sprintf("%s (%s)", humantime.Relative(t, now), humantime.Absolute(t))
	}
	return humantime.Machine(t)
}

// showEvents lists what happened to a client, if anything did.
func (p *program) showEvents(title string, events []dbusapi.Event, now time.Time) {
	if len(events) == 0 {
		return
	}
	p.console.Printf("\n  %s\n", p.console.Palette.Strong(title))
	t := &console.Table{}
	for i := range events {
		e := &events[i]
		t.Rows = append(t.Rows, []console.Cell{
			{Text: "  " + p.when(e.Time, now)},
			{Text: clientinfo.Sentence(e), Paint: p.console.Palette.Tone(clientinfo.ToneOf(e))},
		})
	}
	// Nothing is cut: who asks for a client by name wants to know all.
	if err := t.Aligned(p.console.Out, 0); err != nil {
		p.console.Errorf("%v", err)
	}
}

// printable makes a text from the server safe to print on a line.
func printable(s string) string { return console.Printable(strings.TrimSpace(s)) }
