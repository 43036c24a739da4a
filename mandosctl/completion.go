// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
)

// shells are those that completion can be written for.
var shells = map[string]func(*cobra.Command, *program) error{
	"bash": func(root *cobra.Command, p *program) error { return root.GenBashCompletionV2(p.console.Out, true) },
	"zsh":  func(root *cobra.Command, p *program) error { return root.GenZshCompletion(p.console.Out) },
	"fish": func(root *cobra.Command, p *program) error { return root.GenFishCompletion(p.console.Out, true) },
}

var shellNames = []string{"bash", "zsh", "fish"}

func newCompletionCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "completion (bash | zsh | fish)",
		Short: "Print the completion for a shell",
		Long: `Prints a script that has the shell complete commands, flags, and the names of the
clients that the server has at that moment.`,
		Example: `  mandosctl completion bash > /etc/bash_completion.d/mandosctl
  mandosctl completion zsh > "${fpath[1]}/_mandosctl"
  mandosctl completion fish > ~/.config/fish/completions/mandosctl.fish`,
		Args: takes("the name of a shell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("the shell", args[0], shellNames); err != nil {
				return err
			}
			return shells[args[0]](cmd.Root(), p)
		},
		ValidArgs: shellNames,
	}
}

// completionPatience is how long somebody who pressed a key waits.
const completionPatience = 2 * time.Second

// completeNames offers the names of clients that are not on the line yet.
func (p *program) completeNames(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return p.completeWith(cmd, func(ctx context.Context, server *dbusapi.Connection) (names []string, err error) {
		all, err := server.Names(ctx)
		for _, name := range all {
			if strings.HasPrefix(name, begun) && !slices.Contains(args, name) {
				names = append(names, name)
			}
		}
		return names, err
	})
}

// completeWith offers what the server is asked for.
func (p *program) completeWith(cmd *cobra.Command, ask func(context.Context, *dbusapi.Connection) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	server, err := p.connect(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer server.Close()
	names, err := ask(ctx, server)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeName offers one name.
func (p *program) completeName(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.completeNames(cmd, args, begun)
}

func (p *program) completeNameThenFile(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return p.completeName(cmd, args, begun)
}

// completeSettings offers names first, and the keys of settings besides.
func (p *program) completeSettings(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if key, _, ok := strings.Cut(begun, "="); ok {
		return p.completeWith(cmd, func(ctx context.Context, server *dbusapi.Connection) ([]string, error) {
			settings, err := settable(ctx, server)
			return valuesOf(settings, key, begun), err
		})
	}
	offers, directive := p.completeNames(cmd, args, begun)
	if len(args) == 0 {
		return offers, directive | cobra.ShellCompDirectiveNoSpace
	}
	keys, _ := p.completeWith(cmd, func(ctx context.Context, server *dbusapi.Connection) (keys []string, err error) {
		settings, err := settable(ctx, server)
		for _, key := range keysOf(settings) {
			if strings.HasPrefix(key, begun) {
				keys = append(keys, key+"=")
			}
		}
		return keys, err
	})
	return append(offers, keys...), directive | cobra.ShellCompDirectiveNoSpace
}

// valuesOf offers the values of a setting that has but a few.
func valuesOf(settings []dbusapi.Setting, key, begun string) (offers []string) {
	for _, s := range settings {
		if s.Key != key || s.Type != "b" {
			continue
		}
		for _, value := range []bool{true, false} {
			if offer := key + "=" + notation.FormatBool(value); strings.HasPrefix(offer, begun) {
				offers = append(offers, offer)
			}
		}
	}
	return offers
}

// completeFlag offers the values of an option that has but a few.
func completeFlag(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}
