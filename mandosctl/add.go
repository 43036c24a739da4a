// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/console"
	"mandos/mandosctl/enrolment"
)

// maxSection is far above the size of any client's section.
const maxSection = 4 << 20

type addOptions struct {
	file      string
	configDir string
	yes       bool
}

func newAddCommand(p *program) *cobra.Command {
	var o addOptions
	cmd := &cobra.Command{
		Use:   "add [FILE | -]",
		Short: "Enrol a client",
		Long: `Takes what "mandos-keygen --password" prints on the client, from a file or from
standard input; checks that its key and name are new and that its secret is OpenPGP
data that really is encrypted; writes it to clients.d/NAME.conf in the configuration
directory, readable for the owner of clients.conf alone; has the server reload; runs
the checker once; and shows the new client. If the server does not accept it, the
file is taken away again. Nothing is ever overwritten. A client that was there before,
and was disabled, removed or has expired, is refused: see "mandosctl list --gone".

A section may bring the command of its checker, which the server then runs. It is
shown first, and taken if somebody at the terminal agrees, or with --yes.`,
		Example: `  ssh -t root@laptop-7 'mandos-keygen --password >section'
  ssh root@laptop-7 cat section | mandosctl add -
  mandosctl add --yes laptop-7.conf`,
		Args: takes("[FILE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.file = "-"
			if len(args) == 1 {
				o.file = args[0]
			}
			return p.add(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.configDir, "configdir", "", "configuration `directory` of the server, which otherwise\nsays itself which it is")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "take the command of its checker without asking")
	return cmd
}

func (p *program) add(ctx context.Context, o addOptions) error {
	if o.file == "-" && p.console.Interactive {
		p.console.Notef("Paste what mandos-keygen --password printed, and end it with Ctrl-D.")
	}
	text, err := p.readInput(o.file, maxSection)
	if err != nil {
		return err
	}
	s, err := askServer(ctx, p, func(ctx context.Context, server *dbusapi.Connection) (dbusapi.Section, error) {
		return server.ReadSection(ctx, string(text))
	}, text, "--read-section")
	if err != nil {
		return err
	}
	if err := p.accept(s.Findings); err != nil {
		return err
	}
	p.tellRecipients(s.Name, s.Recipients)
	if err := p.agreeTo(s.Command, o.yes); err != nil {
		return err
	}
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	clients, err := alike(ctx, server, &s)
	if err != nil {
		return err
	}
	now := time.Now()
	if err := enrolment.IsNew(&s, clients, now); err != nil {
		return err
	}
	gone, err := p.gone(ctx, server)
	if err != nil {
		return err
	}
	if err := enrolment.IsAllowed(&s, gone, now); err != nil {
		return err
	}
	return p.enrol(ctx, server, &s, o.configDir)
}

// alike are the clients that have the section's name or key.
func alike(ctx context.Context, server *dbusapi.Connection, s *dbusapi.Section) ([]dbusapi.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	names, err := server.NamesWithKey(ctx, s.KeyID, s.Fingerprint)
	if err != nil {
		return nil, err
	}
	return server.ClientsNamed(ctx, append([]string{s.Name}, names...))
}

// agreeTo shows what of a section becomes a command of the server, which another
// machine wrote, and asks whether it may.
func (p *program) agreeTo(command []dbusapi.Assignment, yes bool) error {
	if len(command) == 0 {
		return nil
	}
	p.console.Notef("The section comes with a command that the server would run at every check:")
	for _, s := range command {
		p.console.Notef("  %s = %s", s.Key, strings.ReplaceAll(s.Value, "\n", " "))
	}
	if yes {
		return nil
	}
	ok, err := p.console.Confirm("Take it?")
	switch {
	case errors.Is(err, console.ErrNobody):
		return usagef("nobody can be asked here whether the server may run that; say --yes")
	case err == nil && !ok:
		return errors.New("nothing was added; take the checker out of the section to have the usual one")
	}
	return err
}

// enrol writes the section and has the server read it, or leaves everything as
// it was.
func (p *program) enrol(ctx context.Context, server *dbusapi.Connection, s *dbusapi.Section, configDir string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if configDir == "" {
		status, err := server.Status(ctx)
		if err != nil {
			return err
		}
		if configDir = status.ConfigDir; !filepath.IsAbs(configDir) {
			return fmt.Errorf("the server says that its configuration is in %q, which is not enough to find it; give --configdir", configDir)
		}
	}
	file, err := enrolment.Add(configDir, s.Name, s.Text)
	if err != nil {
		return err
	}
	c, err := reloadWith(ctx, server, s, configDir)
	switch {
	case errors.Is(err, errNotRead), errors.Is(err, dbusapi.ErrBadConfiguration), errors.Is(err, dbusapi.ErrFailed), errors.Is(err, dbusapi.ErrInvalid):
		if undo := file.Remove(); undo != nil {
			return fmt.Errorf("%w; and the file could not be taken away again: %w", err, undo)
		}
		return fmt.Errorf("%s was not added: %w", s.Name, err)
	case err != nil:
		return fmt.Errorf("%s was written, but whether the server has read it is not known; see \"mandosctl reload\": %w", file.Path, err)
	}
	p.console.Notef("Written to %s.", filepath.Clean(file.Path))
	return p.welcome(ctx, server, c)
}

// firstCheck is how long the first check of a new client may take before it is no
// longer waited for.
const firstCheck = 20 * time.Second

// welcome runs the checker of a new client once, says how it went, and shows how the
// client stands. A check that fails does not undo anything: the host may be down.
func (p *program) welcome(ctx context.Context, server *dbusapi.Connection, c dbusapi.Client) error {
	result, err := p.checkOne(ctx, c.Name, firstCheck)
	switch {
	case errors.Is(err, errNoResult):
		p.console.Notef("The first check is not over yet; see \"mandosctl explain\".")
	case err != nil:
		p.console.Notef("warning: the first check did not succeed: %v; see \"mandosctl explain\".", err)
	default:
		p.console.Notef("The first check %s.", result)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	clients, err := named(ctx, server, []string{c.Name})
	if err != nil {
		return err
	}
	return p.print(clients, listOptions{}, time.Now())
}

// reloadWith has the server read its configuration, which must give it the new client.
func reloadWith(ctx context.Context, server *dbusapi.Connection, s *dbusapi.Section, configDir string) (dbusapi.Client, error) {
	if _, err := server.Reload(ctx); err != nil {
		return dbusapi.Client{}, err
	}
	clients, err := server.ClientsNamed(ctx, []string{s.Name})
	if err != nil {
		return dbusapi.Client{}, err
	}
	i := slices.IndexFunc(clients, func(c dbusapi.Client) bool { return c.Name == s.Name && c.KeyID == s.KeyID })
	if i < 0 {
		return dbusapi.Client{}, fmt.Errorf("%w %s; give its configuration directory with --configdir", errNotRead, configDir)
	}
	return clients[i], nil
}

var errNotRead = errors.New("the server does not read")
