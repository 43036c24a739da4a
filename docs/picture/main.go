// SPDX-License-Identifier: Apache-2.0

// Command picture makes an SVG of a terminal's screen: of the lines on standard input,
// with the colours that "tmux capture-pane -e" writes between them (ECMA-48, SGR).
package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// The size of a character in pixels, and the room around the screen.
const (
	charWidth, lineHeight = 8.4, 18
	margin                = 16
)

// colours are the eight of terminals, and their bright ones.
var colours = [16]string{
	"#1d1f21", "#cc6666", "#9fbf5f", "#f0c674", "#81a2be", "#b294bb", "#8abeb7", "#c5c8c6",
	"#707880", "#ff8a80", "#b9e077", "#ffdf8a", "#9fc5e8", "#d0b3d9", "#a5dcd5", "#ffffff",
}

const foreground = 7

// style is how text looks.
type style struct {
	colour             int
	bold, dim, reverse bool
}

var selectGraphics = regexp.MustCompile("\x1b\\[([0-9;]*)m")

func main() {
	if err := draw(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func draw(in io.Reader, out io.Writer) error {
	var lines []string
	width := 0
	for scanner := bufio.NewScanner(in); ; {
		if !scanner.Scan() {
			if err := scanner.Err(); err != nil {
				return err
			}
			break
		}
		lines = append(lines, scanner.Text())
		width = max(width, ansi.StringWidth(scanner.Text()))
	}
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%d\" font-family=\"monospace\" font-size=\"14\">\n",
		float64(width)*charWidth+2*margin, len(lines)*lineHeight+2*margin)
	fmt.Fprintf(w, "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"%s\"/>\n", colours[0])
	now := style{colour: foreground}
	for i, line := range lines {
		now = drawLine(w, i, line, now)
	}
	fmt.Fprintln(w, "</svg>")
	return w.Flush()
}

// drawLine draws the text between the changes of style, each piece where it stands.
func drawLine(w io.Writer, row int, line string, now style) style {
	column := 0
	for line != "" {
		at := selectGraphics.FindStringSubmatchIndex(line)
		if at == nil {
			drawText(w, row, column, line, now)
			break
		}
		text := line[:at[0]]
		drawText(w, row, column, text, now)
		column += ansi.StringWidth(text)
		now = now.changed(line[at[2]:at[3]])
		line = line[at[1]:]
	}
	return now
}

func drawText(w io.Writer, row, column int, text string, s style) {
	width := ansi.StringWidth(text)
	x, y := margin+float64(column)*charWidth, margin+row*lineHeight
	fill := colours[s.colour]
	if s.reverse && width > 0 {
		fmt.Fprintf(w, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", x, y, float64(width)*charWidth, lineHeight, fill)
		fill = colours[0]
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	look := ""
	if s.bold {
		look += " font-weight=\"bold\""
	}
	if s.dim {
		look += " opacity=\"0.6\""
	}
	fmt.Fprintf(w, "<text x=\"%.1f\" y=\"%d\" xml:space=\"preserve\" textLength=\"%.1f\" fill=\"%s\"%s>%s</text>\n",
		x, y+lineHeight-5, float64(width)*charWidth, fill, look, html.EscapeString(text))
}

// changed is the style after the parameters of one sequence.
func (s style) changed(parameters string) style {
	for _, parameter := range strings.Split(parameters, ";") {
		n := 0
		fmt.Sscanf(parameter, "%d", &n) // nothing is 0
		switch {
		case n == 0:
			s = style{colour: foreground}
		case n == 1:
			s.bold = true
		case n == 2:
			s.dim = true
		case n == 7:
			s.reverse = true
		case n == 22:
			s.bold, s.dim = false, false
		case n == 27:
			s.reverse = false
		case n == 39:
			s.colour = foreground
		case n >= 30 && n < 38:
			s.colour = n - 30
		case n >= 90 && n < 98:
			s.colour = n - 90 + 8
		}
	}
	return s
}
