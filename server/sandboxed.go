// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"mandos/server/config"
	"mandos/server/systemd"
)

// The configuration that the systemd unit uses, unless it is told otherwise.
const (
	unitName      = "mandos.service"
	unitConfigDir = "/etc/mandos"
)

// unitProblem is what keeps the systemd unit from serving where the server itself
// could.
type unitProblem struct {
	config.Error
	severity string
}

// sandboxed tells what the sandbox of the systemd unit forbids of what the settings
// need. It is certain that the unit uses these settings if they are the usual ones.
func sandboxed(ctx context.Context, s *settings) (problems []unitProblem) {
	if os.Geteuid() != 0 {
		return nil // who starts no units
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	sandbox := systemd.SandboxOf(ctx, unitName)
	tell := func(place config.Place, usual bool, problem string) {
		if problem == "" {
			return
		}
		severity := isWarn
		if usual && s.ConfigDir == unitConfigDir {
			severity = isFault
		}
		problems = append(problems, unitProblem{config.Error{Place: place, Problem: problem}, severity})
	}
	place := s.Origin("statedir")
	usual := place.Flag == ""
	if place == (config.Place{}) {
		place.File = s.StateDir
	}
	dir := whereLeads(s.StateDir)
	problem := sandbox.Write(dir)
	if _, err := os.Stat(dir); problem == "" && errors.Is(err, fs.ErrNotExist) && sandbox.Write(filepath.Dir(dir)) != "" {
		problem = fmt.Sprintf("the state directory is missing, and the systemd unit %s does not let the server make it: make it with \"systemd-tmpfiles --create\", or with \"mkdir -p -m 700 %s && chown %s: %s\"",
			unitName, dir, serverUser(), dir)
	}
	tell(place, usual, problem)
	for _, file := range slices.Sorted(maps.Keys(s.Files)) {
		if _, err := os.Stat(file); err == nil {
			tell(s.Files[file], true, sandbox.Read(whereLeads(file)))
		}
	}
	return problems
}

// whereLeads follows a path.
func whereLeads(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if followed, err := filepath.EvalSymlinks(path); err == nil {
		return followed
	}
	return path
}
