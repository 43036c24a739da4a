// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/client"
	"mandos/server/config"
	"mandos/server/listening"
	"mandos/server/logging"
	"mandos/server/pidfile"
	"mandos/server/privileges"
	"mandos/server/state"
	"mandos/server/systemd"
)

// checkTime bounds each check of the server's surroundings.
const checkTime = 5 * time.Second

// check tells everything that would go wrong, without starting the server.
func check(ctx context.Context, options *config.Options, out io.Writer) error {
	r := &report{out: out}
	options.Judge = newJudge()
	s, err := load(options)
	if err == nil {
		err = s.CheckFindable(systemd.PassesSocket())
	}
	var bad config.Errors
	if err != nil && !errors.As(err, &bad) {
		return err
	}
	for _, fault := range bad {
		r.fault("%v", fault)
	}
	for _, warning := range s.Warnings {
		r.warn("%v", warning)
	}
	if len(bad) == 0 {
		r.checkClients(s)
		r.checkSurroundings(ctx, s)
	} else {
		r.warn("nothing else was tried, as the server does not start with such errors")
	}
	fmt.Fprintf(out, "%s, %s\n", counted(r.errors, "error"), counted(r.warnings, "warning"))
	switch {
	case bad.OnCommandLine():
		return exitStatus(exitUsage)
	case r.errors > 0:
		return exitStatus(exitFailure)
	}
	return nil
}

func (r *report) checkClients(s *settings) {
	if len(s.Clients) == 0 {
		r.warn("there are no clients in %s", s.ConfigDir)
	}
	for _, warning := range unserved(s.offer, s.Clients) {
		r.warn("%s", warning)
	}
	r.fine("the configuration of %s was read from %s", counted(len(s.Clients), "client"), s.ConfigDir)
}

// checkSurroundings tries what the start would do.
func (r *report) checkSurroundings(ctx context.Context, s *settings) {
	r.checkUser()
	r.checkLog(s)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Max < uint64(2*s.MaxUnproven) {
		r.warn("the limit of open files is %d, so fewer than max_unproven = %d connections are let in; raise it", limit.Max, s.MaxUnproven)
	}
	for _, problem := range sandboxed(ctx, s) {
		r.tell(verdict{problem.severity, config.Error{Place: problem.Place, Problem: problem.Problem}.Error()})
	}
	found, err := tryAsServer(ctx, trial{
		StateDir: s.StateDir, StateMissing: r.checkStateDir(s.StateDir), Restore: s.Restore, Configured: names(s.Clients),
		UseDBus: s.UseDBus, Zeroconf: s.Zeroconf,
	})
	if err != nil {
		r.fault("cannot try what the server does: %v", err)
		return
	}
	for _, v := range found.Verdicts {
		r.tell(v)
	}
	r.checkMissing(s, found.Missing)
	r.checkPID(s, found.Running)
	r.checkSocket(s, found.Running)
}

// checkMissing tells which clients would be gone, which may keep the server from
// starting.
func (r *report) checkMissing(s *settings, missing []string) {
	switch {
	case len(missing) == 0:
	case s.ForgetAll:
		r.warn("with --forget-all these would be forgotten: %s", client.Enumerate(missing))
	case s.NoClientsFile, len(s.Clients) == 0:
		r.fault("%v", s.refuseToLose(missing, s.NoClientsFile))
	default:
		r.warn("these clients are gone from the configuration, and what is known of them would be kept: %s", client.Enumerate(missing))
	}
}

func names(clients []client.Settings) []string {
	list := make([]string, len(clients))
	for i := range clients {
		list[i] = clients[i].Name
	}
	return list
}

// checkPID looks for another daemon than the one that has the state.
func (r *report) checkPID(s *settings, running bool) {
	if err := pidfile.Running(pidPath); err != nil && !s.Foreground && !running {
		r.fault("%v", err)
	}
}

func (r *report) checkUser() {
	if os.Geteuid() != 0 {
		r.fine("the server would run as the present user, for it is not started as root")
		return
	}
	as := privileges.Find()
	if as.Makeshift() {
		r.warn("%s", makeshiftUser(as))
		return
	}
	r.fine("the server would run as %s", as.Name)
}

func (r *report) checkLog(s *settings) {
	if !s.Foreground && !logging.ListensToSyslog() {
		r.warn("no log daemon listens on /dev/log, so the log of the daemon would go nowhere; start one, or the server with --foreground")
	}
}

// checkStateDir reports whether the state directory is missing, and if so whether
// the start can make it.
func (r *report) checkStateDir(dir string) (missing bool) {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err := state.TryToMake(dir, serverUser()); err != nil {
		r.fault("%v", err)
		return true
	}
	r.fine("the state directory %s would be made", dir)
	return true
}

func (r *report) checkSocket(s *settings, running bool) {
	if s.Socket >= 0 {
		return // whoever opened it knows
	}
	sockets, err := listening.Open(s.whereToListen(), slog.New(slog.DiscardHandler))
	switch {
	case errors.Is(err, unix.EADDRINUSE) && running:
		r.fine("the server that is running has the socket, so it was not tried")
	case err != nil:
		r.fault("%v", err)
	default:
		for _, problem := range sockets.State().Problems {
			r.warn("%s", problem)
		}
		r.fine("the server can listen on %v", sockets.State())
		sockets.Close()
	}
}

// counted is a number of things, as one writes it.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
