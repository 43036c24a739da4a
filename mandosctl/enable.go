// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"mandos/dbusapi"
)

func newEnableCommand(p *program) *cobra.Command {
	return action{
		name:  "enable",
		short: "Make clients valid again",
		long: `Makes clients valid: from now on they get their secrets. Each has two of its
intervals to pass a check, else it is disabled again. Nothing happens to one that
is enabled already.`,
		example: `  mandosctl enable laptop-7
  mandosctl enable 'web*'`,
		done: func(c dbusapi.Client) string {
			if c.Enabled {
				return "was enabled already"
			}
			return "enabled"
		},
		do: (*dbusapi.Server).Enable,
	}.command(p)
}
