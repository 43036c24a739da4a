// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newVersionCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the versions of mandosctl and of the server",
		Long: `Shows the version of mandosctl, and of the server if there is one; having none is
no error. "mandosctl --version" asks no server.`,
		Example: `  mandosctl version`,
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.showVersions(cmd.Context()) },
	}
}

func (p *program) showVersions(ctx context.Context) error {
	p.console.Printf("mandosctl %s\n", version)
	server, err := p.connect(ctx)
	if err != nil {
		p.console.Errorf("%v", err)
		return nil
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	status, err := server.Status(ctx)
	if err != nil {
		p.console.Errorf("%v", err)
		return nil
	}
	p.console.Printf("mandos %s\n", status.Version)
	return nil
}
