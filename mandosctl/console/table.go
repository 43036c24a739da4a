// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Cell is one value.
type Cell struct {
	Text  string              // what people see
	Exact string              // what programs see
	Paint func(string) string // adds a colour for people; nil for none
}

// Same is a cell that is the same for people and programs.
func Same(text string) Cell { return Cell{Text: text, Exact: text} }

// Table is rows under a header.
type Table struct {
	Header []string
	Rows   [][]Cell
}

// gap is between two columns.
const gap = "  "

// Aligned writes the table in columns, below the header if it has one. Lines
// longer than width have their last cell cut; a width of 0 cuts nothing.
func (t *Table) Aligned(w io.Writer, width int) error {
	out := bufio.NewWriter(w)
	rows := t.Rows
	if len(t.Header) > 0 {
		header := make([]Cell, len(t.Header))
		for i, text := range t.Header {
			header[i].Text = text
		}
		rows = append([][]Cell{header}, rows...)
	}
	widths := widths(rows)
	for _, row := range rows {
		writeRow(out, row, widths, width)
	}
	return out.Flush()
}

// widths makes all cells printable and measures the columns.
func widths(rows [][]Cell) (widths []int) {
	for _, row := range rows {
		for i := range row {
			row[i].Text = Printable(row[i].Text)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(row[i].Text))
		}
	}
	return widths
}

func writeRow(out *bufio.Writer, row []Cell, widths []int, most int) {
	column := 0
	for i, cell := range row {
		text, last := cell.Text, i == len(row)-1
		if last && most > 0 {
			text = ansi.Truncate(text, max(most-column, 1), "…")
		}
		padding := strings.Repeat(" ", widths[i]-min(widths[i], Width(text)))
		if cell.Paint != nil {
			text = cell.Paint(text)
		}
		out.WriteString(text)
		if !last && hasMore(row[i+1:]) {
			out.WriteString(padding + gap)
		}
		column += widths[i] + len(gap)
	}
	out.WriteByte('\n')
}

// hasMore reports whether anything is left to write, so that no line ends in blanks.
func hasMore(row []Cell) bool {
	for _, cell := range row {
		if cell.Text != "" {
			return true
		}
	}
	return false
}

// TSV writes the rows with a tab between the cells and no header.
func (t *Table) TSV(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, row := range t.Rows {
		for i, cell := range row {
			if i > 0 {
				out.WriteByte('\t')
			}
			out.WriteString(Printable(cell.Exact))
		}
		out.WriteByte('\n')
	}
	return out.Flush()
}

// Width is how many columns of a terminal a text takes.
func Width(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// Printable makes a text from elsewhere safe to show: what would steer the
// terminal, or break a line or cell, is written as an escape.
func Printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\n':
			b.WriteString(`\n`)
		case r < utf8.RuneSelf && unprintable(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case unprintable(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
