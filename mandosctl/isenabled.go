// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"
)

// exitUnknown tells that the question was not answered: it is neither yes (0)
// nor no (1).
const exitUnknown = 3

func newIsEnabledCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "is-enabled NAME",
		Short: "Tell by the exit status whether a client is enabled",
		Long: `Prints nothing. Exit status: 0 when the client is enabled, 1 when it is disabled, 3
with an error when that is not known, as for an unknown client or without a server.`,
		Example: `  mandosctl is-enabled laptop-7 || echo 'it must be unlocked by hand'`,
		Args:    takes("NAME"),
		RunE: func(cmd *cobra.Command, names []string) error {
			return p.isEnabled(cmd.Context(), names[0])
		},
		ValidArgsFunction: p.completeName,
	}
}

func (p *program) isEnabled(ctx context.Context, name string) error {
	c, err := p.one(ctx, name)
	switch {
	case err != nil:
		p.console.Errorf("%v", err)
		return exitError(exitUnknown)
	case !c.Enabled:
		return exitError(exitFailure)
	}
	return nil
}
