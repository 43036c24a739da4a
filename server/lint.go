// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"mandos/server/config"
)

// finding is a line of what lint prints.
type finding struct {
	Severity string `json:"severity"` // "error" or "warning"
	File     string `json:"file"`     // or the option of the command line
	Line     int    `json:"line"`     // 0 for the file as a whole
	Section  string `json:"section"`
	Key      string `json:"key"`
	Problem  string `json:"problem"`
}

// lint tells what is wrong with the configuration alone, for mandosctl lint to
// present: errors first, one JSON object a line.
func lint(ctx context.Context, options *config.Options, out io.Writer) error {
	options.Judge = newJudge()
	s, err := load(options)
	var bad config.Errors
	if err != nil && !errors.As(err, &bad) {
		return err
	}
	encoder := json.NewEncoder(out)
	tell := func(severity string, at config.Place, problem string) error {
		return encoder.Encode(finding{severity, cmp.Or(at.Flag, at.File), at.Line, at.Section, at.Key, problem})
	}
	for _, e := range bad {
		if err := tell(isFault, e.Place, e.Problem); err != nil {
			return err
		}
	}
	problems := sandboxed(ctx, s)
	for _, w := range s.Warnings {
		problems = append(problems, unitProblem{config.Error(w), isWarn})
	}
	slices.SortStableFunc(problems, func(a, b unitProblem) int { return cmp.Compare(a.severity, b.severity) })
	for _, p := range problems {
		if err := tell(p.severity, p.Place, p.Problem); err != nil {
			return err
		}
	}
	return nil
}
