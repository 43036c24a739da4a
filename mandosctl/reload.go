// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
)

func newReloadCommand(p *program) *cobra.Command {
	process := 0
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the server read its configuration again",
		Long: `Has the server read its configuration files again, as SIGHUP does. It follows them in
what concerns the clients, and in the log level; the rest takes a restart. When
anything is wrong with the files, the error says what, and nothing has changed. It
answers which clients were added, removed and changed. Those that were removed are in
"mandosctl list --gone".

With --signal, a server that is not on the bus is sent SIGHUP; its log says then how
it went.`,
		Example: `  mandosctl reload
  mandosctl reload --signal "$MAINPID"`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := p.reload(cmd.Context())
			if process > 0 && (errors.Is(err, dbusapi.ErrNoBus) || errors.Is(err, dbusapi.ErrNoServer)) {
				return p.hangUp(process)
			}
			return err
		},
	}
	cmd.Flags().IntVar(&process, "signal", 0, "send SIGHUP to the process `PID` if the server is not on the bus")
	return cmd
}

// counted says how much a reload did.
func counted(r dbusapi.Reloaded) string {
	if r.Added == nil { // the server is of an earlier version
		return ""
	}
	if len(r.Added)+len(r.Removed)+len(r.Changed) == 0 {
		return "; no client was added, removed or changed"
	}
	return fmt.Sprintf("; clients: %d added, %d removed, %d changed", len(r.Added), len(r.Removed), len(r.Changed))
}

// hangUp asks a process to reload that nothing else can be asked of.
func (p *program) hangUp(process int) error {
	if err := syscall.Kill(process, syscall.SIGHUP); err != nil {
		return fmt.Errorf("the server is not on the bus, and process %d cannot be sent SIGHUP: %w", process, err)
	}
	p.console.Printf("the server is not on the bus: SIGHUP was sent to process %d, and its log says how it goes\n", process)
	return nil
}

func (p *program) reload(ctx context.Context) error {
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reloaded, err := server.Reload(ctx)
	if err != nil {
		return err
	}
	p.console.Printf("configuration reloaded%s\n", counted(reloaded))
	for _, done := range []struct {
		what  string
		names []string
	}{{"added", reloaded.Added}, {"removed", reloaded.Removed}, {"changed", reloaded.Changed}} {
		if len(done.names) > 0 {
			p.console.Printf("%s: %s\n", done.what, printable(strings.Join(done.names, ", ")))
		}
	}
	if len(reloaded.Away) > 0 {
		p.console.Printf("without effect, since removed: %s; see \"mandosctl list --gone\"\n", printable(strings.Join(reloaded.Away, ", ")))
	}
	return nil
}
