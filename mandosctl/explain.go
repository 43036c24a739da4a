// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
	"mandos/mandosctl/jsonoutput"
)

type explainOptions struct {
	name string
	from string
	json bool
}

func newExplainCommand(p *program) *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain NAME",
		Short: "Tell whether a client would get its secret now, and why",
		Long: `Tells whether a client that boots now would get its secret: first the answer, then
step by step what it depends on, and which command changes what stands against it.
Of a client that is gone it tells what is kept, and what follows if it comes back.
Each step begins with yes, no, wait (for somebody's approval), if (it depends on the
address, see --from) or note. The last refusals follow, and the command by which the
host itself tries it, to be run there as root before it is rebooted: it fetches the
secret, which counts as a hand-out, and shows nothing of it. The exit status is 0
whatever the answer; for scripts there is "mandosctl is-enabled".

With --json, an object: {"name", "would", "verdict", "steps": [{"answer", "text",
"command"}], "rules": [{"rule", "verdict", "refusal", "remedy", "until", "note"}],
"refusals": as "mandosctl watch --json" prints events, "rehearsal"}. The rules are in
the server's codes.`,
		Example: `  mandosctl explain laptop-7
  mandosctl explain --from 192.0.2.7 laptop-7
  mandosctl explain --json laptop-7 | jq -r .would`,
		Args: takes("NAME"),
		RunE: func(cmd *cobra.Command, names []string) error {
			o.name = names[0]
			return p.explain(cmd.Context(), o)
		},
		ValidArgsFunction: p.completeName,
	}
	cmd.Flags().StringVar(&o.from, "from", "", "suppose that it asks from that `ADDRESS`, such as fe80::7%eth0")
	cmd.Flags().BoolVarP(&o.json, "json", "j", false, "print JSON")
	return cmd
}

func (p *program) explain(ctx context.Context, o explainOptions) error {
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	chosen, err := named(ctx, server, []string{o.name})
	if err != nil || !known(chosen, o.name) {
		gone, failure := p.gone(ctx, server)
		if failure != nil {
			return failure
		}
		if g, ok := clientinfo.GoneNamed(gone, o.name); ok {
			return p.tellExplanation(o, clientinfo.ExplainGone(g, p.place(ctx, server, o.name), time.Now()))
		}
	}
	if err != nil {
		return err
	}
	c, err := only(chosen, o.name)
	if err != nil {
		return err
	}
	question, err := p.questionAbout(ctx, server, &c, o.from)
	if err != nil {
		return err
	}
	return p.tellExplanation(o, clientinfo.Explain(question, time.Now()))
}

// questionAbout collects what an explanation rests on.
func (p *program) questionAbout(ctx context.Context, server *dbusapi.Connection, c *dbusapi.Client, from string) (q *clientinfo.Question, err error) {
	q = &clientinfo.Question{Client: c, From: from}
	if q.Rulings, err = server.Explain(ctx, *c, from); err != nil && !errors.Is(err, dbusapi.ErrNotSupported) {
		return nil, err
	}
	if err != nil && from != "" {
		return nil, errors.New("the server cannot tell what it would say to an address; ask without --from")
	}
	if q.Sharing, err = sharingKey(ctx, server, c); err != nil {
		return nil, err
	}
	if q.History, err = p.history(ctx, server, *c, allEvents); err != nil {
		return nil, err
	}
	q.Status, err = server.Status(ctx)
	return q, err
}

// tellExplanation prints it, of the client that was asked about.
func (p *program) tellExplanation(o explainOptions, e clientinfo.Explanation) error {
	if o.json {
		return jsonoutput.Write(p.console.Out, jsonoutput.OfExplanation(o.name, &e), p.console.Terminal)
	}
	p.showExplanation(e)
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
		clientinfo.Yes: colours.Good, clientinfo.No: colours.Bad, clientinfo.Wait: colours.Warning, clientinfo.If: colours.Warning, clientinfo.Note: colours.Warning,
	}
	p.console.Printf("%s.\n\n", colours.Strong(printable(e.Verdict)))
	for _, step := range e.Steps {
		mark := string(step.Answer)
		p.console.Printf("  %s%*s  %s\n", paints[step.Answer](mark), 4-len(mark), "", printable(step.Text))
		if step.Command != "" {
			p.console.Printf("        %s\n", colours.Strong(printable(step.Command)))
		}
	}
	p.showEvents("last refusals", e.Refusals, time.Now())
	if e.Rehearsal != "" {
		p.console.Printf("\nTo try it, run on the host itself, as root; it goes on until it succeeds:\n        %s\n", colours.Strong(e.Rehearsal))
	}
}
