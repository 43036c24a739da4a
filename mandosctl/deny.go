// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

func newDenyCommand(p *program) *cobra.Command {
	return action{
		name:  "deny",
		short: "Refuse waiting clients their secrets",
		long: `Refuses the connections that wait for the clients' approval, and those that come
to within the approval duration of each client. To refuse a client for good, use
"mandosctl disable".`,
		example: `  mandosctl deny laptop-7`,
		done:    func(c dbusapi.Client) string { return clientinfo.Outcome(&c, false) },
		do: func(s *dbusapi.Connection, ctx context.Context, c dbusapi.Client) error {
			return s.Approve(ctx, c, false)
		},
	}.command(p)
}
