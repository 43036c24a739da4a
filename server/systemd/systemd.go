// SPDX-License-Identifier: Apache-2.0

// Package systemd tells the service manager how the server is, and takes over the
// socket that it may have opened. Without a service manager it does nothing.
//
// See sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3).
package systemd

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Ready says that the server serves, at first or again after [Reloading], and in
// one sentence how it is.
func Ready(status string) error { return notify(daemon.SdNotifyReady + "\nSTATUS=" + oneLine(status)) }

// Reloading says that the configuration is being read. [Ready] must follow,
// whether that succeeded or not.
func Reloading() error {
	return notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec() + "STATUS=Reading the configuration")
}

// Status says in one sentence how the server is.
func Status(status string) error { return notify("STATUS=" + oneLine(status)) }

// Stopping says that the server is about to end.
func Stopping() error { return notify(daemon.SdNotifyStopping + "\nSTATUS=Stopping") }

// oneLine keeps what is in a status from being taken for another message.
func oneLine(status string) string { return strings.ReplaceAll(status, "\n", " ") }

func notify(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("cannot tell the service manager: %w", err)
	}
	return nil
}

// How a start that takes long is kept from being given up: every so often it gets
// more time, if it has worked for that much of the time.
const (
	extendEvery = 5 * time.Second
	extendTo    = time.Minute
	workedFor   = extendEvery / 50
)

// ExtendStart keeps the service manager from giving up a start that takes long,
// until ctx ends. It gets more time as long as this process works at it; one that
// hangs gets none.
func ExtendStart(ctx context.Context) {
	tick := time.NewTicker(extendEvery)
	defer tick.Stop()
	extend(ctx, tick.C, processorTime)
}

func extend(ctx context.Context, tick <-chan time.Time, worked func() time.Duration) {
	for before := worked(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		now := worked()
		if now-before >= workedFor {
			// Nobody is there to be told of a failure but the one that it hits.
			_ = notify(fmt.Sprint("EXTEND_TIMEOUT_USEC=", extendTo.Microseconds()))
		}
		before = now
	}
}

// processorTime is what this process has used of it.
func processorTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// FeedWatchdog tells the service manager's watchdog, if there is one, that the
// server works, until ctx ends. It asks turns before, which must do something that
// only a working server can do and fail when its ctx ends; while it fails, the
// watchdog is not fed.
func FeedWatchdog(ctx context.Context, turns func(context.Context) error) error {
	patience, err := daemon.SdWatchdogEnabled(true)
	if err != nil {
		return fmt.Errorf("cannot feed the watchdog: %w", err)
	}
	if patience == 0 {
		return nil
	}
	tick := time.NewTicker(patience / 3)
	defer tick.Stop()
	for {
		if works(ctx, patience/3, turns) {
			// Nobody is there to be told of a failure but the one that it hits.
			_ = notify(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func works(ctx context.Context, patience time.Duration, turns func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return turns(ctx) == nil
}

// PassesSocket reports whether the service manager has passed sockets to this
// process.
func PassesSocket() bool {
	number, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	return err == nil && number > 0 && os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid())
}

// Socket is the socket that the service manager has opened, or nil.
func Socket() (*os.File, error) {
	files := activation.Files(true)
	if len(files) == 1 {
		return files[0], nil
	}
	for _, file := range files {
		file.Close()
	}
	if len(files) > 1 {
		return nil, fmt.Errorf("the service manager passes %d sockets, and one is what the server can listen on; see to the socket unit", len(files))
	}
	return nil, nil
}
