// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
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
	server, chosen, err := p.toEnable(ctx, names, all)
	if err != nil {
		return err
	}
	defer server.Close()
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

// toEnable connects and asks for the clients of those names, or all; and by their very
// names for those that are gone, of which nothing but the name is given. The caller
// closes the server.
func (p *program) toEnable(ctx context.Context, names []string, all bool) (*dbusapi.Connection, []dbusapi.Client, error) {
	server, clients, err := p.chosen(ctx, names, all)
	if !errors.Is(err, clientinfo.ErrUnknown) {
		return server, clients, err
	}
	if server, err = p.connect(ctx); err != nil {
		return nil, nil, err
	}
	clients, err = p.orGone(ctx, server, names)
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	return server, clients, nil
}

func (p *program) orGone(ctx context.Context, server *dbusapi.Connection, names []string) ([]dbusapi.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	clients, err := server.Clients(ctx)
	if err != nil {
		return nil, err
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
