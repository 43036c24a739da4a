// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/console"
	"mandos/mandosctl/humantime"
	"mandos/mandosctl/standing"
	"mandos/mandosctl/table"
)

type listOptions struct {
	names []string
}

func newListCommand(p *program) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list [NAME...]",
		Short: "Show how the clients stand",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			o.names = names
			return p.list(cmd.Context(), o)
		},
	}
	return cmd
}

func (p *program) list(ctx context.Context, o listOptions) error {
	server, clients, err := p.clients(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	if len(o.names) > 0 {
		if clients, err = choose(clients, o.names); err != nil {
			return err
		}
	}
	t := listTable(clients, time.Now(), p.console.Colours())
	if p.console.Terminal {
		return t.Aligned(p.console.Out, p.console.Width)
	}
	return t.TSV(p.console.Out)
}

func listTable(clients []dbusapi.Client, now time.Time, colours console.Colours) *table.Table {
	t := &table.Table{Header: []string{"NAME", "STATE", "CHECKED OK", "EXPIRES", "DETAIL"}}
	for i := range clients {
		c := &clients[i]
		state := standing.Of(c, now)
		t.Rows = append(t.Rows, []table.Cell{
			table.Same(c.Name),
			{Text: string(state), Exact: string(state), Paint: paintOf(state, colours)},
			timeCell(c.LastCheckedOK, now, "never"),
			timeCell(c.Expires, now, ""),
			table.Same(standing.Detail(c, now)),
		})
	}
	return t
}

func timeCell(t, now time.Time, none string) table.Cell {
	if t.IsZero() {
		return table.Cell{Text: none}
	}
	return table.Cell{Text: humantime.Relative(t, now), Exact: humantime.Machine(t)}
}

func paintOf(state standing.State, colours console.Colours) console.Paint {
	switch state {
	case standing.Pending, standing.Expiring, standing.Failing:
		return colours.Warning
	case standing.Expired:
		return colours.Bad
	case standing.Enabled:
		return colours.Good
	}
	return colours.Faint
}
