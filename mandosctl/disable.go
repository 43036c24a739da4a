// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"mandos/dbusapi"
)

func newDisableCommand(p *program) *cobra.Command {
	return action{
		name:  "disable",
		short: "Give clients nothing any more",
		long: `Disables clients: from now on they do not get their secrets, and those that wait
for approval are refused. They stay disabled, over restarts of the server too,
until somebody enables them.`,
		example: `  mandosctl disable laptop-7
  mandosctl disable --all`,
		done: func(c dbusapi.Client) string {
			if !c.Enabled {
				return "was disabled already, and stays so"
			}
			return "disabled"
		},
		do: (*dbusapi.Connection).Disable,
	}.command(p)
}
