// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newLogLevelCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "log-level [LEVEL]",
		Short: "Show or change how much the server logs",
		Long: `Shows the server's log level, or changes it until the server ends or its
configuration is reloaded. The server names the levels there are when it is given
another.`,
		Example: `  mandosctl log-level
  mandosctl log-level debug`,
		Args: takes("[LEVEL]"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.logLevel(cmd.Context(), args) },
		ValidArgsFunction: cobra.FixedCompletions(
			[]string{"debug", "info", "warning", "error", "critical"}, cobra.ShellCompDirectiveNoFileComp),
	}
}

func (p *program) logLevel(ctx context.Context, args []string) error {
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if len(args) == 1 {
		return server.SetLogLevel(ctx, args[0])
	}
	status, err := server.Status(ctx)
	if err != nil {
		return err
	}
	p.console.Printf("%s\n", status.LogLevel)
	return nil
}
