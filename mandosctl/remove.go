// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
)

type removeOptions struct {
	names    []string
	all, yes bool
}

func newRemoveCommand(p *program) *cobra.Command {
	var o removeOptions
	cmd := &cobra.Command{
		Use:   "remove (NAME... | --all)",
		Short: "Take clients out of the server",
		Long: `Takes clients out of the server at once, those that wait for approval being refused.
Each stays away, over restarts and changes of the configuration, until somebody
enables it, which brings it back; see "mandosctl list --gone". Its section stays in
its file, which is named; delete it there to be rid of it.

On a terminal it asks before; --yes says yes beforehand, and is needed elsewhere.` + aboutNames,
		Example: `  mandosctl remove laptop-7
  mandosctl remove --yes 'test-*'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			o.names = names
			return p.remove(cmd.Context(), o)
		},
		ValidArgsFunction: p.completeNames,
	}
	addAll(cmd, &o.all)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (p *program) remove(ctx context.Context, o removeOptions) error {
	if err := namesOrAll(o.names, o.all); err != nil {
		return err
	}
	if !o.yes && !p.console.Interactive {
		return usagef("nobody can be asked here; say --yes")
	}
	server, clients, err := p.chosen(ctx, o.names, o.all)
	if err != nil {
		return err
	}
	defer server.Close()
	if !o.yes && len(clients) > 0 {
		if ok, err := p.console.Confirm(removeQuestion(clients)); err != nil || !ok {
			p.console.Notef("nothing was removed")
			return err
		}
	}
	return p.actOn(ctx, server, clients, func(ctx context.Context, s *dbusapi.Connection, c dbusapi.Client) (string, error) {
		place := p.place(ctx, s, c.Name)
		if err := s.Remove(ctx, c); err != nil {
			return "", err
		}
		return removed(place), nil
	})
}

// removed says what has become of a client, and of its section.
func removed(place string) string {
	if place == "" {
		return "removed"
	}
	return "removed; its section stays at " + place + " without effect, until somebody enables it"
}

// removeQuestion names the clients, or the first of many.
func removeQuestion(clients []dbusapi.Client) string {
	const most = 5
	var names []string
	for _, c := range clients[:min(len(clients), most)] {
		names = append(names, printable(c.Name))
	}
	list := strings.Join(names, ", ")
	if more := len(clients) - most; more > 0 {
		list = fmt.Sprintf("%s and %d more", list, more)
	}
	return fmt.Sprintf("Remove %s?", list)
}
