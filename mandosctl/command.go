// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/console"
)

// The exit statuses, as the help of the program has them.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// patience is how long the bus and the server may take to answer one call.
const patience = 30 * time.Second

// exitError ends the program with a status when all that is to be said was said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run is the whole program: arguments in, exit status out.
func run(args []string, c *console.Console) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRootCommand(&program{console: c})
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var status exitError
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		c.Errorf("%v; see %q", err, cmd.CommandPath()+" --help")
		return exitUsage
	case ctx.Err() != nil:
		c.Errorf("interrupted")
	default:
		c.Errorf("%v", err)
	}
	return exitFailure
}

// program is what all commands share.
type program struct {
	console *console.Console
	bus     string // the D-Bus address; empty for the system bus
}

func newRootCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mandosctl COMMAND",
		Short: "Watch and steer the Mandos server",
		Long: `mandosctl watches and steers the Mandos server: who is fine, who is not, why, and
what now. It talks to the server on this machine over D-Bus.

On a terminal it prints for people; into a pipe or a file it prints one line per
client with tabs between the fields and times in RFC 3339, without colours. The
environment variable NO_COLOR takes the colours away.

Exit status: 0 when all was done; 1 when something failed, for at least one
client; 2 for a command line that makes no sense. Only is-enabled has others. Errors
are on standard error, each mistake on a line.`,
		Example: `  mandosctl list                     who is fine, and who is not
  mandosctl explain laptop-7         would it get its secret now, and why not
  mandosctl disable laptop-7         it was stolen: it gets nothing any more
  mandosctl enable 'web*'            quote patterns
  mandosctl monitor                  everything live, on the whole screen
  ssh -t root@laptop-7 'mandos-keygen --password >section'
  ssh root@laptop-7 cat section | mandosctl add -`,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	// The usage line has it already.
	cmd.SetUsageTemplate(strings.Replace(cmd.UsageTemplate(), "\n  {{.CommandPath}} [command]", "", 1))
	cmd.SetVersionTemplate("mandosctl {{.Version}}\n")
	cmd.SetIn(p.console.In)
	cmd.SetOut(p.console.Out)
	cmd.SetErr(p.console.Err)
	cmd.SetFlagErrorFunc(flagError)
	cmd.PersistentFlags().SortFlags = false
	cmd.PersistentFlags().StringVar(&p.bus, "bus", "", "D-Bus `address` to use instead of the system bus's, which\nDBUS_SYSTEM_BUS_ADDRESS may say as well")
	help := newHelpCommand()
	cmd.SetHelpCommand(help) // in place of one that knows no error
	for _, group := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"See how things stand:", []*cobra.Command{
			newListCommand(p), newShowCommand(p), newExplainCommand(p), newMonitorCommand(p), newWatchCommand(p),
			newStatusCommand(p), newIsEnabledCommand(p),
		}},
		{"Steer clients:", []*cobra.Command{
			newApproveCommand(p), newDenyCommand(p), newAllowCommand(p), newEnableCommand(p), newDisableCommand(p), newCheckCommand(p),
			newStopCheckCommand(p), newAliveCommand(p), newExpectCommand(p), newSetCommand(p), newSecretCommand(p), newRemoveCommand(p), newForgetCommand(p),
			newLockdownCommand(p),
		}},
		{"Configure the server:", []*cobra.Command{
			newAddCommand(p), newLintCommand(p), newReloadCommand(p), newLogLevelCommand(p),
		}},
		{"Others:", []*cobra.Command{
			newCompletionCommand(p), help, newVersionCommand(p),
		}},
	} {
		cmd.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, c := range group.commands {
			c.GroupID = group.title
			cmd.AddCommand(c)
		}
	}
	for _, c := range append(cmd.Commands(), cmd) {
		c.Flags().SortFlags = false
		c.DisableFlagsInUseLine = true
	}
	return cmd
}

// connect connects to the bus that the server is on.
func (p *program) connect(ctx context.Context) (*dbusapi.Connection, error) {
	if p.bus != "" && !strings.Contains(p.bus, ":") {
		return nil, usagef("--bus: %q is no D-Bus address; write for example unix:path=/run/dbus/system_bus_socket", p.bus)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return dbusapi.Connect(ctx, p.bus)
}
