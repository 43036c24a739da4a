// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
	"mandos/mandosctl/console"
	"mandos/mandosctl/jsonoutput"
)

func newStatusCommand(p *program) *cobra.Command {
	asJSON, statistics := false, false
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the server is doing",
		Long: `Shows the server: its version, since when it runs, where it listens, how it is
announced and on the bus, how its clients stand, and where its state is kept.

With --statistics, shows instead what the server has counted since it was started:
hand-outs, refusals, failed handshakes, checks, saves and more, each with what it is.

With --json, an object with "schemaVersion": 1, "version", "startedAt", "address",
"port", "interface", "listenProblem" (empty when it listens wherever it should),
"serviceName", "zeroconfState", "busName", "pid", "user", "clients",
"clientsByState": {STATE: number}, "gone", "goneRefused", "pendingApprovals",
"configDir", "stateDir", "stateProblem" (empty when the state is saved),
"reloadProblem" (empty when the configuration can be read again), "logLevel",
"uplinkFailsSince" (since when the uplink check fails; null if it does not),
"massFailureSince" (since when most clients fail their checks; null if they do not),
"sameKeys" (lists of the names of clients that have one key),
"lockdown" (null without one): {"id", "since", "until" (null without end), "why", "by"},
"statistics": {NAME: number} with the names that --statistics shows.`,
		Example: `  mandosctl status
  mandosctl status --statistics
  mandosctl status --json | jq .clientsByState
  mandosctl status --json | jq '.statistics["refusals.disabled"]'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if statistics && !asJSON {
				return p.statistics(cmd.Context())
			}
			return p.status(cmd.Context(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&statistics, "statistics", false, "show what was counted since the start")
	cmd.Flags().BoolVarP(&asJSON, "json", "j", false, "print JSON")
	return cmd
}

func (p *program) status(ctx context.Context, asJSON bool) error {
	server, clients, err := p.chosen(ctx, nil, true)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	status, err := server.Status(ctx)
	if err != nil {
		return err
	}
	process, err := server.Process(ctx)
	if err != nil {
		return err
	}
	gone, err := p.gone(ctx, server)
	if err != nil {
		return err
	}
	now := time.Now()
	counts := clientinfo.CountStates(clients, now)
	same := clientinfo.SameKeys(clients, gone)
	if asJSON {
		return jsonoutput.Write(p.console.Out, jsonoutput.OfStatus(status, process, len(clients), counts, gone, same), p.console.Terminal)
	}
	p.showStatus(status, process, countsInWords(len(clients), counts), goneInWords(gone), now)
	for _, names := range same {
		p.showLine(clientinfo.Line{Name: "TROUBLE", Value: clientinfo.SameKeyInWords(names)}, p.console.Palette.Bad)
	}
	return nil
}

func (p *program) showStatus(s dbusapi.Status, process dbusapi.Process, clients, gone string, now time.Time) {
	colours := p.console.Palette
	zeroconf := s.ZeroconfState
	if name := strconv.Quote(s.ServiceName); s.ServiceName != "" && !strings.Contains(zeroconf, name) {
		zeroconf += ", as " + name
	}
	p.console.Printf("%s\n", colours.Strong("mandos "+printable(s.Version)))
	for _, line := range []clientinfo.Line{
		{Name: "running since", Value: p.when(s.StartedAt, now)},
		{Name: "process", Value: fmt.Sprintf("%d, user %s", process.PID, clientinfo.UserName(process.UID))},
		{Name: "listens on", Value: s.Listens()},
		{Name: "Zeroconf", Value: zeroconf},
		{Name: "bus", Value: fmt.Sprintf("%s, as %s", dbusapi.BusName, process.Name)},
		{Name: "clients", Value: clients},
		{Name: "gone", Value: gone},
		{Name: "configuration", Value: s.ConfigDir},
		{Name: "state", Value: s.StateDir},
		{Name: "log level", Value: s.LogLevel},
	} {
		if line.Value != "" {
			p.showLine(line, nil)
		}
	}
	if s.Lockdown.On {
		p.showLine(clientinfo.Line{Name: "LOCKDOWN", Value: clientinfo.LockdownInWords(s.Lockdown, now)}, colours.Bad)
	}
	if !s.UplinkFailsSince.IsZero() {
		p.showLine(clientinfo.Line{Name: "TROUBLE", Value: clientinfo.UplinkInWords(s.UplinkFailsSince, now)}, colours.Bad)
	}
	if !s.MassFailureSince.IsZero() {
		p.showLine(clientinfo.Line{Name: "TROUBLE", Value: clientinfo.MassFailureInWords(s.MassFailureSince, now)}, colours.Bad)
	}
	if s.ListenProblem != "" {
		p.showLine(clientinfo.Line{Name: "TROUBLE", Value: s.ListenProblem}, colours.Bad)
	}
	if s.StateProblem != "" {
		p.showLine(clientinfo.Line{Name: "TROUBLE", Value: "the state is not saved: " + s.StateProblem}, colours.Bad)
	}
	if s.ReloadProblem != "" {
		p.showLine(clientinfo.Line{Name: "TROUBLE", Value: "reload will fail: " + s.ReloadProblem}, colours.Bad)
	}
}

func (p *program) statistics(ctx context.Context) error {
	server, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	listed, err := server.ListStatistics(ctx)
	if err != nil {
		return err
	}
	status, err := server.Status(ctx)
	if err != nil {
		return err
	}
	t := &console.Table{Header: []string{"NAME", "VALUE", "WHAT"}}
	for _, s := range listed {
		t.Rows = append(t.Rows, []console.Cell{console.Same(s.Name), console.Same(number(status.Statistics[s.Name])), console.Same(s.Help)})
	}
	return p.showTable(t)
}

// number writes a value of the statistics.
func number(value any) string {
	if seconds, ok := value.(float64); ok {
		return strconv.FormatFloat(seconds, 'f', 3, 64)
	}
	return fmt.Sprint(value)
}

// goneInWords is empty if no client is gone.
func goneInWords(gone []dbusapi.Gone) string {
	if len(gone) == 0 {
		return ""
	}
	return fmt.Sprintf("%d, of which %d would be refused if they came back: see list --gone", len(gone), clientinfo.CountLowered(gone))
}

func countsInWords(clients int, counts map[clientinfo.State]int) string {
	var parts []string
	for _, state := range clientinfo.States {
		if n := counts[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d: %s", clients, strings.Join(parts, ", "))
}
