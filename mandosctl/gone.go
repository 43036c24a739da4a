// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
	"mandos/mandosctl/humantime"
	"mandos/mandosctl/jsonoutput"
)

// gone asks for the clients that are not there. Other Mandos servers know of none.
func (p *program) gone(ctx context.Context, server *dbusapi.Connection) ([]dbusapi.Gone, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	gone, err := server.Gone(ctx)
	if errors.Is(err, dbusapi.ErrNotSupported) {
		return nil, nil
	}
	return gone, err
}

// place is where the section of a client is, if the server tells.
func (p *program) place(ctx context.Context, server *dbusapi.Connection, name string) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	place, err := server.Place(ctx, name)
	if err != nil {
		return ""
	}
	return place
}

// listGone is "list --gone".
func (p *program) listGone(ctx context.Context, o listOptions) error {
	form, err := o.form(p.console.Terminal)
	if err != nil {
		return err
	}
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	gone, err := server.Gone(asking)
	if err != nil {
		return err
	}
	if len(o.names) > 0 {
		chosen, unknown := clientinfo.ChooseGone(gone, o.names)
		if len(unknown) > 0 {
			return fmt.Errorf("no client %s is gone; \"mandosctl list --gone\" shows those that are", strings.Join(unknown, ", "))
		}
		gone = chosen
	}
	now := time.Now()
	switch {
	case form == outputJSON:
		return jsonoutput.Write(p.console.Out, jsonoutput.OfGone(gone), p.console.Terminal)
	case form == outputTSV:
		return p.goneTable(gone, o, now).TSV(p.console.Out)
	case len(gone) == 0:
		p.console.Notef("no client is gone")
		return nil
	}
	width := p.console.Width
	if o.wide {
		width = 0
	}
	return p.goneTable(gone, o, now).Aligned(p.console.Out, width)
}

func (p *program) goneTable(gone []dbusapi.Gone, o listOptions, now time.Time) *console.Table {
	t := &console.Table{Header: []string{"NAME", "SECTION", "WOULD BE"}}
	if o.wide {
		t.Header = append(t.Header, "KEY ID", "FINGERPRINT")
	}
	t.Header = append(t.Header, "REASON")
	for i := range gone {
		g := &gone[i]
		would, paint := "let in", p.console.Palette.Good
		if g.Because != "" {
			would, paint = "refused", p.console.Palette.Bad
		}
		row := []console.Cell{
			console.Same(g.Name),
			{Text: clientinfo.SectionOfGone(g, now), Exact: humantime.Machine(g.GoneSince)},
			{Text: would, Exact: string(g.Because), Paint: paint},
		}
		if o.wide {
			row = append(row, console.Same(g.KeyID), console.Same(g.Fingerprint))
		}
		t.Rows = append(t.Rows, append(row, console.Cell{Text: clientinfo.WhyGone(g, now), Exact: clientinfo.WhyGone(g, time.Time{})}))
	}
	return t
}

// completeGone offers the names of clients that are gone from the configuration.
func (p *program) completeGone(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return p.completeAbsent(cmd, args, begun, func(g *dbusapi.Gone) bool { return !g.GoneSince.IsZero() })
}

// completeAbsent offers the names of those that are not there and are wanted.
func (p *program) completeAbsent(cmd *cobra.Command, args []string, begun string, wanted func(*dbusapi.Gone) bool) ([]string, cobra.ShellCompDirective) {
	return p.completeWith(cmd, func(ctx context.Context, server *dbusapi.Connection) (names []string, err error) {
		gone, err := p.gone(ctx, server)
		for _, g := range gone {
			if wanted(&g) && strings.HasPrefix(g.Name, begun) && !slices.Contains(args, g.Name) {
				names = append(names, g.Name)
			}
		}
		return names, err
	})
}
