// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"mandos/dbusapi"
	"mandos/server/config"
)

// lint tells what is wrong with the configuration alone, for mandosctl lint to
// present: errors first, one JSON object a line.
func lint(ctx context.Context, options *config.Options, out io.Writer) error {
	options.Judge = newJudge()
	s, err := load(options)
	if err != nil && !errors.As(err, new(config.Errors)) {
		return err
	}
	var problems []dbusapi.Finding
	for _, p := range sandboxed(ctx, s) {
		problems = append(problems, finding(dbusapi.Severity(p.severity), p.Place, p.Problem))
	}
	problems = append(problems, warnings(s.Warnings)...)
	slices.SortStableFunc(problems, func(a, b dbusapi.Finding) int { return cmp.Compare(a.Severity, b.Severity) })
	encoder := json.NewEncoder(out)
	for _, f := range append(faults(err), problems...) {
		if err := encoder.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

func finding(severity dbusapi.Severity, at config.Place, problem string) dbusapi.Finding {
	return dbusapi.Finding{Severity: severity, File: cmp.Or(at.Flag, at.File), Line: at.Line, Section: at.Section, Key: at.Key, Problem: problem}
}

// faults are the errors in a configuration as findings.
func faults(err error) (findings []dbusapi.Finding) {
	var bad config.Errors
	errors.As(err, &bad)
	for _, e := range bad {
		findings = append(findings, finding(dbusapi.SeverityError, e.Place, e.Problem))
	}
	return findings
}

func warnings(all []config.Warning) (findings []dbusapi.Finding) {
	for _, w := range all {
		findings = append(findings, finding(dbusapi.SeverityWarning, w.Place, w.Problem))
	}
	return findings
}
