// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/console"
	"mandos/mandosctl/jsonoutput"
)

type lintOptions struct {
	dir    string
	server string
	strict bool
	json   bool
}

func newLintCommand(p *program) *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint [DIR]",
		Short: "Check the configuration without a server",
		Long: `Checks the configuration of a server, in /etc/mandos or the directory given, and
prints all that is wrong with it, each with its file and line: what the server would
not accept, as errors; and as warnings what it accepts but can hardly be meant:
secrets that are not encrypted or to a weak key, two clients with one key, timeouts
that are not longer than intervals, checkers whose program is missing, files that
others can read or write, keys that look misspelled, what the systemd unit forbids.

The rules are those of the server: its program, mandos, which must be installed on
this machine but need not run, is asked for them. The exit status is 1 if there are
errors, with --strict also if there are warnings.

With --json, an object with "schemaVersion": 1 and "findings": [{"severity", "file",
"line", "section", "key", "problem"}]; severity is "error" or "warning", line is 0
for a file as a whole.`,
		Example: `  mandosctl lint
  mandosctl lint --strict ./conf && mandosctl reload`,
		Args: takes("[DIR]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = "/etc/mandos"
			if len(args) == 1 {
				o.dir = args[0]
			}
			return p.lint(cmd.Context(), o)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	cmd.Flags().BoolVar(&o.strict, "strict", false, "take warnings for errors")
	cmd.Flags().BoolVarP(&o.json, "json", "j", false, "print JSON")
	cmd.Flags().StringVar(&o.server, "server", "", "`program` of the server, if it is not found by itself")
	return cmd
}

func (p *program) lint(ctx context.Context, o lintOptions) error {
	info, err := os.Stat(o.dir)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("you may not look into %s; run this as root, with sudo", o.dir)
	case err != nil || !info.IsDir():
		return fmt.Errorf("%s is no directory with a configuration in it", o.dir)
	}
	findings, err := askProgram[dbusapi.Finding](ctx, o.server, nil, "--findings", "--configdir", o.dir)
	switch {
	case errors.Is(err, errNoProgram):
		return fmt.Errorf("%w, or name it with --server", err)
	case err != nil:
		return err
	}
	failed := false
	for _, f := range findings {
		failed = failed || o.strict || f.Severity == dbusapi.SeverityError
	}
	if err := p.showFindings(findings, o); err != nil {
		return err
	}
	if failed {
		return exitError(exitFailure)
	}
	return nil
}

func (p *program) showFindings(findings []dbusapi.Finding, o lintOptions) error {
	if o.json {
		return jsonoutput.Write(p.console.Out, jsonoutput.OfFindings(findings), p.console.Terminal)
	}
	colours := p.console.Palette
	paints := map[dbusapi.Severity]console.Paint{dbusapi.SeverityError: colours.Bad, dbusapi.SeverityWarning: colours.Warning}
	for i := range findings {
		f := &findings[i]
		severity := string(f.Severity)
		if paint := paints[f.Severity]; paint != nil {
			severity = paint(severity)
		}
		p.console.Printf("%s: %s: %s\n", printable(f.Where()), severity, printable(f.What()))
	}
	if len(findings) == 0 && p.console.Terminal {
		p.console.Notef("nothing is wrong with the configuration in %s", o.dir)
	}
	return nil
}
