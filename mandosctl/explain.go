// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
)

func newExplainCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "explain NAME",
		Short: "Tell whether a client would get its secret now, and why",
		Long: `Tells whether a client that boots now would get its secret: first the answer, then
step by step what it depends on, and which command changes what stands against it.
Of a client that is gone it tells what is kept, and what follows if it comes back.
Each step begins with yes, no, wait (for somebody's approval) or note. The exit
status is 0 whatever the answer; for scripts there is "mandosctl is-enabled".`,
		Example: `  mandosctl explain laptop-7`,
		Args:    takes("NAME"),
		RunE: func(cmd *cobra.Command, names []string) error {
			return p.explain(cmd.Context(), names[0])
		},
		ValidArgsFunction: p.completeName,
	}
}

func (p *program) explain(ctx context.Context, name string) error {
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	chosen, err := named(ctx, server, []string{name})
	if err != nil || !known(chosen, name) {
		gone, failure := p.gone(ctx, server)
		if failure != nil {
			return failure
		}
		if g, ok := clientinfo.GoneNamed(gone, name); ok {
			p.showExplanation(clientinfo.ExplainGone(g, p.place(ctx, server, name), time.Now()))
			return nil
		}
	}
	if err != nil {
		return err
	}
	c, err := only(chosen, name)
	if err != nil {
		return err
	}
	sharing, err := sharingKey(ctx, server, &c)
	if err != nil {
		return err
	}
	status, err := server.Status(ctx)
	if err != nil {
		return err
	}
	p.showExplanation(clientinfo.Explain(&c, sharing, status, time.Now()))
	return nil
}

// sharingKey are the clients with a key of that one's, itself among them.
func sharingKey(ctx context.Context, server *dbusapi.Connection, c *dbusapi.Client) ([]dbusapi.Client, error) {
	names, err := server.NamesWithKey(ctx, c.KeyID, c.Fingerprint)
	if err != nil {
		return nil, err
	}
	return server.ClientsNamed(ctx, names)
}

func (p *program) showExplanation(e clientinfo.Explanation) {
	colours := p.console.Palette
	paints := map[clientinfo.Answer]console.Paint{
		clientinfo.Yes: colours.Good, clientinfo.No: colours.Bad, clientinfo.Wait: colours.Warning, clientinfo.Note: colours.Warning,
	}
	p.console.Printf("%s.\n\n", colours.Strong(printable(e.Verdict)))
	for _, step := range e.Steps {
		mark := string(step.Answer)
		p.console.Printf("  %s%*s  %s\n", paints[step.Answer](mark), 4-len(mark), "", printable(step.Text))
		if step.Command != "" {
			p.console.Printf("        %s\n", colours.Strong(printable(step.Command)))
		}
	}
}
