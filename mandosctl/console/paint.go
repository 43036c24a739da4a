// SPDX-License-Identifier: Apache-2.0

package console

// Paint adds a colour to a text.
type Paint func(string) string

// The colours, by what they are for.
type Colours struct {
	Good, Bad, Warning, Faint, Strong Paint
}

// Colours are the console's, which do nothing where there are to be none.
func (c *Console) Colours() Colours {
	sgr := func(code string) Paint {
		return func(s string) string {
			if !c.Colour || s == "" {
				return s
			}
			return "\x1b[" + code + "m" + s + "\x1b[0m"
		}
	}
	return Colours{Good: sgr("32"), Bad: sgr("31"), Warning: sgr("33"), Faint: sgr("2"), Strong: sgr("1")}
}
