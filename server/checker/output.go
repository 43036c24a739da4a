// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxLogged bounds how many bytes of one check's output are logged, and maxLine
// how many of its last line are kept.
const (
	maxLogged = 4 << 10
	maxLine   = 512
)

// drainTime is how long after a check the rest of its output may take to
// arrive. Only a process that could not be killed keeps it from ending before.
const drainTime = 100 * time.Millisecond

// output is what a checker prints to. It is read to the end, however much that
// is, so that nobody is kept from printing.
type output struct {
	file *os.File // the checker's end
	read *os.File
	last lastLine // of those that were read once done is closed
	done chan struct{}
}

// newOutput makes an output that is logged line by line, if there is a log.
func newOutput(log *slog.Logger) (*output, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{file: write, read: read, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		lines := io.TeeReader(read, &o.last)
		if log != nil {
			logLines(log, lines)
		}
		_, _ = io.Copy(io.Discard, lines) // until the end or the drain time
	}()
	return o, nil
}

// logLines logs as many lines as are logged of a check, and reads to the end.
func logLines(log *slog.Logger, from io.Reader) {
	lines := bufio.NewScanner(io.LimitReader(from, maxLogged))
	for lines.Scan() {
		log.Debug("Checker output", "line", lines.Text())
	}
	rest, _ := io.Copy(io.Discard, from)
	if rest > 0 {
		log.Debug("Checker printed more than is logged", "bytes", rest)
	}
}

// started lets go of the checker's end.
func (o *output) started() { o.file.Close() }

// finish waits until everything printed was read, and returns the last line of it.
func (o *output) finish() string {
	o.read.SetReadDeadline(time.Now().Add(drainTime))
	<-o.done
	o.read.Close()
	return o.last.String()
}

// lastLine keeps the beginning of the last line written to it that is not blank.
// A carriage return ends a line as well, which a terminal overwrites then.
type lastLine struct {
	line, full []byte // the one that is being written, and the last that ended
}

func (l *lastLine) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		end := bytes.IndexAny(rest, "\r\n")
		if end < 0 {
			l.add(rest)
			break
		}
		l.add(rest[:end])
		l.end()
		rest = rest[end+1:]
	}
	return len(p), nil
}

func (l *lastLine) add(part []byte) {
	l.line = append(l.line, part[:min(len(part), maxLine-len(l.line))]...)
}

func (l *lastLine) end() {
	if len(bytes.TrimSpace(l.line)) > 0 {
		l.line, l.full = l.full, l.line
	}
	l.line = l.line[:0]
}

// String is the line without anything that could steer what shows it.
func (l *lastLine) String() string {
	l.end()
	text := string(l.full)
	if len(text) == maxLine {
		text = text[:lastRune(text)] + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return utf8.RuneError
	}, strings.TrimSpace(text))
}

// lastRune is where the last rune of a text that may have been cut begins.
func lastRune(text string) int {
	_, size := utf8.DecodeLastRuneInString(text)
	for at := len(text) - size; ; at-- {
		if at <= 0 || utf8.RuneStart(text[at]) {
			return max(at, 0)
		}
	}
}
