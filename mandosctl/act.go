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

// action is a command that does one thing to each client that it is given.
type action struct {
	name, short, long, example string
	// done is what is said of a client to which it was done, from how it stood before.
	done func(dbusapi.Client) string
	do   func(*dbusapi.Connection, context.Context, dbusapi.Client) error
}

func (a action) command(p *program) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:     a.name + " (NAME... | --all)",
		Short:   a.short,
		Long:    a.long + aboutNames,
		Example: a.example,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := namesOrAll(names, all); err != nil {
				return err
			}
			return p.act(cmd.Context(), names, all, func(ctx context.Context, s *dbusapi.Connection, c dbusapi.Client) (string, error) {
				return a.done(c), a.do(s, ctx, c)
			})
		},
		ValidArgsFunction: p.completeNames,
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

func namesOrAll(names []string, all bool) error {
	switch {
	case all && len(names) > 0:
		return usagef("--all takes no names")
	case !all && len(names) == 0:
		return usagef("name the clients, or say --all")
	}
	return nil
}

// chosen connects and asks for the clients of those names, or all. The caller
// closes the server.
func (p *program) chosen(ctx context.Context, names []string, all bool) (*dbusapi.Connection, []dbusapi.Client, error) {
	server, err := p.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var clients []dbusapi.Client
	if all {
		clients, err = server.Clients(asking)
	} else {
		clients, err = named(asking, server, names)
	}
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	return server, clients, nil
}

// named asks for the clients of those names and shell patterns, and for no others: what
// patterns need are the names of all.
func named(ctx context.Context, server *dbusapi.Connection, names []string) ([]dbusapi.Client, error) {
	clients, err := server.ClientsNamed(ctx, names)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(names, func(name string) bool { return clientinfo.IsPattern(name) && !known(clients, name) }) {
		all, err := server.Names(ctx)
		if err != nil {
			return nil, err
		}
		if clients, err = server.ClientsNamed(ctx, clientinfo.Fitting(all, names)); err != nil {
			return nil, err
		}
	}
	return clientinfo.Choose(clients, names)
}

// one asks for the only client of a name or pattern.
func (p *program) one(ctx context.Context, name string) (dbusapi.Client, error) {
	server, clients, err := p.chosen(ctx, []string{name}, false)
	if err != nil {
		return dbusapi.Client{}, err
	}
	server.Close()
	return only(clients, name)
}

// only is the client that a name or pattern stands for, if it is one.
func only(clients []dbusapi.Client, name string) (dbusapi.Client, error) {
	if len(clients) != 1 {
		return dbusapi.Client{}, usagef("%q stands for %d clients; name one", name, len(clients))
	}
	return clients[0], nil
}

// do is what an action does to one client. It tells the result in words.
type do func(context.Context, *dbusapi.Connection, dbusapi.Client) (string, error)

// act does something to each chosen client and prints the result of each.
func (p *program) act(ctx context.Context, names []string, all bool, do do) error {
	server, clients, err := p.chosen(ctx, names, all)
	if err != nil {
		return err
	}
	defer server.Close()
	return p.actOn(ctx, server, clients, do)
}

// actOn does something to each client. It goes on after a failure, unless the
// server is gone for the next as well.
func (p *program) actOn(ctx context.Context, server *dbusapi.Connection, clients []dbusapi.Client, do do) error {
	failed := false
	for _, c := range clients {
		result, err := p.inTime(ctx, server, c, do)
		switch {
		case err == nil:
			p.console.Printf("%s: %s\n", printable(c.Name), result)
		case ctx.Err() != nil, errors.Is(err, dbusapi.ErrNoBus), errors.Is(err, dbusapi.ErrNoServer):
			return err
		default:
			failed = true
			p.console.Errorf("%s: %v", printable(c.Name), err)
		}
	}
	if failed {
		return exitError(exitFailure)
	}
	return nil
}

func (p *program) inTime(ctx context.Context, server *dbusapi.Connection, c dbusapi.Client, do do) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return do(ctx, server, c)
}
