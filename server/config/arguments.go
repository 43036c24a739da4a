// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Arrange reads arguments in the way of Python's argparse, which decides what is
// an option and what its value, and rewrites them in the one form that pflag
// reads alike: "--option=value". What is no option follows after "--". Nothing
// after a request for help or for the version counts. Hidden flags cannot be
// abbreviated. It fails with a [UsageError].
//
// Unlike argparse it lets a switch have a value, as in --no-dbus=no.
func Arrange(fs *pflag.FlagSet, args []string) ([]string, error) {
	a := arranger{flags: fs}
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			a.others = append(a.others, args[i:]...)
			break
		}
		w, err := a.recognise(args[i])
		if err != nil {
			return nil, err
		}
		if w.flag == nil {
			a.others = append(a.others, args[i])
			continue
		}
		var next *string
		if i+1 < len(args) && a.isValue(args[i+1]) {
			next = &args[i+1]
		}
		used, done, err := a.take(w, next)
		if err != nil {
			return nil, err
		}
		if done {
			return a.arranged, nil
		}
		if used {
			i++
		}
	}
	return append(append(a.arranged, "--"), a.others...), nil
}

type arranger struct {
	flags    *pflag.FlagSet
	arranged []string
	others   []string
}

// word is an argument that begins with an option. Value is what is glued to it.
type word struct {
	flag  *pflag.Flag // nil if it is no option that there is
	short bool        // written with one dash
	value *string
}

// isNumber is what argparse takes for a negative number, and so for a value.
var isNumber = regexp.MustCompile(`^-\d+$|^-\d*\.\d+$`)

// isValue reports whether an option that needs a value can have that one, apart
// from it: what looks like an option cannot be the value of another.
func (a *arranger) isValue(arg string) bool {
	if !strings.HasPrefix(arg, "-") || arg == "-" {
		return true
	}
	if w, err := a.recognise(arg); err != nil || w.flag != nil {
		return false
	}
	return isNumber.MatchString(arg) || arg != "--" && strings.Contains(arg, " ")
}

// recognise finds the option that an argument is or begins with.
func (a *arranger) recognise(arg string) (word, error) {
	switch {
	case !strings.HasPrefix(arg, "-"), arg == "-", arg == "--":
		return word{}, nil
	case !strings.HasPrefix(arg, "--"):
		return a.short(arg[1:]), nil
	}
	name, value, hasValue := strings.Cut(arg[2:], "=")
	names := a.withPrefix(name)
	switch {
	case len(names) > 1:
		return word{}, UsageError{fmt.Sprintf("ambiguous option: %s could match --%s", arg, strings.Join(names, ", --"))}
	case len(names) == 0:
		return word{}, nil
	}
	w := word{flag: a.flags.Lookup(names[0])}
	if hasValue {
		w.value = &value
	}
	return w, nil
}

// short recognises the letter that text begins with.
func (a *arranger) short(text string) word {
	w := word{flag: a.flags.ShorthandLookup(text[:1]), short: true}
	if rest := text[1:]; rest != "" {
		rest = strings.TrimPrefix(rest, "=")
		w.value = &rest
	}
	return w
}

// withPrefix lists the long options that start with prefix, or only the one that
// is prefix.
func (a *arranger) withPrefix(prefix string) (names []string) {
	if a.flags.Lookup(prefix) != nil {
		return []string{prefix}
	}
	a.flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && strings.HasPrefix(f.Name, prefix) {
			names = append(names, f.Name)
		}
	})
	slices.Sort(names)
	return names
}

// take arranges an option with the value that it needs, be it glued to it or next,
// and reports whether it used the latter, and whether nothing counts after it.
func (a *arranger) take(w word, next *string) (used, done bool, err error) {
	name := "--" + w.flag.Name
	switch {
	case endsAll(w.flag):
		used, err = a.followedBy(w, next)
		a.arranged = append(a.arranged, name)
		return used, true, err
	case isSwitch(w.flag) && w.value == nil:
		a.arranged = append(a.arranged, name)
		return false, false, nil
	case w.value != nil:
		a.arranged = append(a.arranged, name+"="+*w.value)
		return false, false, nil
	case next == nil:
		return false, false, UsageError{fmt.Sprintf("argument %s: expected one argument", flagNames(w.flag))}
	}
	a.arranged = append(a.arranged, name+"="+*next)
	return true, false, nil
}

// followedBy looks at what is glued to an option after which nothing counts: it
// must be right all the same.
func (a *arranger) followedBy(w word, next *string) (used bool, err error) {
	if w.value == nil {
		return false, nil
	}
	ignored := UsageError{fmt.Sprintf("argument %s: ignored explicit argument %s", flagNames(w.flag), quote(*w.value))}
	if !w.short || *w.value == "" {
		return false, ignored
	}
	glued := a.short(*w.value)
	if glued.flag == nil {
		return false, ignored
	}
	rest := arranger{flags: a.flags}
	used, _, err = rest.take(glued, next)
	return used, err
}

// endsAll reports whether the option is for help or the version, and not from [AddFlags].
func endsAll(f *pflag.Flag) bool { return f.Name == "help" || f.Name == "version" }

func isSwitch(f *pflag.Flag) bool { return f.NoOptDefVal != "" }
