// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mandos/dbusapi"
)

// askProgram asks the server's program, which has the rules and need not run as a
// server: it gets input on standard input and answers with T in JSON, as many as there
// are. An empty program is looked for.
func askProgram[T any](ctx context.Context, program string, input []byte, args ...string) (answers []T, err error) {
	if program == "" {
		if program, err = findServer(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s cannot check that: %s", program, cmp.Or(strings.TrimSpace(errs.String()), err.Error()))
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var answer T
		err := decoder.Decode(&answer)
		if errors.Is(err, io.EOF) {
			return answers, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s is no mandos that belongs to this mandosctl", program)
		}
		answers = append(answers, answer)
	}
}

// findServer looks for the server's program where it is installed: beside this
// one, in the PATH, or in the directory for such programs, which the PATH of most
// users lacks.
func findServer() (string, error) {
	candidates := []string{"mandos", "/usr/local/sbin/mandos", "/usr/sbin/mandos"}
	if self, err := os.Executable(); err == nil {
		candidates = append([]string{filepath.Join(filepath.Dir(self), "mandos")}, candidates...)
	}
	for _, candidate := range candidates {
		found, err := exec.LookPath(candidate)
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", errNoProgram
}

var errNoProgram = errors.New("the server's program, mandos, is not found, and has the rules; install it")

// askServer asks the server, or, where none runs that can answer, its program.
func askServer[T any](ctx context.Context, p *program, ask func(context.Context, *dbusapi.Connection) (T, error), input []byte, flag string) (answer T, err error) {
	server, err := p.connect(ctx)
	if err == nil {
		defer server.Close()
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		answer, err = ask(ctx, server)
	}
	if !errors.Is(err, dbusapi.ErrNoBus) && !errors.Is(err, dbusapi.ErrNoServer) && !errors.Is(err, dbusapi.ErrNotSupported) {
		return answer, err
	}
	answers, err := askProgram[T](ctx, "", input, flag)
	switch {
	case err != nil:
		return answer, err
	case len(answers) != 1:
		return answer, errors.New("the server's program has not answered; is it of another version?")
	}
	return answers[0], nil
}
