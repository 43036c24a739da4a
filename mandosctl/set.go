// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
	"mandos/mandosctl/console"
)

type setOptions struct {
	names, assignments []string
	all, list          bool
}

func newSetCommand(p *program) *cobra.Command {
	var o setOptions
	cmd := &cobra.Command{
		Use:   "set ((NAME... | --all) KEY=VALUE... | --list)",
		Short: "Change settings of clients while the server runs",
		Long: `Changes settings of clients. The server keeps them over restarts, until that
setting is changed in clients.conf. The keys are those of clients.conf; --list prints
which of them the server can change, of what type they are, and what they are by
default. mandos-clients.conf(5) says what they mean. At run time moreover

  a shorter timeout    may disable a client at once
  another interval     starts a check at once
  approval_delay=0s    has the secret go out at once to who waits for approval
` + aboutDurations + ` All values are judged before anything is changed. For the
secret, see "mandosctl secret".` + aboutNames + `
A name with "=" in it is given as a pattern: '?' stands for any character.`,
		Example: `  mandosctl set --list
  mandosctl set laptop-7 timeout=1h interval=5m
  mandosctl set 'web*' approval_delay=30s
  mandosctl set nas host=nas.example.org 'checker=fping -q -- %(host)s'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				if strings.Contains(arg, "=") {
					o.assignments = append(o.assignments, arg)
				} else {
					o.names = append(o.names, arg)
				}
			}
			return p.set(cmd.Context(), o)
		},
		ValidArgsFunction: p.completeSettings,
	}
	addAll(cmd, &o.all)
	cmd.Flags().BoolVarP(&o.list, "list", "l", false, "list the settings that can be changed")
	return cmd
}

func (p *program) set(ctx context.Context, o setOptions) error {
	if o.list {
		return p.listSettings(ctx, o)
	}
	if err := namesOrAll(o.names, o.all); err != nil {
		return err
	}
	if len(o.assignments) == 0 {
		return usagef("nothing to set; write KEY=VALUE, for example timeout=5m")
	}
	server, clients, err := p.chosen(ctx, o.names, o.all)
	if err != nil {
		return err
	}
	defer server.Close()
	settings, err := settable(ctx, server)
	if err != nil {
		return err
	}
	writes := make([]write, len(o.assignments))
	for i, assignment := range o.assignments {
		if writes[i], err = readAssignment(settings, assignment); err != nil {
			return usageError{err}
		}
	}
	return p.actOn(ctx, server, clients, func(ctx context.Context, s *dbusapi.Connection, c dbusapi.Client) (string, error) {
		var done []string
		for _, w := range writes {
			if err := s.Set(ctx, c, w.setting, w.value); err != nil {
				return "", fmt.Errorf("%s: %w", w.understood, err)
			}
			done = append(done, w.understood)
		}
		return strings.Join(done, ", "), nil
	})
}

// settable are the settings that the server can change, but for the secret, which has
// a command of its own.
func settable(ctx context.Context, server *dbusapi.Connection) ([]dbusapi.Setting, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	settings, err := server.Settings(ctx)
	return slices.DeleteFunc(slices.Clone(settings), func(s dbusapi.Setting) bool {
		return !s.Writable || s.Type == "ay"
	}), err
}

// write is a setting and what is to be written to it, also as it was understood.
type write struct {
	setting    dbusapi.Setting
	value      any
	understood string
}

func readAssignment(settings []dbusapi.Setting, assignment string) (write, error) {
	key, text, _ := strings.Cut(assignment, "=")
	i := slices.IndexFunc(settings, func(s dbusapi.Setting) bool { return s.Key == key })
	if i < 0 {
		keys := keysOf(settings)
		return write{}, fmt.Errorf("there is no setting %q; there are %s%s", key, strings.Join(keys, ", "), meant(key, keys))
	}
	value, understood, err := readValue(settings[i].Type, text)
	if err != nil {
		return write{}, fmt.Errorf("%s: %w", key, err)
	}
	return write{settings[i], value, key + "=" + understood}, nil
}

// readValue reads a value of a type as the bus names it, and gives it back as it was
// understood.
func readValue(kind, text string) (value any, understood string, err error) {
	switch kind {
	case "t":
		d, err := parseDuration(text)
		return d, notation.FormatDuration(d), err
	case "u":
		n, err := notation.ParseCount(text)
		if err != nil {
			return nil, "", fmt.Errorf("%q %w", text, err)
		}
		return uint32(n), strconv.Itoa(n), nil
	case "b":
		b, err := notation.ParseBool(text)
		if err != nil {
			return nil, "", fmt.Errorf("%q %w", text, err)
		}
		return b, notation.FormatBool(b), nil
	}
	return text, printable(text), nil
}

func keysOf(settings []dbusapi.Setting) []string {
	keys := make([]string, len(settings))
	for i, s := range settings {
		keys[i] = s.Key
	}
	return keys
}

// typeNames are the types as people call them.
var typeNames = map[string]string{"s": "text", "t": "duration", "u": "number", "b": "yes or no"}

func (p *program) listSettings(ctx context.Context, o setOptions) error {
	if len(o.names) > 0 || len(o.assignments) > 0 || o.all {
		return usagef("--list takes no names and no assignments")
	}
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	settings, err := settable(ctx, server)
	if err != nil {
		return err
	}
	t := &console.Table{Header: []string{"KEY", "TYPE", "DEFAULT"}}
	for _, s := range settings {
		t.Rows = append(t.Rows, []console.Cell{console.Same(s.Key), console.Same(typeNames[s.Type]), console.Same(s.Default)})
	}
	return p.showTable(t)
}

// showTable aligns a table for people, and leaves it to programs as it is.
func (p *program) showTable(t *console.Table) error {
	if !p.console.Terminal {
		return t.TSV(p.console.Out)
	}
	return t.Aligned(p.console.Out, p.console.Width)
}
