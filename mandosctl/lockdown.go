// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

// errNoLockdowns is for other Mandos servers.
var errNoLockdowns = errors.New("the server knows no lockdown; disable the clients instead, with mandosctl disable --all")

type lockdownOptions struct {
	lasting durationFlag
	reason  string
}

func newLockdownCommand(p *program) *cobra.Command {
	var o lockdownOptions
	cmd := &cobra.Command{
		Use:   "lockdown [on | off]",
		Short: "Refuse everybody, or end that, or tell whether it is so",
		Long: `With "on", no client gets its secret from now on, not even those that wait for
approval, until "off", or until the time of --for is over. It survives restarts of
the server, and its time counts only while the server runs. Checks go on, so that the
clients stay as they are, and nothing is to be enabled again afterwards.

Without an argument it tells whether there is a lockdown.` + aboutDurations,
		Example: `  mandosctl lockdown on --reason 'burglary in the machine room'
  mandosctl lockdown on --for 2h
  mandosctl lockdown off`,
		Args: takes("[on | off]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] != "on" {
				for _, flag := range []string{"for", "reason"} {
					if cmd.Flags().Changed(flag) {
						return usagef("--%s goes with \"lockdown on\"", flag)
					}
				}
			}
			if len(args) == 0 {
				return p.tellLockdown(cmd.Context())
			}
			if err := oneOf("lockdown", args[0], []string{"on", "off"}); err != nil {
				return err
			}
			if cmd.Flags().Changed("for") && o.lasting <= 0 {
				return usagef("--for needs some time; leave it out for a lockdown without end")
			}
			return p.lockdown(cmd.Context(), args[0] == "on", o)
		},
		ValidArgsFunction: cobra.FixedCompletions([]string{"on", "off"}, cobra.ShellCompDirectiveNoFileComp),
	}
	cmd.Flags().Var(&o.lasting, "for", "how long it lasts; without it, until \"off\"")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, in your `words`: everybody who looks is told")
	return cmd
}

func (p *program) lockdown(ctx context.Context, on bool, o lockdownOptions) error {
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before, err := server.Status(ctx)
	if err == nil && on {
		err = server.LockDown(ctx, time.Duration(o.lasting), o.reason)
	} else if err == nil {
		err = server.EndLockdown(ctx)
	}
	switch {
	case errors.Is(err, dbusapi.ErrNotSupported):
		return errNoLockdowns
	case err != nil:
		return err
	case !on && !before.Lockdown.On:
		p.console.Printf("there was no lockdown\n")
		return nil
	case !on:
		p.console.Printf("the lockdown is over: clients get their secrets as before\n")
		return nil
	}
	after, err := server.Status(ctx)
	if err != nil {
		return err
	}
	p.showLockdown(after.Lockdown, time.Now())
	return nil
}

func (p *program) tellLockdown(ctx context.Context) error {
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	status, err := server.Status(ctx)
	switch {
	case errors.Is(err, dbusapi.ErrNotSupported):
		return errNoLockdowns
	case err != nil:
		return err
	case !status.Lockdown.On:
		p.console.Printf("there is no lockdown\n")
		return nil
	}
	p.showLockdown(status.Lockdown, time.Now())
	return nil
}

func (p *program) showLockdown(l dbusapi.Lockdown, now time.Time) {
	p.console.Printf("%s\n", p.console.Palette.Bad(printable(clientinfo.LockdownInWords(l, now))))
}

// warnOfLockdown says on standard error that what is shown of the clients is not all. A
// server that knows no lockdown has none.
func (p *program) warnOfLockdown(ctx context.Context, server *dbusapi.Connection) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if status, err := server.Status(ctx); err == nil && status.Lockdown.On {
		p.console.Errorf("LOCKDOWN: %s", printable(clientinfo.LockdownInWords(status.Lockdown, time.Now())))
	}
}
