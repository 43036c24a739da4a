// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"mandos/server/client"
)

// Place is where something in the configuration is: an option on the command
// line, or a file and what is known of the place in it.
type Place struct {
	Flag string // with its dashes, as "--port"; then the rest is empty

	File    string
	Line    int // from 1; 0 means the file as a whole
	Section string
	// Key is only ever one that the server knows: what a slip of indentation
	// makes a key may be a piece of a secret.
	Key string
}

// String is empty for the zero Place.
func (p Place) String() string {
	if p.Flag != "" {
		return p.Flag
	}
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line != 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Section != "" {
		name := p.Section
		if len(name) > client.MaxName {
			name = name[:client.MaxName] + "..."
		}
		quoted := strconv.Quote(name)
		fmt.Fprintf(&b, ": [%s]", quoted[1:len(quoted)-1])
	}
	if p.Key != "" {
		b.WriteString(" " + p.Key)
	}
	return b.String()
}

// Error is one thing that is wrong with the configuration. Problem tells what
// to write instead and never contains a secret.
type Error struct {
	Place
	Problem string
}

func (e Error) Error() string { return describe(e.Place, e.Problem) }

// Errors is everything that is wrong, in the order of the files. Exit status 1
// is due.
type Errors []Error

// Error has one line for each error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// OnCommandLine reports whether any of it is about an option on the command line.
// Exit status 2 is due then.
func (e Errors) OnCommandLine() bool {
	return slices.ContainsFunc(e, func(one Error) bool { return one.Flag != "" })
}

// Warning is something accepted that can hardly be meant, and what to do.
type Warning struct {
	Place
	Problem string
}

func (w Warning) String() string { return describe(w.Place, w.Problem) }

func describe(p Place, problem string) string {
	if p == (Place{}) {
		return problem
	}
	return p.String() + ": " + problem
}

// quote shows a value in an error. What is long, or has several lines, is no value
// that anybody would write there, but may be a secret that a slip has put there, or
// have one in it: then it is its size that is shown.
func quote(s string) string {
	const longest = 40
	if len(s) > longest || strings.ContainsAny(s, "\n\r") {
		return fmt.Sprintf("a value of %d bytes", len(s))
	}
	return strconv.Quote(s)
}

// findings collects errors, at most one for a place, and warnings, each once:
// what is wrong in [DEFAULT] is told once and not for each client.
type findings struct {
	errors   map[Place]Error
	warnings map[Warning]bool
	files    map[string]Place // which were read, and what is said of each in which place
}

func newFindings() *findings {
	return &findings{errors: map[Place]Error{}, warnings: map[Warning]bool{}, files: map[string]Place{}}
}

func (f *findings) errorf(p Place, format string, args ...any) {
	if _, told := f.errors[p]; !told {
		f.errors[p] = Error{p, fmt.Sprintf(format, args...)}
	}
}

func (f *findings) warnf(p Place, format string, args ...any) {
	f.warnings[Warning{p, fmt.Sprintf(format, args...)}] = true
}

func comparePlaces(a, b Place) int {
	return cmp.Or(
		cmp.Compare(a.Flag, b.Flag),
		cmp.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line),
		cmp.Compare(a.Section, b.Section),
		cmp.Compare(a.Key, b.Key),
	)
}

// err is nil if there are no errors.
func (f *findings) err() error {
	if len(f.errors) == 0 {
		return nil
	}
	return Errors(slices.SortedFunc(maps.Values(f.errors), func(a, b Error) int { return comparePlaces(a.Place, b.Place) }))
}

func (f *findings) warningList() []Warning {
	return slices.SortedFunc(maps.Keys(f.warnings), func(a, b Warning) int {
		return cmp.Or(comparePlaces(a.Place, b.Place), cmp.Compare(a.Problem, b.Problem))
	})
}

// UsageError is a mistake on the command line: usage text and exit status 2
// are due.
type UsageError struct{ Problem string }

func (e UsageError) Error() string { return e.Problem }

// FlagError turns an error of pflag's parser, about arguments that [Arrange] has
// arranged, into a [UsageError].
func FlagError(err error) error {
	var badValue *pflag.InvalidValueError
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &badValue):
		return UsageError{fmt.Sprintf("argument %s: %s %v", flagNames(badValue.GetFlag()), quote(badValue.GetValue()), badValue.Unwrap())}
	}
	return UsageError{err.Error()}
}

// NoArguments is a [UsageError] about arguments that are no options: the server takes
// options only.
func NoArguments(args []string) error {
	if len(args) == 0 {
		return nil
	}
	return UsageError{"unrecognized arguments: " + strings.Join(args, " ")}
}

func flagNames(f *pflag.Flag) string {
	if f.Shorthand == "" {
		return "--" + f.Name
	}
	return "-" + f.Shorthand + "/--" + f.Name
}
