// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"mandos/dbusapi"
)

func newAliveCommand(p *program) *cobra.Command {
	return action{
		name:  "alive",
		short: "Vouch for clients, as if checks had succeeded",
		long: `Says that the clients are alive: each is valid for one more timeout, as if its
checker had just succeeded. A disabled client stays disabled.`,
		example: `  mandosctl alive laptop-7`,
		done: func(c dbusapi.Client) string {
			if !c.Enabled {
				return "taken as checked OK, but it stays disabled until somebody enables it"
			}
			return "taken as checked OK"
		},
		do: (*dbusapi.Connection).CheckedOK,
	}.command(p)
}
