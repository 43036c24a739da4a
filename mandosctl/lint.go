// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

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
	findings, err := findingsOf(ctx, o)
	if err != nil {
		return err
	}
	failed := false
	for _, f := range findings {
		failed = failed || o.strict || f.Severity == "error"
	}
	if err := p.showFindings(findings, o); err != nil {
		return err
	}
	if failed {
		return exitError(exitFailure)
	}
	return nil
}

// findingsOf has the server's program look at the configuration.
func findingsOf(ctx context.Context, o lintOptions) ([]jsonoutput.Finding, error) {
	server := o.server
	if server == "" {
		var err error
		if server, err = findServer(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, server, "--findings", "--configdir", o.dir)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s cannot check the configuration: %s", server, cmp.Or(strings.TrimSpace(errs.String()), err.Error()))
	}
	var findings []jsonoutput.Finding
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var f jsonoutput.Finding
		err := decoder.Decode(&f)
		if errors.Is(err, io.EOF) {
			return findings, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s is no mandos that belongs to this mandosctl", server)
		}
		findings = append(findings, f)
	}
}

// findServer looks for the server's program where it is installed: beside this
// one, in the PATH, or in the directory for such programs, which the PATH of most
// users lacks.
func findServer() (string, error) {
	candidates := []string{"mandos", "/usr/local/sbin/mandos", "/usr/sbin/mandos"}
	if self, err := os.Executable(); err == nil {
		candidates = append([]string{filepath.Join(filepath.Dir(self), "mandos")}, candidates...)
	}
	for _, candidate := range candidates {
		found, err := exec.LookPath(candidate)
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", errors.New("the server's program, mandos, is not found, and has the rules; install it, or name it with --server")
}

func (p *program) showFindings(findings []jsonoutput.Finding, o lintOptions) error {
	if o.json {
		return jsonoutput.Write(p.console.Out, jsonoutput.OfFindings(findings), p.console.Terminal)
	}
	colours := p.console.Palette
	paints := map[string]func(string) string{"error": colours.Bad, "warning": colours.Warning}
	for _, f := range findings {
		severity := f.Severity
		if paint := paints[severity]; paint != nil {
			severity = paint(severity)
		}
		place := f.File
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d", place, f.Line)
		}
		what := strings.TrimSpace(fmt.Sprintf("[%s] %s", f.Section, f.Key))
		if f.Section == "" {
			what = f.Key
		}
		if what != "" {
			what += ": "
		}
		p.console.Printf("%s: %s: %s\n", printable(place), severity, printable(what+f.Problem))
	}
	if len(findings) == 0 && p.console.Terminal {
		p.console.Notef("nothing is wrong with the configuration in %s", o.dir)
	}
	return nil
}
