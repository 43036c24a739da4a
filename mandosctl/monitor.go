// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"mandos/mandosctl/monitor"
)

func newMonitorCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "monitor",
		Short: "Watch and steer all clients on the whole screen",
		Long: `Shows the clients live on the whole screen, those on top that need somebody's
attention, and below them what happens. Keys approve and deny those that wait,
enable, disable and check clients, show all about one, and search; "?" shows them
all. It goes on over restarts of the server and of the bus.

It needs a terminal, of 80 columns and 24 lines or more to be comfortable.`,
		Example: `  mandosctl monitor
  ssh -t mandos-server mandosctl monitor`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return monitor.Run(cmd.Context(), p.console, p.bus)
		},
	}
}
