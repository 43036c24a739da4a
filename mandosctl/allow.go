// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
)

type allowOptions struct {
	all, revoke bool
	times       uint32
	within      durationFlag
}

func newAllowCommand(p *program) *cobra.Command {
	o := allowOptions{times: 1}
	cmd := &cobra.Command{
		Use:   "allow (NAME... | --all)",
		Short: "Grant clients their secrets, for reboots that are planned",
		Long: `Grants each client so many hand-outs in advance. It is for clients whose setting
handouts is "granted", which get nothing otherwise; those whose handouts are "free"
get their secrets without. What is left is shown by "mandosctl show" and "explain".
Whoever is disabled loses what was granted.

With --revoke, what is left of all grants is taken back.` + aboutNames + "\n" + aboutDurations,
		Example: `  mandosctl allow laptop-7
  mandosctl allow --times 2 --for 20m 'web*'
  mandosctl set laptop-7 handouts=granted`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := namesOrAll(names, o.all); err != nil {
				return err
			}
			changed := cmd.Flags().Changed
			switch {
			case o.revoke && (changed("times") || changed("for")):
				return usagef("--revoke takes back all that is left; leave --times and --for out")
			case changed("for") && o.within <= 0:
				return usagef("--for needs some time; leave it out for a grant without end")
			}
			return p.act(cmd.Context(), names, o.all, o.do)
		},
		ValidArgsFunction: p.completeNames,
	}
	cmd.Flags().Uint32Var(&o.times, "times", 1, "how `many` hand-outs, 1 to 100")
	cmd.Flags().Var(&o.within, "for", "how long it is good for; without it, until it is used")
	cmd.Flags().BoolVar(&o.revoke, "revoke", false, "take back what is left")
	addAll(cmd, &o.all)
	return cmd
}

func (o *allowOptions) do(ctx context.Context, server *dbusapi.Connection, c dbusapi.Client) (string, error) {
	if o.revoke {
		return "whatever was granted is revoked", refusedBecauseUnknown(server.Revoke(ctx, c))
	}
	granted := "granted 1 hand-out"
	if o.times != 1 {
		granted = fmt.Sprintf("granted %d hand-outs", o.times)
	}
	if o.within > 0 {
		granted += " within " + notation.FormatDuration(time.Duration(o.within))
	}
	if c.Other["handouts"] == "free" {
		granted += `; but it gets its secret without, as its handouts are "free"`
	}
	return granted, refusedBecauseUnknown(server.Allow(ctx, c, o.times, time.Duration(o.within)))
}

// refusedBecauseUnknown is for other Mandos servers.
func refusedBecauseUnknown(err error) error {
	if errors.Is(err, dbusapi.ErrNotSupported) {
		return errors.New("the server grants and approves nothing in advance")
	}
	return err
}
