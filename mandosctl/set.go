// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
)

// setting is one that can be changed at run time, under its name in clients.conf.
type setting struct {
	key string
	// read judges what is to be written before anything is, and gives it back
	// as it was understood.
	read func(value string) (write, string, error)
	// values are those to offer where there are but a few.
	values []string
}

type write func(context.Context, *dbusapi.Connection, dbusapi.Client) error

var settings = []setting{
	textSetting("host", (*dbusapi.Connection).SetHost),
	textSetting("checker", (*dbusapi.Connection).SetChecker),
	durationSetting("timeout", (*dbusapi.Connection).SetTimeout),
	durationSetting("extended_timeout", (*dbusapi.Connection).SetExtendedTimeout),
	durationSetting("interval", (*dbusapi.Connection).SetInterval),
	durationSetting("approval_delay", (*dbusapi.Connection).SetApprovalDelay),
	durationSetting("approval_duration", (*dbusapi.Connection).SetApprovalDuration),
	boolSetting("approved_by_default", (*dbusapi.Connection).SetApprovedByDefault),
}

func textSetting(key string, set func(*dbusapi.Connection, context.Context, dbusapi.Client, string) error) setting {
	return setting{key: key, read: func(value string) (write, string, error) {
		return func(ctx context.Context, s *dbusapi.Connection, c dbusapi.Client) error { return set(s, ctx, c, value) }, printable(value), nil
	}}
}

func durationSetting(key string, set func(*dbusapi.Connection, context.Context, dbusapi.Client, time.Duration) error) setting {
	return setting{key: key, read: func(value string) (write, string, error) {
		d, err := parseDuration(value)
		return func(ctx context.Context, s *dbusapi.Connection, c dbusapi.Client) error { return set(s, ctx, c, d) }, notation.FormatDuration(d), err
	}}
}

func boolSetting(key string, set func(*dbusapi.Connection, context.Context, dbusapi.Client, bool) error) setting {
	return setting{key: key, values: []string{notation.FormatBool(true), notation.FormatBool(false)}, read: func(value string) (write, string, error) {
		b, err := notation.ParseBool(value)
		if err != nil {
			return nil, "", fmt.Errorf("%q %w", value, err)
		}
		return func(ctx context.Context, s *dbusapi.Connection, c dbusapi.Client) error { return set(s, ctx, c, b) }, notation.FormatBool(b), nil
	}}
}

type setOptions struct {
	names, assignments []string
	all                bool
}

func newSetCommand(p *program) *cobra.Command {
	var o setOptions
	cmd := &cobra.Command{
		Use:   "set (NAME... | --all) KEY=VALUE...",
		Short: "Change settings of clients while the server runs",
		Long: `Changes settings of clients. The server keeps them over restarts, until that
setting is changed in clients.conf. The keys are those of clients.conf:

  host=TEXT                   what the checker checks
  checker=COMMAND             a shell command with %(host)s and the like in it
  timeout=DURATION            how long a client stays valid after a check; a shorter
                              one may disable it at once
  extended_timeout=DURATION   the same after it received its secret
  interval=DURATION           the time between two checks; one is started at once
  approval_delay=DURATION     how long a connection waits for approval; 0s for none,
                              also for who waits now: the secret goes out at once
  approval_duration=DURATION  how long a decision holds
  approved_by_default=yes|no  what is decided when nobody decides
` + aboutDurations + ` All values are judged before anything is changed. For the
secret, see "mandosctl secret".` + aboutNames + `
A name with "=" in it is given as a pattern: '?' stands for any character.`,
		Example: `  mandosctl set laptop-7 timeout=1h interval=5m
  mandosctl set 'web*' approval_delay=30s approved_by_default=no
  mandosctl set nas host=nas.example.org 'checker=fping -q -- %(host)s'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				if strings.Contains(arg, "=") {
					o.assignments = append(o.assignments, arg)
				} else {
					o.names = append(o.names, arg)
				}
			}
			return p.set(cmd.Context(), o)
		},
		ValidArgsFunction: p.completeSettings,
	}
	addAll(cmd, &o.all)
	return cmd
}

func (p *program) set(ctx context.Context, o setOptions) error {
	if err := namesOrAll(o.names, o.all); err != nil {
		return err
	}
	if len(o.assignments) == 0 {
		return usagef("nothing to set; write KEY=VALUE, for example timeout=5m")
	}
	var writes []write
	var understood []string
	for _, assignment := range o.assignments {
		write, text, err := readAssignment(assignment)
		if err != nil {
			return usageError{err}
		}
		writes = append(writes, write)
		understood = append(understood, text)
	}
	return p.act(ctx, o.names, o.all, func(ctx context.Context, s *dbusapi.Connection, c dbusapi.Client) (string, error) {
		for i, write := range writes {
			if err := write(ctx, s, c); err != nil {
				return "", fmt.Errorf("%s: %w", understood[i], err)
			}
		}
		return strings.Join(understood, ", "), nil
	})
}

func readAssignment(assignment string) (write, string, error) {
	key, value, _ := strings.Cut(assignment, "=")
	i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
	if i < 0 {
		return nil, "", fmt.Errorf("there is no setting %q; there are %s%s", key, strings.Join(settingKeys(), ", "), meant(key, settingKeys()))
	}
	write, text, err := settings[i].read(value)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", key, err)
	}
	return write, key + "=" + text, nil
}

func settingKeys() []string {
	keys := make([]string, len(settings))
	for i, s := range settings {
		keys[i] = s.key
	}
	return keys
}
