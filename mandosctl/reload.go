// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newReloadCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the server read its configuration again",
		Long: `Has the server read its configuration files again, as SIGHUP does. It follows them in
what concerns the clients, and in the log level; the rest takes a restart. When
anything is wrong with the files, the error says what, and nothing has changed.`,
		Example: `  mandosctl reload`,
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.reload(cmd.Context()) },
	}
}

func (p *program) reload(ctx context.Context) error {
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := server.Reload(ctx); err != nil {
		return err
	}
	p.console.Printf("configuration reloaded\n")
	return nil
}
