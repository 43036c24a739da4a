// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
	"mandos/mandosctl/clientinfo"
)

type approveOptions struct {
	all    bool
	ahead  bool
	times  uint32
	within durationFlag
}

func newApproveCommand(p *program) *cobra.Command {
	var o approveOptions
	cmd := &cobra.Command{
		Use:   "approve (NAME... | --all)",
		Short: "Let waiting clients have their secrets",
		Long: `Approves the connections that wait for the clients' approval, and those that come
to within the approval duration of each client. See those that wait with
"mandosctl list --pending". Of a client whose approvals_needed are 2 or more, as many
people have to approve while it waits; each counts once, and root is one of them.

With --times or --for it approves in advance: so many hand-outs, whenever they are, or
within that time. Where several people have to approve, each has to do so. "mandosctl
deny" takes it back.` + aboutNames + "\n" + aboutDurations,
		Example: `  mandosctl approve laptop-7
  mandosctl approve --times 1 --for 2h laptop-7`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := namesOrAll(names, o.all); err != nil {
				return err
			}
			o.ahead = cmd.Flags().Changed("times") || cmd.Flags().Changed("for")
			if cmd.Flags().Changed("for") && o.within <= 0 {
				return usagef("--for needs some time; leave it out for an approval without end")
			}
			return p.act(cmd.Context(), names, o.all, o.do)
		},
		ValidArgsFunction: p.completeNames,
	}
	cmd.Flags().Uint32Var(&o.times, "times", 1, "in advance, how `many` hand-outs, 1 to 100")
	cmd.Flags().Var(&o.within, "for", "in advance, how long it is good for; without it, until it is used")
	addAll(cmd, &o.all)
	return cmd
}

func (o *approveOptions) do(ctx context.Context, server *dbusapi.Connection, c dbusapi.Client) (string, error) {
	if !o.ahead {
		return clientinfo.Outcome(&c, true), server.Approve(ctx, c, true)
	}
	approved := "approved 1 hand-out in advance"
	if o.times != 1 {
		approved = fmt.Sprintf("approved %d hand-outs in advance", o.times)
	}
	if o.within > 0 {
		approved += ", within " + notation.FormatDuration(time.Duration(o.within))
	}
	switch {
	case c.ApprovalDelay == 0:
		approved += "; but it needs no approval"
	case c.ApprovalsNeeded > 1:
		approved += fmt.Sprintf("; it needs that of %d people", c.ApprovalsNeeded)
	}
	return approved, refusedBecauseUnknown(server.ApproveAhead(ctx, c, o.times, time.Duration(o.within)))
}
