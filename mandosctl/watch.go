// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
	"mandos/mandosctl/humantime"
	"mandos/mandosctl/jsonoutput"
)

type watchOptions struct {
	names []string
	json  bool
	quiet bool
	exec  string
}

func newWatchCommand(p *program) *cobra.Command {
	var o watchOptions
	cmd := &cobra.Command{
		Use:   "watch [NAME...]",
		Short: "Tell what happens as it happens",
		Long: `Prints a line for everything that happens to the clients, or to those named, and
to the server, until it is interrupted. It goes on over restarts of the server and of
the bus. A NAME may be a shell pattern such as 'web*', of clients that are yet to come
as well; quote it.

Not on a terminal, the fields of a line are separated by tabs: time, client, kind,
and the whole in words. With --json, each line is an object with "schemaVersion": 1,
"time" (RFC 3339, UTC), "kind", and what the event has of "client", "by", "reason",
"key", "keyKind", "address", "command", "status", "signal", "error", "dropped",
"values". The kinds are added, removed, forgotten, enabled, disabled, changed, vouched,
checker started, checker completed, checker stopped, checker not started, approval needed,
approved, denied, approval over, secret sent, secret not received, rejected, not
found, state not saved, state saved again, events dropped; and server up, server
down, bus lost.

With --exec, a shell runs COMMAND for each event, one after the other, with standard
output going to standard error. The event is in its environment, as MANDOS_KIND,
MANDOS_TIME, MANDOS_CLIENT, MANDOS_TEXT (the whole in words), MANDOS_BY,
MANDOS_REASON, MANDOS_KEY, MANDOS_ADDRESS, MANDOS_STATUS, MANDOS_ERROR; as JSON
it is on standard input. A command that fails is reported, and watching goes on; one
that runs for a minute is killed.`,
		Example: `  mandosctl watch
  mandosctl watch --quiet 'web*'
  mandosctl watch --quiet --exec 'mail -s "Mandos: $MANDOS_CLIENT $MANDOS_KIND" root'
  mandosctl watch --json | jq -r 'select(.kind == "disabled") | .client'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			o.names = names
			return p.watch(cmd.Context(), o)
		},
		ValidArgsFunction: p.completeNames,
	}
	cmd.Flags().BoolVarP(&o.json, "json", "j", false, "print JSON, one object a line")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "leave out what goes on all the time: checks that\nstart or succeed")
	cmd.Flags().StringVar(&o.exec, "exec", "", "shell `command` to run for each event")
	return cmd
}

func (p *program) watch(ctx context.Context, o watchOptions) error {
	warned := false
	err := dbusapi.Follow(ctx, p.bus, false, nil, func(_ *dbusapi.Connection, e dbusapi.Event) error {
		if e.Kind == dbusapi.ServerUp && !warned {
			warned = true
			p.noteUnknown(e.Clients, o.names)
		}
		h, ok := clientinfo.HappeningOf(e)
		if !ok || !o.wants(&h) {
			return nil
		}
		if err := p.tell(&h, o); err != nil {
			return err
		}
		if o.exec != "" {
			if err := p.runFor(ctx, &h, o.exec); err != nil {
				p.console.Errorf("%s: %v", o.exec, err)
			}
		}
		return nil
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// noteUnknown tells of names that fit no client, which is no error: it may come.
func (p *program) noteUnknown(clients []dbusapi.Client, names []string) {
	known := make([]string, len(clients))
	for i, c := range clients {
		known[i] = c.Name
	}
	for _, name := range names {
		fits := func(c dbusapi.Client) bool { return clientinfo.Fits(name, c.Name) }
		if !slices.ContainsFunc(clients, fits) {
			p.console.Notef("The server has no client %q%s; waiting for one.", name, meant(name, known))
		}
	}
}

// wants reports whether an event is to be told. What concerns no client is, with
// names as well.
func (o *watchOptions) wants(h *dbusapi.Happening) bool {
	if o.quiet && clientinfo.ToneOf(h) == console.Routine {
		return false
	}
	return len(o.names) == 0 || h.Client == "" ||
		slices.ContainsFunc(o.names, func(name string) bool { return clientinfo.Fits(name, h.Client) })
}

func (p *program) tell(h *dbusapi.Happening, o watchOptions) error {
	text := printable(clientinfo.Sentence(h))
	var err error
	switch {
	case o.json:
		err = jsonoutput.Write(p.console.Out, jsonoutput.OfEvent(h), false)
	case p.console.Terminal:
		colours := p.console.Palette
		if paint := colours.Tone(clientinfo.ToneOf(h)); paint != nil {
			text = paint(text)
		}
		line := h.Time.Local().Format(time.TimeOnly) + "  "
		if h.Client != "" {
			line += colours.Strong(printable(h.Client)) + "  "
		}
		_, err = fmt.Fprintln(p.console.Out, line+text)
	default:
		_, err = fmt.Fprintf(p.console.Out, "%s\t%s\t%s\t%s\n", humantime.Machine(h.Time), printable(h.Client), h.Kind, text)
	}
	return err
}

// execLimit is how long a command may run, while other events wait.
const execLimit = time.Minute

// runFor runs the command for one event.
func (p *program) runFor(ctx context.Context, h *dbusapi.Happening, command string) error {
	event, err := json.Marshal(jsonoutput.OfEvent(h))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, execLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(append(event, '\n'))
	cmd.Stdout, cmd.Stderr = p.console.Err, p.console.Err
	cmd.Env = append(os.Environ(), environment(h)...)
	return cmd.Run()
}

// environment has a variable for every field, so that none is inherited.
func environment(h *dbusapi.Happening) []string {
	status := ""
	if h.Kind == dbusapi.CheckCompleted {
		status = strconv.Itoa(h.Status)
	}
	return []string{
		"MANDOS_KIND=" + string(h.Kind),
		"MANDOS_TIME=" + humantime.Machine(h.Time),
		"MANDOS_CLIENT=" + h.Client,
		"MANDOS_TEXT=" + printable(clientinfo.Sentence(h)),
		"MANDOS_BY=" + h.By,
		"MANDOS_REASON=" + h.Reason,
		"MANDOS_KEY=" + h.Key,
		"MANDOS_ADDRESS=" + h.Address,
		"MANDOS_STATUS=" + status,
		"MANDOS_ERROR=" + h.Error,
	}
}
