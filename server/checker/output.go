// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"bufio"
	"io"
	"log/slog"
	"os"
	"time"
)

// maxLogged bounds how many bytes of one check's output are logged.
const maxLogged = 4 << 10

// drainTime is how long after a check the rest of its output may take to
// arrive. Only a process that could not be killed keeps it from ending before.
const drainTime = 100 * time.Millisecond

// output is where a checker prints to.
type output struct {
	file *os.File
	read *os.File // the other end, if it is logged
	done chan struct{}
}

// logOutput makes an output that is logged line by line.
func logOutput(log *slog.Logger) (output, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return output{}, err
	}
	o := output{file: write, read: read, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		logLines(log, read)
	}()
	return o, nil
}

// logLines reads to the end, however much that is, so that nobody is kept from
// printing.
func logLines(log *slog.Logger, from io.Reader) {
	lines := bufio.NewScanner(io.LimitReader(from, maxLogged))
	for lines.Scan() {
		log.Debug("Checker output", "line", lines.Text())
	}
	rest, _ := io.Copy(io.Discard, from) // until the end or the drain time
	if rest > 0 {
		log.Debug("Checker printed more than is logged", "bytes", rest)
	}
}

// started lets go of the checker's end.
func (o *output) started() {
	if o.read != nil {
		o.file.Close()
	}
}

// finish waits until everything printed is logged.
func (o *output) finish() {
	if o.read == nil {
		return
	}
	o.read.SetReadDeadline(time.Now().Add(drainTime))
	<-o.done
	o.read.Close()
}
