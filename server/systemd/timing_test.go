// SPDX-License-Identifier: Apache-2.0

package systemd_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/systemd"
)

// mailbox is a service manager that is asked what it has heard, for tests whose
// time is not the real one: nobody waits on it.
type mailbox int

func newMailbox(t *testing.T) mailbox {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	return mailbox(fd)
}

func (m mailbox) heard() (messages []string) {
	synctest.Wait()
	for buf := make([]byte, 4096); ; {
		n, _, err := unix.Recvfrom(int(m), buf, unix.MSG_DONTWAIT)
		if err != nil {
			return messages
		}
		messages = append(messages, string(buf[:n]))
	}
}

func TestTheWatchdogIsFedThreeTimesInItsPeriod(t *testing.T) {
	const period = time.Minute
	manager := newMailbox(t)
	t.Setenv("WATCHDOG_USEC", fmt.Sprint(period.Microseconds()))
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var patience atomic.Int64
		var stuck atomic.Bool
		done := make(chan error)
		go func() {
			done <- systemd.FeedWatchdog(ctx, func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				patience.Store(int64(time.Until(deadline)))
				if stuck.Load() {
					<-ctx.Done()
				}
				return ctx.Err()
			})
		}()
		if got := manager.heard(); len(got) != 1 {
			t.Errorf("at first it heard %q", got)
		}
		for range 9 {
			time.Sleep(period/3 - time.Nanosecond)
			if got := manager.heard(); len(got) != 0 {
				t.Errorf("too early it heard %q", got)
			}
			time.Sleep(time.Nanosecond)
			if got := manager.heard(); len(got) != 1 || got[0] != "WATCHDOG=1" {
				t.Errorf("after a third of the period it heard %q", got)
			}
		}
		if got := time.Duration(patience.Load()); got != period/3 {
			t.Errorf("the server has %v to show that it works, want %v", got, period/3)
		}
		stuck.Store(true)
		time.Sleep(2 * period)
		if got := manager.heard(); len(got) != 0 {
			t.Errorf("of a server that does not turn it heard %q", got)
		}
		stuck.Store(false)
		time.Sleep(2 * period / 3) // the one that is stuck, and the next one
		if got := manager.heard(); len(got) == 0 {
			t.Error("of a server that turns again it heard nothing")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAStartHasMoreTimeAsLongAsItWorks(t *testing.T) {
	manager := newMailbox(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tick := make(chan time.Time)
		worked := 5 * time.Second // before the start
		ended := make(chan struct{})
		go func() {
			systemd.Extend(ctx, tick, func() time.Duration { return worked })
			close(ended)
		}()
		synctest.Wait()
		for _, step := range []struct {
			works  time.Duration
			extend bool
		}{{time.Second, true}, {0, false}, {99 * time.Millisecond, false}, {100 * time.Millisecond, true}, {0, false}, {5 * time.Second, true}} {
			worked += step.works
			tick <- time.Time{}
			got := manager.heard()
			if step.extend != (len(got) == 1) || step.extend && got[0] != "EXTEND_TIMEOUT_USEC=60000000" {
				t.Errorf("after %v of work it heard %q", step.works, got)
			}
		}
		cancel()
		<-ended
		if got := manager.heard(); len(got) != 0 {
			t.Errorf("at the end it heard %q", got)
		}
	})
}
