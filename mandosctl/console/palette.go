// SPDX-License-Identifier: Apache-2.0

package console

// Paint adds a colour to a text. A nil one is never returned.
type Paint func(string) string

// Palette has the colours by what they are for.
type Palette struct {
	Good, Bad, Warning, Faint, Strong, Plain Paint
	Reverse, ReverseBad                      Paint
}

// NewPalette makes the colours of a terminal (ECMA-48, SGR), or without on the absence
// of all colours.
func NewPalette(on bool) *Palette {
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

// Tone is how good the news is.
type Tone int

// The tones.
const (
	Routine Tone = iota // goes on all the time, or is of no interest now
	Plain
	Good
	Warning // somebody should look
	Bad     // something is lost, or may be
)

// Tone is the colour of news.
func (p *Palette) Tone(tone Tone) Paint {
	switch tone {
	case Routine:
		return p.Faint
	case Good:
		return p.Good
	case Warning:
		return p.Warning
	case Bad:
		return p.Bad
	}
	return p.Plain
}
