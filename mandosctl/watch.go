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
	"strings"
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

// kindsOfEvents are all of them, in lines.
var kindsOfEvents = func() string {
	var b strings.Builder
	width := 0
	for i, kind := range dbusapi.EventKinds {
		switch {
		case i == 0:
		case width+len(kind) > 80:
			b.WriteString(",\n")
			width = 0
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(kind))
		width += len(kind) + len(", ")
	}
	return b.String()
}()

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
"time" (RFC 3339, UTC), "kind", and what the event has of "client", "by" ({"kind",
"uid", "pid", "user", "busName", "for"}), "reason", "refusal", "key", "keyKind",
"address", "command", "status", "signal", "output", "error", "note", "dropped", "failing",
"enabled", "expired", "clients", "changes". The kinds are
` + kindsOfEvents + `.

With --exec, a shell runs COMMAND for each event, one after the other, with standard
output going to standard error. The event is in its environment, as MANDOS_KIND,
MANDOS_TIME, MANDOS_CLIENT, MANDOS_TEXT (the whole in words), MANDOS_BY ("server",
"configuration", or "caller"), MANDOS_UID, MANDOS_PID, MANDOS_REASON, MANDOS_REFUSAL,
MANDOS_KEY, MANDOS_ADDRESS, MANDOS_STATUS, MANDOS_ERROR; as JSON it is on standard
input. A command that fails is reported, and watching goes on; one
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
		if e.Kind == dbusapi.Refreshed || !o.wants(&e) {
			return nil
		}
		if err := p.tell(&e, o); err != nil {
			return err
		}
		if o.exec != "" {
			if err := p.runFor(ctx, &e, o.exec); err != nil {
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
func (o *watchOptions) wants(e *dbusapi.Event) bool {
	if o.quiet && clientinfo.ToneOf(e) == console.Routine {
		return false
	}
	return len(o.names) == 0 || e.Client == "" ||
		slices.ContainsFunc(o.names, func(name string) bool { return clientinfo.Fits(name, e.Client) })
}

func (p *program) tell(e *dbusapi.Event, o watchOptions) error {
	text := printable(clientinfo.Sentence(e))
	var err error
	switch {
	case o.json:
		err = jsonoutput.Write(p.console.Out, jsonoutput.OfEvent(e), false)
	case p.console.Terminal:
		colours := p.console.Palette
		if paint := colours.Tone(clientinfo.ToneOf(e)); paint != nil {
			text = paint(text)
		}
		line := e.Time.Local().Format(time.TimeOnly) + "  "
		if e.Client != "" {
			line += colours.Strong(printable(e.Client)) + "  "
		}
		_, err = fmt.Fprintln(p.console.Out, line+text)
	default:
		_, err = fmt.Fprintf(p.console.Out, "%s\t%s\t%s\t%s\n", humantime.Machine(e.Time), printable(e.Client), e.Kind, text)
	}
	return err
}

// execLimit is how long a command may run, while other events wait.
const execLimit = time.Minute

// runFor runs the command for one event.
func (p *program) runFor(ctx context.Context, e *dbusapi.Event, command string) error {
	event, err := json.Marshal(jsonoutput.OfEvent(e))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, execLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.WaitDelay = time.Second
	cmd.Stdin = bytes.NewReader(append(event, '\n'))
	cmd.Stdout, cmd.Stderr = p.console.Err, p.console.Err
	cmd.Env = append(os.Environ(), environment(e)...)
	return cmd.Run()
}

// environment has a variable for every field, so that none is inherited.
func environment(e *dbusapi.Event) []string {
	status, uid, pid := "", "", ""
	if e.By.PID != 0 {
		uid, pid = strconv.FormatUint(uint64(e.By.UID), 10), strconv.FormatUint(uint64(e.By.PID), 10)
	}
	if e.Kind == dbusapi.CheckerCompleted {
		status = strconv.Itoa(e.Status)
	}
	return []string{
		"MANDOS_KIND=" + string(e.Kind),
		"MANDOS_TIME=" + humantime.Machine(e.Time),
		"MANDOS_CLIENT=" + e.Client,
		"MANDOS_TEXT=" + printable(clientinfo.Sentence(e)),
		"MANDOS_BY=" + string(e.By.Kind),
		"MANDOS_UID=" + uid,
		"MANDOS_PID=" + pid,
		"MANDOS_REASON=" + string(e.Reason),
		"MANDOS_REFUSAL=" + string(e.Refusal),
		"MANDOS_KEY=" + e.Key,
		"MANDOS_ADDRESS=" + e.Address,
		"MANDOS_STATUS=" + status,
		"MANDOS_ERROR=" + e.Error,
	}
}
