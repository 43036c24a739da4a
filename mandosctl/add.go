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
	"mandos/mandosctl/clientsdir"
	"mandos/mandosctl/openpgpblob"
	"mandos/mandosctl/section"
)

type addOptions struct {
	file      string
	configDir string
}

func newAddCommand(p *program) *cobra.Command {
	var o addOptions
	cmd := &cobra.Command{
		Use:   "add [FILE | -]",
		Short: "Enrol a client",
		Long: `Takes what "mandos-keygen --password" prints on the client, from a file or from
standard input; checks that its key and name are new and that its secret is OpenPGP
data that really is encrypted; writes it to clients.d/NAME.conf in the configuration
directory, readable for the owner of clients.conf alone; has the server reload; and
shows the new client. If the server does not accept it, the file is taken away again.
Nothing is ever overwritten.`,
		Example: `  ssh laptop-7 mandos-keygen --password | mandosctl add -
  mandosctl add laptop-7.conf`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.file = "-"
			if len(args) == 1 {
				o.file = args[0]
			}
			return p.add(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.configDir, "configdir", "", "configuration `directory` of the server, which otherwise\nsays itself which it is")
	return cmd
}

func (p *program) add(ctx context.Context, o addOptions) error {
	if o.file == "-" && p.console.Interactive {
		p.console.Notef("Paste what mandos-keygen --password printed, and end it with Ctrl-D.")
	}
	text, err := p.readInput(o.file, section.MaxSize)
	if err != nil {
		return err
	}
	s, err := section.Parse(string(text))
	if err != nil {
		return err
	}
	blob, err := openpgpblob.Inspect(s.Secret)
	if err != nil {
		return fmt.Errorf("the secret of %s must be OpenPGP data that only the client can read: %w", s.Name, err)
	}
	if err := p.judge(s, blob); err != nil {
		return err
	}
	server, clients, err := p.chosen(ctx, nil, true)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := isNew(s, clients); err != nil {
		return err
	}
	return p.enrol(ctx, server, s, o.configDir)
}

// judge tells whether the secret can be meant for a client.
func (p *program) judge(s *section.Section, blob *openpgpblob.Blob) error {
	if len(blob.Recipients) == 0 {
		return fmt.Errorf("the secret of %s is encrypted with a passphrase, and a client has only its key; run mandos-keygen --password there", s.Name)
	}
	if !blob.Integrity {
		return fmt.Errorf("the secret of %s is encrypted in an old form that anybody could change unnoticed; run mandos-keygen --password with a newer GnuPG", s.Name)
	}
	var keys []string
	for _, r := range blob.Recipients {
		keys = append(keys, r.String())
		if r.Weak() {
			p.console.Notef("warning: %s is a weak key; make a new one on the client with mandos-keygen --force", r.String())
		}
	}
	p.console.Notef("The secret of %s is encrypted to %s.", printable(s.Name), strings.Join(keys, ", "))
	return nil
}

// isNew tells whether the server has nothing like that client yet.
func isNew(s *section.Section, clients []dbusapi.Client) error {
	i := slices.IndexFunc(clients, func(c dbusapi.Client) bool {
		return c.Name == s.Name || s.KeyID != "" && c.KeyID == s.KeyID ||
			s.Fingerprint != "" && c.Fingerprint == s.Fingerprint
	})
	switch {
	case i < 0:
		return nil
	case clients[i].Name == s.Name:
		return fmt.Errorf("the server has a client %q already; change its section in the configuration, or take that out first", s.Name)
	}
	return fmt.Errorf("the key of %s is that of client %q already; each host must have its own", s.Name, clients[i].Name)
}

// enrol writes the section and has the server read it, or leaves everything as
// it was.
func (p *program) enrol(ctx context.Context, server *dbusapi.Server, s *section.Section, configDir string) error {
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
	file, err := clientsdir.Add(configDir, s.Name, s.Text)
	if err != nil {
		return err
	}
	c, err := reloadWith(ctx, server, s, configDir)
	switch {
	case errors.Is(err, errNotRead), errors.Is(err, dbusapi.ErrFailed), errors.Is(err, dbusapi.ErrInvalid):
		if undo := file.Remove(); undo != nil {
			return fmt.Errorf("%w; and the file could not be taken away again: %w", err, undo)
		}
		return fmt.Errorf("%s was not added: %w", s.Name, err)
	case err != nil:
		return fmt.Errorf("%s was written, but whether the server has read it is not known; see \"mandosctl reload\": %w", file.Path, err)
	}
	p.console.Notef("Written to %s.", filepath.Clean(file.Path))
	return p.print([]dbusapi.Client{c}, listOptions{}, time.Now())
}

// reloadWith has the server read its configuration, which must give it the new client.
func reloadWith(ctx context.Context, server *dbusapi.Server, s *section.Section, configDir string) (dbusapi.Client, error) {
	if err := server.Reload(ctx); err != nil {
		return dbusapi.Client{}, err
	}
	clients, err := server.Clients(ctx)
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
