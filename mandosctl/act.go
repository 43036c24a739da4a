// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
)

// action is a command that does one thing to each client that it is given.
type action struct {
	use, short, long, example string
	// done is what is said of a client to which it was done.
	done string
	do   func(*dbusapi.Server, context.Context, dbusapi.Client) error
}

func (a action) command(p *program) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:     a.use + " (NAME... | --all)",
		Short:   a.short,
		Long:    a.long + aboutNames,
		Example: a.example,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			return p.act(cmd.Context(), names, all, func(ctx context.Context, s *dbusapi.Server, c dbusapi.Client) (string, error) {
				return a.done, a.do(s, ctx, c)
			})
		},
	}
	addAll(cmd, &all)
	return cmd
}

const aboutNames = `

A NAME may be a shell pattern such as 'web*'; quote it. One line per client tells
the result, and the exit status is 1 if it failed for any.`

func addAll(cmd *cobra.Command, all *bool) {
	cmd.Flags().BoolVarP(all, "all", "a", false, "all clients")
}

// act does something to each chosen client and tells the result of each. It
// goes on after a failure, unless the next could not do better.
func (p *program) act(ctx context.Context, names []string, all bool, do func(context.Context, *dbusapi.Server, dbusapi.Client) (string, error)) error {
	if err := namesOrAll(names, all); err != nil {
		return err
	}
	server, clients, err := p.clients(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	if !all {
		if clients, err = choose(clients, names); err != nil {
			return err
		}
	}
	failed := false
	for _, c := range clients {
		result, err := do(ctx, server, c)
		switch {
		case err == nil:
			p.console.Printf("%s: %s\n", c.Name, result)
		case ctx.Err() != nil, errors.Is(err, dbusapi.ErrNoBus), errors.Is(err, dbusapi.ErrNoServer):
			return err
		default:
			failed = true
			p.console.Errorf("%s: %v", c.Name, err)
		}
	}
	if failed {
		return exitError(exitFailure)
	}
	return nil
}

func namesOrAll(names []string, all bool) error {
	switch {
	case all && len(names) > 0:
		return usagef("--all takes no names")
	case !all && len(names) == 0:
		return usagef("name the clients, or say --all")
	}
	return nil
}
