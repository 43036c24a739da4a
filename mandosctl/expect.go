// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
)

type expectOptions struct {
	all, cancel bool
	lasting     durationFlag
	reason      string
}

func newExpectCommand(p *program) *cobra.Command {
	var o expectOptions
	cmd := &cobra.Command{
		Use:   "expect (NAME... | --all) (--for DURATION [--reason WORDS] | --cancel)",
		Short: "Plan that clients are away for a while, and do not expire",
		Long: `Plans an absence: new firmware, or a file system check that takes hours. Meanwhile
the client does not expire, and gets its secret when it boots. The plan survives
restarts of the server, and its time counts only while the server runs.

It ends with the first check that succeeds after the client was away: after a check
had failed, or after it had fetched its secret. So it can be planned while the client
is still up. It also ends when its time is over, or with --cancel; a client whose
timeout has passed by then expires. Disabling or removing the client ends it too.

A thief has that time as well. Plan for as long as it takes, and not for longer; a
week is the most. A disabled client stays disabled.` + aboutDurations + aboutNames,
		Example: `  mandosctl expect web1 --for 30m
  mandosctl expect nas --for 6h --reason 'check of the file system'
  mandosctl expect web1 --cancel`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := namesOrAll(names, o.all); err != nil {
				return err
			}
			if err := o.fault(cmd.Flags().Changed("for")); err != nil {
				return err
			}
			return p.act(cmd.Context(), names, o.all, o.do)
		},
		ValidArgsFunction: p.completeNames,
	}
	addAll(cmd, &o.all)
	cmd.Flags().Var(&o.lasting, "for", "how long it may be away")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, in your `words`: everybody who looks is told")
	cmd.Flags().BoolVar(&o.cancel, "cancel", false, "plan no absence any more")
	return cmd
}

// fault says what is wrong with the options, of which one is --for or not.
func (o *expectOptions) fault(lasts bool) error {
	switch {
	case o.cancel && (lasts || o.reason != ""):
		return usagef("--cancel goes without --for and --reason")
	case o.cancel:
		return nil
	case !lasts:
		return usagef("say for how long, with --for, or --cancel")
	case o.lasting <= 0:
		return usagef("--for needs some time, or say --cancel")
	}
	return nil
}

func (o *expectOptions) do(ctx context.Context, server *dbusapi.Connection, c dbusapi.Client) (result string, err error) {
	switch {
	case o.cancel && c.AbsenceUntil.IsZero():
		return "no absence was planned", nil
	case o.cancel:
		result, err = "no absence is planned any more", server.EndAbsence(ctx, c)
	default:
		result, err = "may be away for "+notation.FormatDuration(time.Duration(o.lasting)), server.Expect(ctx, c, time.Duration(o.lasting), o.reason)
	}
	if errors.Is(err, dbusapi.ErrNotSupported) {
		return "", errors.New("the server knows no planned absence; give the client a longer timeout instead, with mandosctl set")
	}
	return result, err
}
