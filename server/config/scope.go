// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of one expansion. Nesting is Python's own limit.
const (
	maxNesting    = 10
	maxReferences = 10_000
	maxExpansion  = 4 << 20 // bytes
)

// scope is where the names of one section are looked up: first the section,
// then what it inherits from, nearest first.
type scope struct {
	sections []*section
	// private names settings that no other may refer to.
	private map[string]bool
	// referred collects the names that were referred to.
	referred map[string]bool
}

func newScope(sections ...*section) *scope {
	return &scope{sections: sections, referred: map[string]bool{}}
}

func (s *scope) lookup(key string) (setting, bool) {
	for _, section := range s.sections {
		if found, ok := section.settings[key]; ok {
			return found, true
		}
	}
	return setting{}, false
}

// each calls do for every key, once.
func (s *scope) each(do func(key, raw string)) {
	for i, section := range s.sections {
		for _, key := range section.keys {
			if !s.shadowed(key, i) {
				do(key, section.settings[key].raw)
			}
		}
	}
}

func (s *scope) shadowed(key string, depth int) bool {
	for _, nearer := range s.sections[:depth] {
		if _, ok := nearer.settings[key]; ok {
			return true
		}
	}
	return false
}

// expand replaces every %(name)s in a value and makes every %% one percent
// sign, as Python's configparser does (BasicInterpolation).
func (s *scope) expand(raw string) (string, error) {
	e := expansion{scope: s}
	if err := e.add(raw, 1); err != nil {
		return "", err
	}
	return e.out.String(), nil
}

var errNoReferent = errors.New("refers to a setting that is neither here nor in [DEFAULT]")

// expansion is one value being expanded.
type expansion struct {
	scope      *scope
	out        strings.Builder
	references int
}

func (e *expansion) add(raw string, nesting int) error {
	if nesting > maxNesting {
		return fmt.Errorf("the %%(name)s references go in a circle, or deeper than %d; break the chain", maxNesting)
	}
	for {
		before, after, found := strings.Cut(raw, "%")
		if e.out.WriteString(before); e.out.Len() > maxExpansion {
			return fmt.Errorf("the value grows beyond %d bytes when its %%(name)s references are expanded; write a shorter one", maxExpansion)
		}
		if !found {
			return nil
		}
		var err error
		if raw, err = e.percent(after, nesting); err != nil {
			return err
		}
	}
}

// percent expands what follows a percent sign and gives the rest.
func (e *expansion) percent(after string, nesting int) (rest string, err error) {
	if rest, ok := strings.CutPrefix(after, "%"); ok {
		e.out.WriteByte('%')
		return rest, nil
	}
	name, ok := strings.CutPrefix(after, "(")
	if !ok {
		return "", errors.New("a percent sign must be doubled (%%) or start %(name)s")
	}
	name, rest, ok = strings.Cut(name, ")")
	if !ok || name == "" || !strings.HasPrefix(rest, "s") {
		return "", errors.New("a reference must be written %(name)s, and %%(name)s if it is for the time when the checker is run")
	}
	name, rest = strings.ToLower(name), rest[1:]

	if e.scope.private[name] {
		return "", fmt.Errorf("%s would show the secret; no other setting may refer to it", quote("%("+name+")s"))
	}
	if e.references++; e.references > maxReferences {
		return "", fmt.Errorf("the value has more than %d %%(name)s references; write a simpler one", maxReferences)
	}
	referred, ok := e.scope.lookup(name)
	if !ok {
		return "", fmt.Errorf("%s %w; add it, or double the percent sign if it is for the time when the checker is run", quote("%("+name+")s"), errNoReferent)
	}
	e.scope.referred[name] = true
	if !strings.Contains(referred.raw, "%") {
		e.out.WriteString(referred.raw)
		return rest, nil
	}
	return rest, e.add(referred.raw, nesting+1)
}
