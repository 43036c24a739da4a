// SPDX-License-Identifier: Apache-2.0

// Package console is where the program reads and writes, its tables and
// colours, and the rules for them:
//
//   - Results go to standard output, everything else to standard error.
//   - An error is one line, "mandosctl: what happened; what to do", without a
//     capital or a full stop. Several mistakes are as many lines.
//   - On a terminal, results are for people: aligned, times as "3m ago", colours.
//     Anywhere else they are for programs, and the same whatever the terminal.
//   - A colour never says what the words do not. NO_COLOR, or TERM=dumb, takes
//     colours away (https://no-color.org).
//   - Nobody is asked who is not at a terminal. Where standard input is something
//     else, the terminal of the session is asked, if there is one.
package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Console is where the program reads and writes.
type Console struct {
	In       io.Reader
	Out, Err io.Writer

	Terminal    bool // Out is a terminal
	Interactive bool // In is one too, so that somebody can be asked
	Palette     *Palette
	Width       int // of the terminal, in columns; 0 if Out is none

	// Session opens the terminal to ask somebody at who is not Interactive.
	Session func() (io.ReadWriteCloser, error)
}

// Std is the console of this process.
func Std() *Console {
	c := &Console{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Session: session}
	fd := int(os.Stdout.Fd())
	c.Terminal = term.IsTerminal(fd)
	c.Interactive = c.Terminal && term.IsTerminal(int(os.Stdin.Fd()))
	c.Palette = NewPalette(c.Terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
	if c.Terminal {
		c.Width = 80
		if width, _, err := term.GetSize(fd); err == nil && width > 0 {
			c.Width = width
		}
	}
	return c
}

// Printf writes to standard output.
func (c *Console) Printf(format string, args ...any) { fmt.Fprintf(c.Out, format, args...) }

// Errorf writes an error, a line for each of its lines.
func (c *Console) Errorf(format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		if words := strings.Fields(line); len(words) > 0 {
			fmt.Fprintf(c.Err, "mandosctl: %s\n", Printable(strings.Join(words, " ")))
		}
	}
}

// Notef writes a remark that is no result and no error.
func (c *Console) Notef(format string, args ...any) {
	fmt.Fprintln(c.Err, Printable(fmt.Sprintf(format, args...)))
}

// ErrNobody is the error where nobody can be asked.
var ErrNobody = errors.New("nobody can be asked here")

// Confirm asks a question that only "y" or "yes" says yes to.
func (c *Console) Confirm(question string) (bool, error) {
	in, out := c.In, c.Err
	if !c.Interactive {
		terminal, err := c.Session()
		if err != nil {
			return false, ErrNobody
		}
		defer terminal.Close()
		in, out = terminal, terminal
	}
	fmt.Fprintf(out, "%s [y/N] ", question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// session opens the terminal that the process was started from.
func session() (io.ReadWriteCloser, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }

func noSession() (io.ReadWriteCloser, error) { return nil, ErrNobody }

// Detached is a console without any terminal.
func Detached(in io.Reader, out, errs io.Writer) *Console {
	return &Console{In: in, Out: out, Err: errs, Session: noSession, Palette: NewPalette(false)}
}
