// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
)

// verdict is one thing that a check has found.
type verdict struct{ Severity, Text string }

// report prints what a check finds as it comes, and counts it.
type report struct {
	out              io.Writer
	errors, warnings int
}

// What a line of a report begins with.
const (
	isFault = "error"
	isWarn  = "warning"
	isFine  = "fine"
)

func (r *report) tell(v verdict) {
	switch v.Severity {
	case isFault:
		r.errors++
	case isWarn:
		r.warnings++
	}
	fmt.Fprintf(r.out, "%s: %s\n", v.Severity, v.Text)
}

func (r *report) fault(format string, args ...any) {
	r.tell(verdict{isFault, fmt.Sprintf(format, args...)})
}

func (r *report) warn(format string, args ...any) {
	r.tell(verdict{isWarn, fmt.Sprintf(format, args...)})
}

func (r *report) fine(format string, args ...any) {
	r.tell(verdict{isFine, fmt.Sprintf(format, args...)})
}
