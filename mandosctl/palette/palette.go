// SPDX-License-Identifier: Apache-2.0

// Package palette says which colour goes with what. There is nothing that only
// a colour says.
package palette

import (
	"mandos/mandosctl/chronicle"
	"mandos/mandosctl/standing"
)

// Paint adds a colour to a text. A nil one is never returned.
type Paint func(string) string

// Palette has the colours by what they are for.
type Palette struct {
	Good, Bad, Warning, Faint, Strong, Plain Paint
	Reverse, ReverseBad                      Paint
}

// New makes the colours of a terminal (ECMA-48, SGR), or without on the absence
// of all colours.
func New(on bool) *Palette {
	sgr := func(code string) Paint {
		return func(s string) string {
			if !on || s == "" {
				return s
			}
			return "\x1b[" + code + "m" + s + "\x1b[0m"
		}
	}
	return &Palette{
		Good: sgr("32"), Bad: sgr("31"), Warning: sgr("33"), Faint: sgr("2"), Strong: sgr("1"),
		Plain:   func(s string) string { return s },
		Reverse: sgr("7"), ReverseBad: sgr("7;31"),
	}
}

// State is the colour of a client that stands so.
func (p *Palette) State(state standing.State) Paint {
	switch state {
	case standing.Pending, standing.Expiring, standing.Failing:
		return p.Warning
	case standing.Expired:
		return p.Bad
	case standing.Enabled:
		return p.Good
	}
	return p.Faint
}

// Tone is the colour of news.
func (p *Palette) Tone(tone chronicle.Tone) Paint {
	switch tone {
	case chronicle.Routine:
		return p.Faint
	case chronicle.Good:
		return p.Good
	case chronicle.Warning:
		return p.Warning
	case chronicle.Bad:
		return p.Bad
	}
	return p.Plain
}
