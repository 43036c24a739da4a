// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

type checkOptions struct {
	names []string
	all   bool
	wait  durationFlag
}

func newCheckCommand(p *program) *cobra.Command {
	o := checkOptions{wait: durationFlag(time.Minute)}
	cmd := &cobra.Command{
		Use:   "check (NAME... | --all)",
		Short: "Run the checkers now and tell their results",
		Long: `Has the server run the clients' checkers now, and waits for their results, which
count as those of any check. A checker that runs already is waited for.` + aboutNames + `
A check that fails is a failure.` + aboutDurations,
		Example: `  mandosctl check laptop-7
  mandosctl check --wait 10s --all`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			o.names = names
			return p.check(cmd.Context(), o)
		},
		ValidArgsFunction: p.completeNames,
	}
	addAll(cmd, &o.all)
	cmd.Flags().Var(&o.wait, "wait", "how long to wait for all results")
	return cmd
}

// checks are those that were asked for and have not ended.
type checks struct {
	waiting map[string]bool
	// tell is told the result of each.
	tell func(name, result string, err error)
}

var (
	// errChecked ends the wait when all checks have ended.
	errChecked = errors.New("all checks have ended")
	// errNoResult is in front of the error about checks that take too long.
	errNoResult = errors.New("no result")
)

func (p *program) check(ctx context.Context, o checkOptions) error {
	if err := namesOrAll(o.names, o.all); err != nil {
		return err
	}
	if o.wait <= 0 {
		return usagef("--wait must be more than 0")
	}
	failed := false
	err := p.runChecks(ctx, o, func(name, result string, err error) {
		if err != nil {
			failed = true
			p.console.Errorf("%s: %v", printable(name), err)
			return
		}
		p.console.Printf("%s: %s\n", printable(name), result)
	})
	if err == nil && failed {
		return exitError(exitFailure)
	}
	return err
}

// checkOne runs one client's checker, and gives the result of one that succeeded.
func (p *program) checkOne(ctx context.Context, name string, wait time.Duration) (result string, err error) {
	o := checkOptions{names: []string{name}, wait: durationFlag(wait)}
	failure := p.runChecks(ctx, o, func(_, text string, problem error) { result, err = text, problem })
	return result, cmp.Or(failure, err)
}

// runChecks runs checkers and tells the result of each, until all have ended or the
// time is over.
func (p *program) runChecks(ctx context.Context, o checkOptions, tell func(name, result string, err error)) error {
	waiting, cancel := context.WithTimeout(ctx, time.Duration(o.wait))
	defer cancel()
	k := &checks{tell: tell}
	names := o.names
	if slices.ContainsFunc(names, clientinfo.IsPattern) {
		names = nil
	}
	err := dbusapi.Follow(waiting, p.bus, false, names, func(server *dbusapi.Connection, e dbusapi.Event) error {
		return k.hear(waiting, server, e, o)
	})
	switch {
	case errors.Is(err, errChecked):
		return nil
	case ctx.Err() == nil && waiting.Err() != nil && len(k.waiting) > 0:
		return fmt.Errorf("%w within %s of %s; it may still come, see \"mandosctl show\"", errNoResult, &o.wait, k.names())
	case ctx.Err() == nil && waiting.Err() != nil:
		return dbusapi.ErrTimeout
	}
	return err
}

func (k *checks) hear(ctx context.Context, server *dbusapi.Connection, e dbusapi.Event, o checkOptions) error {
	switch {
	case e.Kind == dbusapi.ServerDown, e.Kind == dbusapi.BusLost:
		return dbusapi.ErrNoServer
	case e.Kind == dbusapi.ServerUp:
		return k.start(ctx, server, e.Clients, o)
	case !k.waiting[e.Client]:
		return nil
	}
	switch e.Kind {
	case dbusapi.CheckerCompleted:
		k.completed(&e)
	case dbusapi.CheckerNotStarted, dbusapi.CheckerStopped, dbusapi.Removed:
		k.ended(e.Client, "", errors.New(clientinfo.Sentence(&e)))
	}
	return k.over()
}

func (k *checks) start(ctx context.Context, server *dbusapi.Connection, clients []dbusapi.Client, o checkOptions) (err error) {
	if !o.all {
		if clients, err = clientinfo.Choose(clients, o.names); err != nil {
			return err
		}
	}
	k.waiting = make(map[string]bool, len(clients))
	for _, c := range clients {
		k.waiting[c.Name] = true
	}
	for _, c := range clients {
		if err := server.StartChecker(ctx, c); err != nil {
			k.ended(c.Name, "", err)
		}
	}
	return k.over()
}

func (k *checks) completed(e *dbusapi.Event) {
	result := clientinfo.CheckResult(e.Status, e.Signal)
	if e.Status == 0 && e.Signal == 0 {
		k.ended(e.Client, result, nil)
		return
	}
	k.ended(e.Client, "", errors.New(clientinfo.WithOutput("the checker "+result, &e.Now)))
}

// ended tells the result of one check.
func (k *checks) ended(name, result string, err error) {
	delete(k.waiting, name)
	k.tell(name, result, err)
}

func (k *checks) over() error {
	if len(k.waiting) == 0 {
		return errChecked
	}
	return nil
}

func (k *checks) names() string {
	const most = 5
	names := slices.Sorted(maps.Keys(k.waiting))
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
