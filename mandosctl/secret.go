// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
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
	verdict, err := askServer(ctx, p, func(ctx context.Context, server *dbusapi.Connection) (dbusapi.SecretVerdict, error) {
		return server.JudgeSecret(ctx, secret)
	}, secret, "--judge-secret")
	if err != nil {
		return err
	}
	if err := p.accept(verdict.Findings); err != nil {
		return fmt.Errorf("the secret of %s cannot be taken: %w", name, err)
	}
	p.tellRecipients(name, verdict.Recipients)
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

// accept tells the warnings among findings; its error is what the errors come to.
func (p *program) accept(findings []dbusapi.Finding) error {
	for i := range findings {
		if f := &findings[i]; f.Severity == dbusapi.SeverityWarning {
			p.console.Notef("warning: %s", f.What())
		}
	}
	return dbusapi.Refused(findings)
}

// tellRecipients tells who can read a client's secret.
func (p *program) tellRecipients(client, recipients string) {
	p.console.Notef("The secret of %s is encrypted to %s.", printable(client), recipients)
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
