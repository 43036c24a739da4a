// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mandos/dbusapi/notation"
)

// usageError is a command line that makes no sense. Only it is answered with
// the usage.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// takes checks the arguments of a command that takes just these; one in brackets,
// as "[FILE]", may be missing.
func takes(words ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(words) && !strings.HasPrefix(words[len(args)], "[") {
			return usagef("%s is missing", words[len(args)])
		}
		if len(args) > len(words) {
			return usagef("%q is too much", args[len(words)])
		}
		return nil
	}
}

// takesSome checks the arguments of a command that takes at least one.
func takesSome(word string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s is missing", word)
		}
		return nil
	}
}

// oneOf checks that something is one of those that there are.
func oneOf(what, given string, known []string) error {
	for _, k := range known {
		if given == k {
			return nil
		}
	}
	return usagef("%s must be one of %s, not %q%s", what, strings.Join(known, ", "), given, meant(given, known))
}

// meant asks whether one of those that there are was meant; it is empty if none
// comes near.
func meant(written string, known []string) string {
	for _, k := range known {
		if notation.IsSlip(written, k) {
			return fmt.Sprintf(" (did you mean %q?)", k)
		}
	}
	for _, k := range known {
		if len(written) > 1 && strings.HasPrefix(k, written) {
			return fmt.Sprintf(" (did you mean %q?)", k)
		}
	}
	return ""
}

// unknownCommand is the error about a command that there is not.
func unknownCommand(root *cobra.Command, name string) error {
	var known []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	return usagef("there is no command %q%s", name, meant(name, known))
}

// flagError says in our words what is wrong with an option.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	var badValue *pflag.InvalidValueError
	var badSyntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usagef("there is no option -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		name := "--" + unknown.GetSpecifiedName()
		return usagef("there is no option %s%s", name, meant(name, known))
	case errors.As(err, &noValue):
		return usagef("--%s needs a value", noValue.GetFlag().Name)
	case errors.As(err, &badValue):
		flag := badValue.GetFlag()
		switch flag.Value.Type() {
		case "int":
			return usagef("--%s: %q is not a whole number that could be meant", flag.Name, badValue.GetValue())
		case "bool":
			return usagef("--%s: %q is neither true nor false; the option needs no value", flag.Name, badValue.GetValue())
		}
		return usagef("--%s: %w", flag.Name, badValue.Unwrap())
	case errors.As(err, &badSyntax):
		return usagef("%q is no option", badSyntax.GetSpecifiedFlag())
	}
	return usageError{err}
}
