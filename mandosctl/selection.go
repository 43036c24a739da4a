// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mandos/dbusapi"
)

// choose picks the clients of those names and shell patterns, each once, in the
// order in which they were named. A client whose very name is given needs no pattern.
// The error names all that fit nobody.
func choose(clients []dbusapi.Client, names []string) ([]dbusapi.Client, error) {
	var chosen []dbusapi.Client
	var unknown []string
	taken := make(map[string]bool)
	for _, name := range names {
		fit, err := fitting(clients, name)
		if err != nil {
			return nil, err
		}
		if len(fit) == 0 {
			unknown = append(unknown, name)
		}
		for _, c := range fit {
			if !taken[c.Name] {
				taken[c.Name] = true
				chosen = append(chosen, c)
			}
		}
	}
	if len(unknown) > 0 {
		return nil, unknownError(unknown)
	}
	return chosen, nil
}

func fitting(clients []dbusapi.Client, name string) ([]dbusapi.Client, error) {
	i := slices.IndexFunc(clients, func(c dbusapi.Client) bool { return c.Name == name })
	if i >= 0 {
		return clients[i : i+1], nil
	}
	var fit []dbusapi.Client
	for _, c := range clients {
		ok, err := path.Match(flat(name), flat(c.Name))
		if err != nil {
			return nil, usagef("%q is not a shell pattern", name)
		}
		if ok {
			fit = append(fit, c)
		}
	}
	return fit, nil
}

// flat hides the slash, which has no meaning in the name of a client.
func flat(s string) string { return strings.ReplaceAll(s, "/", "\x00") }

func unknownError(names []string) error {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return fmt.Errorf("there is no client %s; \"mandosctl list\" shows all", strings.Join(quoted, ", "))
}
