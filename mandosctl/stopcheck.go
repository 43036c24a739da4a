// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"mandos/dbusapi"
)

func newStopCheckCommand(p *program) *cobra.Command {
	return action{
		name:  "stop-check",
		short: "Kill running checkers",
		long: `Kills the clients' checkers, with everything that they started. That counts as no
check: neither as failed nor as succeeded. The next comes when it is due.`,
		example: `  mandosctl stop-check laptop-7`,
		done: func(c dbusapi.Client) string {
			if !c.CheckerRunning {
				return "no checker was running"
			}
			return "no checker runs any more"
		},
		do: (*dbusapi.Connection).StopChecker,
	}.command(p)
}
