// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

func newApproveCommand(p *program) *cobra.Command {
	return action{
		name:  "approve",
		short: "Let waiting clients have their secrets",
		long: `Approves the connections that wait for the clients' approval, and those that come
to within the approval duration of each client. See those that wait with
"mandosctl list --pending".`,
		example: `  mandosctl approve laptop-7`,
		done:    func(c dbusapi.Client) string { return clientinfo.Outcome(&c, true) },
		do: func(s *dbusapi.Connection, ctx context.Context, c dbusapi.Client) error {
			return s.Approve(ctx, c, true)
		},
	}.command(p)
}
