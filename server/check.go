// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"mandos/dbusapi"
	"mandos/server/config"
	"mandos/server/privileges"
	"mandos/server/systemd"
)

// checkTime bounds each check of the server's surroundings.
const checkTime = 5 * time.Second

// report collects what a check finds, and prints it as it comes.
type report struct {
	out              io.Writer
	errors, warnings int
}

func (r *report) fault(format string, args ...any) {
	r.errors++
	fmt.Fprintf(r.out, "error: "+format+"\n", args...)
}

func (r *report) warn(format string, args ...any) {
	r.warnings++
	fmt.Fprintf(r.out, "warning: "+format+"\n", args...)
}

func (r *report) fine(format string, args ...any) {
	fmt.Fprintf(r.out, "fine: "+format+"\n", args...)
}

// check tells everything that would go wrong, without starting the server.
func check(ctx context.Context, options *config.Options, out io.Writer) error {
	r := &report{out: out}
	options.Judge = newJudge()
	s, err := load(options)
	if err == nil {
		err = s.CheckFindable(systemd.PassesSocket())
	}
	var bad config.Errors
	switch {
	case errors.As(err, &bad):
		for _, fault := range bad {
			r.fault("%v", fault)
		}
	case err != nil:
		return err
	default:
		r.checkClients(s)
		r.checkSurroundings(ctx, s)
	}
	fmt.Fprintf(out, "%d errors, %d warnings\n", r.errors, r.warnings)
	switch {
	case bad.OnCommandLine():
		return exitStatus(exitUsage)
	case r.errors > 0:
		return exitStatus(exitFailure)
	}
	return nil
}

func (r *report) checkClients(s *settings) {
	for _, warning := range s.Warnings {
		r.warn("%v", warning)
	}
	if len(s.Clients) == 0 {
		r.warn("there are no clients in %s", s.ConfigDir)
	}
	for _, warning := range unserved(s.offer, s.Clients) {
		r.warn("%s", warning)
	}
	r.fine("the configuration of %d clients was read from %s", len(s.Clients), s.ConfigDir)
}

func (r *report) checkSurroundings(ctx context.Context, s *settings) {
	if os.Geteuid() == 0 {
		r.fine("the server would run as %s", privileges.Find().Name)
	} else {
		r.fine("the server would run as the present user, for it is not started as root")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Max < uint64(2*s.MaxUnproven) {
		r.warn("the limit of open files is %d, so fewer than max_unproven = %d connections are let in; raise it", limit.Max, s.MaxUnproven)
	}
	if r.checkBus(ctx, s) {
		r.fine("a server is running, so its socket and its state were not tried")
		return
	}
	r.checkSocket(ctx, s)
	r.checkState(s)
}

// checkBus tells whether a server is running already.
func (r *report) checkBus(ctx context.Context, s *settings) (running bool) {
	if !s.UseDBus {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	server, err := dbusapi.Connect(ctx, "")
	if err == nil {
		defer server.Close()
		_, err = server.Status(ctx)
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, dbusapi.ErrNoServer):
		r.fine("the system bus can be reached")
	default:
		r.warn("D-Bus: %v; the server would do without until it comes", err)
	}
	return false
}

func (r *report) checkSocket(ctx context.Context, s *settings) {
	if s.Socket >= 0 {
		return // whoever opened it knows
	}
	socket := s.socket()
	listener, err := socket.Listen(ctx, func(err error) { r.warn("%v", err) })
	if err != nil {
		r.fault("%v", err)
		return
	}
	r.fine("the server can listen on %v", listener.Addr())
	listener.Close()
}

func (r *report) checkState(s *settings) {
	info, err := os.Stat(s.StateDir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		r.fine("the state directory %s would be made", s.StateDir)
	case err != nil:
		r.fault("%v", err)
	case !info.IsDir():
		r.fault("%s is no directory; remove it or set statedir", s.StateDir)
	default:
		r.checkOwner(s.StateDir, info)
	}
}

// checkOwner looks whether the user that the server becomes has the directory.
func (r *report) checkOwner(dir string, info os.FileInfo) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return
	}
	if wanted := privileges.Find(); stat.Uid != wanted.UID {
		owner := strconv.Itoa(int(stat.Uid))
		if u, err := user.LookupId(owner); err == nil {
			owner = u.Username
		}
		r.fault("the state directory %s belongs to %s, and the server would run as %s; chown it", dir, owner, wanted.Name)
		return
	}
	r.fine("the state directory %s is the server's", dir)
}
