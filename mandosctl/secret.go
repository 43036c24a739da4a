// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/dbusapi/openpgpblob"
)

// maxSecret is far above the size of any OpenPGP message with a password in it.
const maxSecret = 1 << 20

func newSecretCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "secret NAME (FILE | -)",
		Short: "Give a client another secret",
		Long: `Gives a client the contents of a file, or of standard input for "-", as its secret:
OpenPGP data, encrypted so that only that client can read it, as binary or ASCII
armor. Anything else is refused. The server keeps it until the secret is changed in
clients.conf. Not to lose it then, put it there too: "mandosctl add" does so for new
clients.`,
		Example: `  mandosctl secret laptop-7 laptop-7.gpg
  gpg --encrypt --recipient 'Mandos client' <password | mandosctl secret laptop-7 -`,
		Args: takes("NAME", "FILE, or - for standard input,"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.setSecret(cmd.Context(), args[0], args[1])
		},
		ValidArgsFunction: p.completeNameThenFile,
	}
}

func (p *program) setSecret(ctx context.Context, name, file string) error {
	secret, err := p.readInput(file, maxSecret)
	if err != nil {
		return err
	}
	if err := p.judgeSecret(name, secret); err != nil {
		return err
	}
	server, clients, err := p.chosen(ctx, []string{name}, false)
	if err != nil {
		return err
	}
	defer server.Close()
	if _, err := only(clients, name); err != nil {
		return err
	}
	return p.actOn(ctx, server, clients, func(ctx context.Context, s *dbusapi.Connection, c dbusapi.Client) (string, error) {
		return fmt.Sprintf("secret of %d bytes set", len(secret)), s.SetSecret(ctx, c, secret)
	})
}

// judgeSecret refuses what can hardly be meant as a client's secret, and tells whose
// it is.
func (p *program) judgeSecret(client string, secret []byte) error {
	blob, err := openpgpblob.Judge(secret)
	if err != nil {
		return fmt.Errorf("the secret of %s cannot be taken: %w; %s", client, err, openpgpblob.Advice)
	}
	for _, r := range blob.Weak() {
		p.console.Notef("warning: %s is a weak key; make a new one on the client with mandos-keygen --force", r.String())
	}
	p.console.Notef("The secret of %s is encrypted to %s.", printable(client), blob.Keys())
	return nil
}

// readInput reads a file, or standard input for "-" and the empty name.
func (p *program) readInput(name string, most int64) ([]byte, error) {
	in := p.console.In
	if name != "-" && name != "" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > most:
		return nil, fmt.Errorf("%s has more than %d bytes, which cannot be right", name, most)
	}
	return data, nil
}
