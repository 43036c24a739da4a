// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"mandos/dbusapi/notation"
)

// aboutDurations is for the help of commands that take a duration.
const aboutDurations = `
A DURATION is written as in clients.conf: 5m, '1h 30m' in quotes, 2d, or as in RFC
3339, PT5M and PT1H30M.`

// parseDuration reads a duration of the command line. Nothing at all, which is
// zero in a file, is more likely a slip here.
func parseDuration(text string) (time.Duration, error) {
	if strings.TrimSpace(text) == "" {
		return 0, errors.New("a duration is missing; write for example 5m, or 0s for none")
	}
	d, err := notation.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q %w", text, err)
	}
	return d, nil
}

// durationFlag is the value of a flag that takes a duration.
type durationFlag time.Duration

func (d *durationFlag) String() string {
	if *d == 0 {
		return "" // for no default
	}
	return notation.FormatDuration(time.Duration(*d))
}

func (d *durationFlag) Set(text string) error {
	parsed, err := parseDuration(text)
	*d = durationFlag(parsed)
	return err
}

func (d *durationFlag) Type() string { return "duration" }
