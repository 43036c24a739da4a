// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/chronicle"
	"mandos/mandosctl/console"
	"mandos/mandosctl/humantime"
	"mandos/mandosctl/jsonoutput"
	"mandos/mandosctl/standing"
	"mandos/mandosctl/table"
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
[{"time", "kind", "client", "by", "reason", "key", "keyKind", "address", "command",
"status", "signal", "error", "values"}], the oldest first; what an event does not
have is left out.`,
		Example: `  mandosctl show laptop-7
  mandosctl show --events 50 laptop-7`,
		Args: cobra.MinimumNArgs(1),
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
	histories := make([][]dbusapi.Happening, len(clients))
	for i, c := range clients {
		if histories[i], err = p.history(ctx, server, c, o); err != nil {
			return err
		}
	}
	if o.json {
		return jsonoutput.Write(p.console.Out, jsonoutput.OfHistories(clients, histories, now))
	}
	for i := range clients {
		if i > 0 {
			p.console.Printf("\n")
		}
		p.showClient(&clients[i], now)
		p.showHistory(histories[i], now)
	}
	return nil
}

// history is what is to be shown of a client's history. Other Mandos servers
// keep none.
func (p *program) history(ctx context.Context, server *dbusapi.Server, c dbusapi.Client, o showOptions) ([]dbusapi.Happening, error) {
	if o.events == 0 {
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
	return history[max(len(history)-o.events, 0):], nil
}

// property is a line of what is shown. Without a value it is left out.
type property struct {
	name, value string
	paint       console.Paint
}

func (p *program) showClient(c *dbusapi.Client, now time.Time) {
	colours := p.console.Colours()
	state := standing.Of(c, now)
	word := string(state)
	if detail := standing.Detail(c, now); detail != "" {
		word += ": " + detail
	}
	p.console.Printf("%s\n", colours.Strong(printable(c.Name)))
	p.showProperties([]property{
		{"state", word, paintOf(state, colours)},
		{"expires", p.when(c.Expires, now), nil},
		{"", "", nil},
		{"last checked OK", orNever(p.when(c.LastCheckedOK, now)), nil},
		{"last check", lastCheck(c), nil},
		{"checker", c.Checker, nil},
		{"host", c.Host, nil},
		{"interval", humantime.Duration(c.Interval), nil},
		{"timeout", humantime.Duration(c.Timeout), nil},
		{"extended timeout", humantime.Duration(c.ExtendedTimeout), nil},
		{"", "", nil},
		{"last hand-out", orNever(handout(c, p.when(c.LastHandout, now))), nil},
		{"approval", approval(c), nil},
		{"last asked for", p.when(c.LastApprovalRequest, now), nil},
		{"key ID", c.KeyID, nil},
		{"fingerprint", c.Fingerprint, nil},
		{"", "", nil},
		{"created", p.when(c.Created, now), nil},
		{"last enabled", p.when(c.LastEnabled, now), nil},
		{"disabled since", p.when(c.DisabledSince, now), nil},
	})
}

func (p *program) showProperties(properties []property) {
	for _, line := range properties {
		value := printable(line.value)
		switch {
		case line.name == "":
			p.console.Printf("\n")
			continue
		case value == "":
			continue
		case line.paint != nil:
			value = line.paint(value)
		}
		p.console.Printf("  %-17s %s\n", line.name, value)
	}
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

func orNever(s string) string {
	if s == "" {
		return "never"
	}
	return s
}

func lastCheck(c *dbusapi.Client) string {
	last := standing.CheckerResult(c.LastCheckerStatus)
	if c.CheckerRunning {
		return last + "; one runs now"
	}
	return last
}

func handout(c *dbusapi.Client, when string) string {
	if when == "" || c.LastHandoutKey == "" {
		return when
	}
	return when + ", by " + c.LastHandoutKey
}

func approval(c *dbusapi.Client) string {
	if c.ApprovalDelay == 0 {
		return "not needed"
	}
	return fmt.Sprintf("asked for; after %s it is %s by default; a decision holds for %s",
		humantime.Duration(c.ApprovalDelay), standing.Default(c), humantime.Duration(c.ApprovalDuration))
}

func (p *program) showHistory(history []dbusapi.Happening, now time.Time) {
	if len(history) == 0 {
		return
	}
	p.console.Printf("\n  %s\n", p.console.Colours().Strong("what happened last"))
	t := &table.Table{}
	for i := range history {
		h := &history[i]
		t.Rows = append(t.Rows, []table.Cell{
			{Text: "  " + p.when(h.Time, now)},
			{Text: chronicle.Sentence(h), Paint: paintOfTone(chronicle.ToneOf(h), p.console.Colours())},
		})
	}
	// Nothing is cut: who asks for a client by name wants to know all.
	if err := t.Aligned(p.console.Out, 0); err != nil {
		p.console.Errorf("%v", err)
	}
}

func paintOfTone(tone chronicle.Tone, colours console.Colours) console.Paint {
	switch tone {
	case chronicle.Routine:
		return colours.Faint
	case chronicle.Good:
		return colours.Good
	case chronicle.Warning:
		return colours.Warning
	case chronicle.Bad:
		return colours.Bad
	}
	return nil
}

// printable makes a text from the server safe to print on a line.
func printable(s string) string { return table.Printable(strings.TrimSpace(s)) }
