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
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
)

type forgetOptions struct {
	names []string
	yes   bool
}

func newForgetCommand(p *program) *cobra.Command {
	var o forgetOptions
	cmd := &cobra.Command{
		Use:   "forget NAME...",
		Short: "Forget what is kept of clients that are gone",
		Long: `Forgets on purpose what the server keeps of clients whose sections are gone, also
that they must get nothing: one that was disabled, has expired or was removed is let
in like a new one when its section comes back. "mandosctl list --gone" shows what is
kept. A client is not forgotten as long as a section has its name or its key.

On a terminal it asks before; --yes says yes beforehand, and is needed elsewhere.` + aboutNames,
		Example: `  mandosctl list --gone
  mandosctl forget laptop-7
  mandosctl forget --yes 'test-*'`,
		Args: takesSome("NAME"),
		RunE: func(cmd *cobra.Command, names []string) error {
			o.names = names
			return p.forget(cmd.Context(), o)
		},
		ValidArgsFunction: p.completeGone,
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (p *program) forget(ctx context.Context, o forgetOptions) error {
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
	chosen, unknown := clientinfo.ChooseGone(gone, o.names)
	if len(unknown) > 0 {
		clients, err := server.ClientsNamed(asking, o.names)
		if err != nil {
			return err
		}
		return fmt.Errorf("no client %s is gone%s", strings.Join(unknown, ", "), whereItIs(clients))
	}
	if !o.yes {
		ok, err := p.console.Confirm(forgetQuestion(chosen, time.Now()))
		switch {
		case errors.Is(err, console.ErrNobody):
			return usagef("nobody can be asked here; say --yes")
		case err != nil || !ok:
			p.console.Notef("nothing was forgotten")
			return err
		}
	}
	return p.forgetAll(ctx, server, chosen)
}

// whereItIs says what to do about a client that is there.
func whereItIs(clients []dbusapi.Client) string {
	if len(clients) > 0 {
		return ": its section is in the configuration; take that out and reload before"
	}
	return "; \"mandosctl list --gone\" shows those that are"
}

func forgetQuestion(gone []dbusapi.Gone, now time.Time) string {
	const most = 5
	var parts []string
	for i := range gone[:min(len(gone), most)] {
		part := printable(gone[i].Name)
		if why := clientinfo.WhyGone(&gone[i], now); why != "" {
			part += " (" + why + ")"
		}
		parts = append(parts, part)
	}
	list := strings.Join(parts, ", ")
	if more := len(gone) - most; more > 0 {
		list = fmt.Sprintf("%s and %d more", list, more)
	}
	return fmt.Sprintf("Forget %s?", list)
}

func (p *program) forgetAll(ctx context.Context, server *dbusapi.Connection, gone []dbusapi.Gone) error {
	failed := false
	for _, g := range gone {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			return server.Forget(ctx, g.Name)
		}()
		switch {
		case err == nil:
			p.console.Printf("%s: forgotten\n", printable(g.Name))
		case ctx.Err() != nil, errors.Is(err, dbusapi.ErrNoBus), errors.Is(err, dbusapi.ErrNoServer):
			return err
		default:
			failed = true
			p.console.Errorf("%s: %v", printable(g.Name), err)
		}
	}
	if failed {
		return exitError(exitFailure)
	}
	return nil
}
