// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"mandos/dbusapi"
)

// ErrUnknown is in the chain of the error about names that fit no client.
var ErrUnknown = errors.New("the server has no client")

// ErrPattern is in the chain of the error about a shell pattern that is none.
var ErrPattern = errors.New("not a shell pattern; write \\[ for a bracket in a name")

// Choose picks the clients of those names and shell patterns, each once, in the
// order in which they were named. A client whose very name is given needs no pattern.
// The error names all that fit nobody.
func Choose(clients []dbusapi.Client, names []string) ([]dbusapi.Client, error) {
	var chosen []dbusapi.Client
	var unknown []string
	taken := make(map[string]bool)
	for _, name := range names {
		fit, err := fitting(clients, name)
		if err != nil {
			return nil, err
		}
		if len(fit) == 0 {
			unknown = append(unknown, fmt.Sprintf("%q", name))
		}
		for _, c := range fit {
			if !taken[c.Name] {
				taken[c.Name] = true
				chosen = append(chosen, c)
			}
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%w %s; \"mandosctl list\" shows those that it has, and with --gone those that are gone", ErrUnknown, strings.Join(unknown, ", "))
	}
	return chosen, nil
}

func fitting(clients []dbusapi.Client, name string) ([]dbusapi.Client, error) {
	i := slices.IndexFunc(clients, func(c dbusapi.Client) bool { return c.Name == name })
	if i >= 0 {
		return clients[i : i+1], nil
	}
	var fit []dbusapi.Client
	if _, err := path.Match(name, ""); err != nil {
		return nil, fmt.Errorf("%q is %w", name, ErrPattern)
	}
	for _, c := range clients {
		if Fits(name, c.Name) {
			fit = append(fit, c)
		}
	}
	return fit, nil
}

// IsPattern reports whether a name may stand for other names than itself.
func IsPattern(name string) bool { return strings.ContainsAny(name, `*?[\\`) }

// Fitting are those of the names that fit any of the names and patterns.
func Fitting(all, patterns []string) (fitting []string) {
	for _, name := range all {
		if slices.ContainsFunc(patterns, func(pattern string) bool { return Fits(pattern, name) }) {
			fitting = append(fitting, name)
		}
	}
	return fitting
}

// Fits reports whether a client's name is that one, or is covered by it as a
// shell pattern.
func Fits(pattern, name string) bool {
	ok, err := path.Match(flat(pattern), flat(name))
	return err == nil && ok || pattern == name
}

// flat hides the slash, which means nothing in the name of a client.
func flat(s string) string { return strings.ReplaceAll(s, "/", "\x00") }

// ByName orders as people do: by name, with numbers in it by their value, so that
// host9 comes before host10.
func ByName(a, b *dbusapi.Client) int {
	return cmp.Or(natural(a.Name, b.Name), cmp.Compare(a.Name, b.Name))
}

func natural(a, b string) int {
	for a != "" && b != "" {
		x, restA := piece(a)
		y, restB := piece(b)
		if order := cmp.Or(number(x, y), cmp.Compare(x, y)); order != 0 {
			return order
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b))
}

// piece cuts off the digits, or what is not digits, that a name begins with.
func piece(s string) (piece, rest string) {
	end := 1
	for end < len(s) && isDigit(s[end]) == isDigit(s[0]) {
		end++
	}
	return s[:end], s[end:]
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// number compares two pieces by their values if both are digits.
func number(a, b string) int {
	if !isDigit(a[0]) || !isDigit(b[0]) {
		return 0
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// Orders are the names of the orders that Sort knows.
var Orders = []string{"name", "state", "expires", "checked"}

// Sort puts clients in one of the Orders, those that are equal by name. By state
// is the most urgent first; by expiry the next to expire, and those that do not
// last; by check the one longest not checked OK.
func Sort(clients []dbusapi.Client, order string, now time.Time) {
	rank := func(a, b *dbusapi.Client) int { return 0 }
	switch order {
	case "state":
		ranks := make(map[string]int, len(clients))
		for i := range clients {
			ranks[clients[i].Name] = slices.Index(States, StateOf(&clients[i], now))
		}
		rank = func(a, b *dbusapi.Client) int { return cmp.Compare(ranks[a.Name], ranks[b.Name]) }
	case "expires":
		rank = func(a, b *dbusapi.Client) int {
			if a.Expires.IsZero() != b.Expires.IsZero() {
				return b.Expires.Compare(a.Expires)
			}
			return a.Expires.Compare(b.Expires)
		}
	case "checked":
		rank = func(a, b *dbusapi.Client) int { return a.LastCheckedOK.Compare(b.LastCheckedOK) }
	}
	slices.SortFunc(clients, func(a, b dbusapi.Client) int { return cmp.Or(rank(&a, &b), ByName(&a, &b)) })
}
