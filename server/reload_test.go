// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"mandos/server/client"
	"mandos/server/configreader"
	"mandos/server/debiantest"
	"mandos/server/keytls/keytlstest"
	"mandos/server/listening"
	"mandos/server/statistics"
)

func TestAReloadThatHangsHoldsUpNobodyForLongerThanTheyWait(t *testing.T) {
	asked, answer := make(chan struct{}, 10), make(chan error)
	reader := configreader.Direct(func() ([]byte, error) {
		asked <- struct{}{}
		return nil, <-answer
	})
	d := &daemon{settings: new(settings), log: slog.New(slog.DiscardHandler), reader: reader, registry: client.New(nil, nil), counted: statistics.New(nil),
		sockets: new(listening.Sockets), reloading: make(chan struct{}, 1)}
	reload := func(ctx context.Context) error {
		_, err := d.Reload(ctx, client.FromConfiguration)
		return err
	}
	first := make(chan error, 1)
	go func() { first <- reload(t.Context()) }()
	<-asked

	late := make(chan error)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		go func() { late <- reload(ctx) }()
	}
	for range 3 {
		select {
		case err := <-late:
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "an earlier reload is still under way") {
				t.Errorf("answered %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("a reload waits for one that hangs, after its own time")
		}
	}
	broken := errors.New("the disk is broken")
	answer <- broken
	if err := <-first; !errors.Is(err, broken) {
		t.Errorf("the one that hung answered %v", err)
	}

	next := make(chan error, 1)
	go func() { next <- reload(t.Context()) }()
	<-asked
	answer <- broken
	if err := <-next; !errors.Is(err, broken) {
		t.Errorf("the one after that answered %v", err)
	}
}

// TestCheckersLeaveTheReaderAlone reloads when checks have ended, each of which ends
// what checkers may have left behind.
func TestCheckersLeaveTheReaderAlone(t *testing.T) {
	debiantest.NeedRoot(t, "which alone has a reader")
	for sentence, under := range map[string][]string{
		"that they can see": nil,
		// As ProtectProc= of systemd has it.
		"that is hidden from them": {"unshare", "--mount", "sh", "-c", `mount -t proc -o hidepid=invisible proc /proc && exec "$0" "$@"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := prepareServer(t, plainSection(keytlstest.NewKey(keytlstest.Ed25519))+"interval = PT1S\n", "--no-dbus", "--debuglevel", "debug")
			s.under = under
			s.start()
			eventually(t, func() bool { return linesWith(s.log(), "Checker for host1 succeeded") >= 2 }, s.log)
			if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool { return linesWith(s.log(), "configuration reloaded") == 1 }, s.log)
		})
	}
}
