// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"

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
func lint(options *config.Options, out io.Writer) error {
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
		if err := tell("error", e.Place, e.Problem); err != nil {
			return err
		}
	}
	for _, w := range s.Warnings {
		if err := tell("warning", w.Place, w.Problem); err != nil {
			return err
		}
	}
	return nil
}
