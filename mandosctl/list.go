// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
	"mandos/mandosctl/humantime"
	"mandos/mandosctl/jsonoutput"
)

type listOptions struct {
	names                                []string
	enabled, disabled, pending, expiring bool
	gone                                 bool
	order                                string
	wide, json                           bool
	output                               string
}

// The forms that a list comes in.
const (
	outputTable = "table"
	outputTSV   = "tsv"
	outputJSON  = "json"
)

var outputs = []string{outputTable, outputTSV, outputJSON}

func newListCommand(p *program) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list [NAME...]",
		Short: "Show how clients stand",
		Long: `Shows all clients, or those named, one on each line. A NAME may be a shell pattern
such as 'web*'; quote it.

The STATE of a client is the first of these that holds:
  pending   a connection waits for approval: see approve and deny
  expiring  it will be disabled soon unless a check succeeds
  failing   its last check failed
  away      its last check failed, and its absence is planned: see expect
  expired   disabled by the server, for want of a successful check
  untested  enabled, but not checked yet
  enabled   all is well
  disabled  as somebody wanted

With several of --enabled, --disabled, --pending and --expiring, a client is shown
that is any of them. With --pending or --expiring alone, no client is no failure.

Not on a terminal, or with --output tsv, the fields of a line are separated by
tabs, without a header: name, state, last checked OK, expires, reason; with --wide
also host, timeout, interval, extended timeout, approval delay, last hand-out and
key ID. Times are RFC 3339 in UTC, durations like "5m", and both may be empty.

With --json, an object with "schemaVersion": 1 and "clients": [{
  "name", "state", "reason", "enabled", "host", "keyID", "fingerprint", "checker",
  "timeout", "extendedTimeout", "interval", "approvalDelay", "approvalDuration",
  "approvedByDefault", "created", "lastEnabled", "expires", "lastCheckedOK",
  "secretProblem", "lastCheckerStatus", "lastCheckerOutput", "checkerRunning",
  "approvalPending", "lastApprovalRequest", "lastHandout", "lastHandoutKey",
  "onBorrowedTime", "absenceUntil", "absenceReason", "approvalsNeeded", "approvalsAhead",
  "approvedAheadUntil", "handoutsAllowed", "allowedUntil", "disabledSince",
  "disabledBecause"
}]. Times are RFC 3339 in UTC and null for none; durations are seconds;
lastCheckerStatus is an exit status, -1 for a crash, null before the first check.
Fields may be added under the same version.

With --gone, it shows those that are not there: gone from the configuration, or
removed while their section stands. One that was disabled, removed, denied or has
expired is refused when it comes back, under whatever name, until somebody enables
it, or forgets it on purpose: see enable and forget. The fields between tabs are name,
since when its section is gone, a code for what is against it, with --wide key ID and
fingerprint, and the reason. With --json there is a list "gone": [{"name", "keyID",
"fingerprint", "goneSince", "because", "by", "since", "deniedUntil"}].`,
		Example: `  mandosctl list
  mandosctl list --gone
  mandosctl list --sort state 'web*'
  mandosctl list --disabled --output tsv | cut -f1
  mandosctl list --json | jq -r '.clients[] | select(.state == "failing") | .name'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			o.names = names
			if o.gone {
				if o.enabled || o.disabled || o.pending || o.expiring || cmd.Flags().Changed("sort") {
					return usagef("--gone shows clients of another kind, and all of them by name; leave the other options out")
				}
				return p.listGone(cmd.Context(), o)
			}
			return p.list(cmd.Context(), o)
		},
		ValidArgsFunction: p.completeNames,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.enabled, "enabled", false, "only enabled clients")
	flags.BoolVar(&o.disabled, "disabled", false, "only disabled clients")
	flags.BoolVar(&o.pending, "pending", false, "only clients that wait for approval")
	flags.BoolVar(&o.expiring, "expiring", false, "only clients that expire soon")
	flags.BoolVar(&o.gone, "gone", false, "clients that are gone, and what is kept of them")
	flags.StringVar(&o.order, "sort", "name", "`order`: "+strings.Join(clientinfo.Orders, ", "))
	flags.BoolVarP(&o.wide, "wide", "w", false, "more columns, and no line cut")
	flags.BoolVarP(&o.json, "json", "j", false, "print JSON")
	flags.StringVarP(&o.output, "output", "o", "", "`form`: table, tsv or json")
	completeFlag(cmd, "sort", clientinfo.Orders...)
	completeFlag(cmd, "output", outputs...)
	return cmd
}

// form is the form of the output: as asked for, or as fits the console.
func (o *listOptions) form(terminal bool) (string, error) {
	switch {
	case o.json && o.output != "":
		return "", usagef("--json is --output json; say one of them")
	case o.json:
		return outputJSON, nil
	case o.output == "" && terminal:
		return outputTable, nil
	case o.output == "":
		return outputTSV, nil
	}
	return o.output, oneOf("--output", o.output, outputs)
}

func (p *program) list(ctx context.Context, o listOptions) error {
	if _, err := o.form(p.console.Terminal); err != nil {
		return err
	}
	if err := oneOf("--sort", o.order, clientinfo.Orders); err != nil {
		return err
	}
	server, clients, err := p.chosen(ctx, o.names, len(o.names) == 0)
	if err != nil {
		return err
	}
	defer server.Close()
	now := time.Now()
	clients = slices.DeleteFunc(clients, func(c dbusapi.Client) bool { return !o.wants(&c, now) })
	clientinfo.Sort(clients, o.order, now)
	p.warnOfLockdown(ctx, server)
	return p.print(clients, o, now)
}

// print prints a list in the form that was asked for.
func (p *program) print(clients []dbusapi.Client, o listOptions, now time.Time) error {
	form, err := o.form(p.console.Terminal)
	if err != nil {
		return err
	}
	switch form {
	case outputJSON:
		return jsonoutput.Write(p.console.Out, jsonoutput.OfClients(clients, now), p.console.Terminal)
	case outputTSV:
		return o.table(clients, now, console.NewPalette(false)).TSV(p.console.Out)
	}
	if len(clients) == 0 {
		p.console.Notef("no client to show")
		return nil
	}
	width := p.console.Width
	if o.wide {
		width = 0
	}
	return o.table(clients, now, p.console.Palette).Aligned(p.console.Out, width)
}

func (o *listOptions) wants(c *dbusapi.Client, now time.Time) bool {
	if !o.enabled && !o.disabled && !o.pending && !o.expiring {
		return true
	}
	return o.enabled && c.Enabled || o.disabled && !c.Enabled ||
		o.pending && c.ApprovalPending || o.expiring && clientinfo.ExpiresSoon(c, now)
}

func (o *listOptions) table(clients []dbusapi.Client, now time.Time, colours *console.Palette) *console.Table {
	t := &console.Table{Header: []string{"NAME", "STATE", "CHECKED OK", "EXPIRES"}}
	if o.wide {
		t.Header = append(t.Header, "HOST", "TIMEOUT", "INTERVAL", "EXTENDED", "APPROVAL", "LAST HAND-OUT", "KEY ID")
	}
	t.Header = append(t.Header, "REASON")
	for i := range clients {
		c := &clients[i]
		state := clientinfo.StateOf(c, now)
		row := []console.Cell{
			console.Same(c.Name),
			{Text: string(state), Exact: string(state), Paint: colours.Tone(state.Tone())},
			timeCell(c.LastCheckedOK, now, "never"),
			timeCell(c.Expires, now, ""),
		}
		reason := console.Cell{Text: clientinfo.ReasonInFull(c, now), Exact: clientinfo.Reason(c, now)}
		if o.wide {
			row = append(row,
				console.Same(c.Host), durationCell(c.Timeout), durationCell(c.Interval), durationCell(c.ExtendedTimeout),
				durationCell(c.ApprovalDelay), timeCell(c.LastHandout, now, "never"), console.Same(c.KeyID))
		}
		t.Rows = append(t.Rows, append(row, reason))
	}
	return t
}

func timeCell(t, now time.Time, none string) console.Cell {
	if t.IsZero() {
		return console.Cell{Text: none}
	}
	return console.Cell{Text: humantime.Relative(t, now), Exact: humantime.Machine(t)}
}

func durationCell(d time.Duration) console.Cell { return console.Same(notation.FormatDuration(d)) }
