// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

func newEnableCommand(p *program) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:   "enable (NAME... | --all)",
		Short: "Make clients valid again",
		Long: `Makes clients valid: from now on they get their secrets. Each has two of its
intervals to pass a check, else it is disabled again. Nothing happens to one that
is enabled already. One that was removed while its section stands is brought back by
its very name; --all leaves such alone.` + aboutNames,
		Example: `  mandosctl enable laptop-7
  mandosctl enable 'web*'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := namesOrAll(names, all); err != nil {
				return err
			}
			return p.enable(cmd.Context(), names, all)
		},
		ValidArgsFunction: p.completeNamesToEnable,
	}
	addAll(cmd, &all)
	return cmd
}

func (p *program) enable(ctx context.Context, names []string, all bool) error {
	server, clients, err := p.chosen(ctx, nil, true)
	if err != nil {
		return err
	}
	defer server.Close()
	chosen := clients
	if !all {
		if chosen, err = p.orGone(ctx, server, clients, names); err != nil {
			return err
		}
	}
	return p.actOn(ctx, server, chosen, func(ctx context.Context, s *dbusapi.Connection, c dbusapi.Client) (string, error) {
		switch {
		case c.Path == "":
			return "enabled, and brought back", s.EnableNamed(ctx, c.Name)
		case c.Enabled:
			return "was enabled already", s.Enable(ctx, c)
		}
		return "enabled", s.Enable(ctx, c)
	})
}

// orGone picks clients, and by their very names those that are gone, of which nothing
// but the name is given.
func (p *program) orGone(ctx context.Context, server *dbusapi.Connection, clients []dbusapi.Client, names []string) ([]dbusapi.Client, error) {
	if !slices.ContainsFunc(names, func(name string) bool { return !known(clients, name) }) {
		return clientinfo.Choose(clients, names)
	}
	gone, err := p.gone(ctx, server)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, ok := clientinfo.GoneNamed(gone, name); ok && !known(clients, name) {
			clients = append(clients, dbusapi.Client{Name: name})
		}
	}
	return clientinfo.Choose(clients, names)
}

func known(clients []dbusapi.Client, name string) bool {
	return slices.ContainsFunc(clients, func(c dbusapi.Client) bool { return c.Name == name })
}

// completeNamesToEnable offers the names of clients, and of those that were removed
// while their section stands.
func (p *program) completeNamesToEnable(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	names, directive := p.completeNames(cmd, args, begun)
	removed, _ := p.completeAbsent(cmd, args, begun, func(g *dbusapi.Gone) bool { return g.GoneSince.IsZero() })
	return append(names, removed...), directive
}
