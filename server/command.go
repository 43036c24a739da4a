// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mandos/server/config"
	"mandos/server/daemonize"
	"mandos/server/logging"
	"mandos/server/systemd"
)

// Exit statuses, which are upstream's.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// exitStatus is an error whose reason was told already.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run is the whole program: arguments in, exit status out.
func run(args []string, stdout, stderr io.Writer) int {
	parent := daemonize.Inherited()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	cmd := newCommand(parent)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()

	args, err := config.Arrange(cmd.Flags(), args)
	if err == nil {
		cmd.SetArgs(args)
		err = cmd.ExecuteContext(ctx)
	}
	var status exitStatus
	var usage config.UsageError
	var bad config.Errors
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errStopped):
		fmt.Fprintf(stderr, "mandos: %v\n", err)
		return exitOK
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		logging.Complain(stderr, fmt.Sprintf("usage: %s\nmandos: error: %v; see mandos --help", cmd.UseLine(), err))
		return exitUsage
	case errors.As(err, &bad) && bad.OnCommandLine():
		logging.Complain(stderr, "usage: "+cmd.UseLine())
		for _, one := range bad {
			prefix := ""
			if one.Flag != "" {
				prefix = "mandos: error: argument "
			}
			logging.Complain(stderr, prefix+one.Error())
		}
		return exitUsage
	case errors.As(err, &bad):
		logging.Complain(stderr, bad.Error())
	default:
		logging.Complain(stderr, "mandos: "+err.Error())
	}
	return exitFailure
}

// newCommand is the command line. The parent, if not nil, waits for the server to
// be ready.
func newCommand(parent *daemonize.Parent) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mandos [OPTION...]",
		Short: "Hand encrypted secrets to the clients that prove their keys",
		Long: `mandos serves the clients of Mandos: hosts with an encrypted root file system
that fetch their own encrypted password over the network to boot unattended. It
reads mandos.conf, clients.conf and clients.d/*.conf, and is watched and steered
with mandosctl(1).`,
		Example: `  mandos                                   serve as a daemon, with /etc/mandos
  mandos --foreground                      serve under a supervisor such as systemd
  mandos --debug --no-zeroconf --port 4711 --configdir ./conf --statedir ./state
  mandos --check                           report what is wrong, without serving`,
		Version:               version,
		Args:                  func(_ *cobra.Command, args []string) error { return config.NoArguments(args) },
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		CompletionOptions:     cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	cmd.SetVersionTemplate("mandos {{.Version}}\n")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return config.FlagError(err) })
	cmd.Flags().SortFlags = false
	options := config.AddFlags(cmd.Flags())
	findings := cmd.Flags().Bool("findings", false, "print what is wrong with the configuration, for mandosctl lint")
	section := cmd.Flags().Bool("read-section", false, "judge a client's section on standard input, for mandosctl add")
	secret := cmd.Flags().Bool("judge-secret", false, "judge a secret on standard input, for mandosctl secret")
	for _, name := range []string{"findings", "read-section", "judge-secret"} {
		cmd.Flags().Lookup(name).Hidden = true
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := makeAbsolute(cmd.Flag("configdir").Value); err != nil {
			return err
		}
		if isTrial() {
			return serveTrial(cmd.Context(), os.Stdin, cmd.OutOrStdout())
		}
		options.Trust = trusted()
		if isReader() {
			return serveReader(options)
		}
		switch {
		case *findings:
			return lint(cmd.Context(), options, cmd.OutOrStdout())
		case *section:
			return answerSection(cmd.InOrStdin(), cmd.OutOrStdout())
		case *secret:
			return answerSecret(cmd.InOrStdin(), cmd.OutOrStdout())
		}
		if cmd.Flag("check").Value.String() == "true" {
			return check(cmd.Context(), options, cmd.OutOrStdout())
		}
		if cmd.Flag("write-pickle").Value.String() == "true" {
			return giveBack(options, cmd.OutOrStdout())
		}
		hangups := make(chan os.Signal, 1) // from here on, for one would end the start
		signal.Notify(hangups, syscall.SIGHUP)
		var s *settings
		err := starting(cmd.Context(), func() (err error) {
			if s, err = load(options); err == nil {
				err = s.CheckFindable(systemd.PassesSocket())
			}
			return err
		})
		switch {
		case err != nil:
			return err
		case !s.Foreground && parent == nil:
			return launch(cmd.Context())
		}
		return serve(cmd.Context(), s, parent, hangups)
	}
	return cmd
}

// makeAbsolute makes a path independent of the directory, which a daemon leaves.
func makeAbsolute(path pflag.Value) error {
	absolute, err := filepath.Abs(path.String())
	if err != nil {
		return err
	}
	return path.Set(absolute)
}

// launch starts the server as a daemon and answers for it.
func launch(ctx context.Context) error {
	status, err := daemonize.Launch(ctx)
	if err == nil && status != exitOK {
		err = exitStatus(status)
	}
	return err
}
