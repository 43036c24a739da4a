// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/client"
)

// Some tests need a process of their own, which is this program with
// childVariable set to the name of what it is to do in the directory of its
// first argument.
const childVariable = "STATE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "change":
		changeForEver(os.Args[1])
	case "fill":
		fillDisk(os.Args[1])
	case "open":
		tryToOpen(os.Args[1], false)
	case "open without locks":
		tryToOpen(os.Args[1], true)
	default:
		os.Exit(m.Run())
	}
}

func child(name, dir string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", dir)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

const crashClients = 8

func crashConfigured() (configured []client.Settings) {
	for i := range crashClients {
		configured = append(configured, client.Settings{
			Name: fmt.Sprint("c", i), KeyID: fmt.Sprintf("%064d", i), Secret: secret(fmt.Sprint("configured ", i)), Checker: ":", Host: "0",
			Timeout: time.Hour, ExtendedTimeout: time.Hour, Interval: time.Hour, ApprovalDuration: time.Second, Enabled: true,
		})
	}
	return configured
}

// noChecks never finds a client alive or not.
type noChecks struct{}

func (noChecks) Check(ctx context.Context, _, _ string) (client.CheckResult, error) {
	<-ctx.Done()
	return client.CheckResult{}, ctx.Err()
}

// condition is what an administrator can see of a client, in one word.
func condition(r client.Record) string {
	if r.Removed() {
		return "removed"
	}
	return fmt.Sprintf("enabled=%v,host=%s,secret=%q", r.Settings.Enabled, r.Settings.Host, r.Settings.Secret.Bytes())
}

// changeForEver changes clients at random, and prints "try CLIENT CONDITION"
// before and "ack CLIENT CONDITION" after each change.
func changeForEver(dir string) {
	s, err := Open(dir, quiet)
	if err != nil {
		panic(err)
	}
	records, err := s.Records(crashConfigured())
	if err != nil {
		panic(err)
	}
	r := client.New(noChecks{}, s)
	if _, err := r.Load(crashConfigured(), records); err != nil {
		panic(err)
	}
	r.Start()
	var print sync.Mutex
	say := func(word, name, condition string) {
		print.Lock()
		defer print.Unlock()
		fmt.Printf("%s %s %s\n", word, name, condition)
	}
	var changers sync.WaitGroup
	for _, view := range r.Clients() {
		changers.Go(func() { changeClient(r, view.Settings, say) })
	}
	changers.Wait() // when all are removed
	fmt.Println("done")
	select {}
}

func changeClient(r *client.Registry, now client.Settings, say func(word, name, condition string)) {
	ctx := context.Background()
	for {
		next := client.Record{Settings: now}
		var change func() error
		switch dice := rand.N(100); {
		case dice == 0:
			next.Lowerings = []client.Lowering{{ID: "removed", Reason: client.RemovedByAdministrator}}
			change = func() error { return r.Remove(ctx, client.Actor{}, now.Name) }
		case dice < 30:
			next.Settings.Enabled = true
			change = func() error { return r.Enable(ctx, client.Actor{}, now.Name) }
		case dice < 60:
			next.Settings.Enabled = false
			change = func() error { return r.Disable(ctx, client.Actor{}, now.Name) }
		case dice < 65:
			next.Settings.Secret = secret(fmt.Sprint("s", rand.N(1000)))
			change = func() error {
				return r.Update(ctx, client.Actor{}, now.Name, client.Update{client.PropSecret: next.Settings.Secret})
			}
		default:
			next.Settings.Host = fmt.Sprint(rand.N(1_000_000))
			change = func() error {
				return r.Update(ctx, client.Actor{}, now.Name, client.Update{client.PropHost: next.Settings.Host})
			}
		}
		say("try", now.Name, condition(next))
		if err := change(); err != nil {
			panic(err)
		}
		say("ack", now.Name, condition(next))
		if next.Removed() {
			return
		}
		now = next.Settings
	}
}

// TestKilledAtAnyMoment kills a server that changes clients, hundreds of times,
// and finds everything that it acknowledged each time. On a slow machine it takes
// more kills until enough was acknowledged.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	const enough = 250
	kills := 0
	dir := t.TempDir()
	acknowledged, tried := make(map[string]string), make(map[string]string)
	changes := 0
	for ; kills < enough || changes < enough && kills < 10*enough; kills++ {
		server := child("change", dir)
		out, err := server.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		lives := rand.N(20 * time.Millisecond)
		var kill *time.Timer
		done := false
		for lines.Scan() {
			if kill == nil {
				kill = time.AfterFunc(lives, func() { server.Process.Kill() })
				defer kill.Stop()
			}
			word, rest, _ := strings.Cut(lines.Text(), " ")
			name, condition, _ := strings.Cut(rest, " ")
			switch word {
			case "try":
				tried[name] = condition
			case "ack":
				acknowledged[name] = condition
				changes++
			case "done":
				done = true
			}
		}
		server.Process.Kill()
		if err := server.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the server ended by itself: %v", err)
		}
		s := open(t, dir)
		got := recordsOf(t, s, crashConfigured()...)
		for name := range tried {
			record, ok := got[name]
			now := condition(record)
			if acknowledged[name] != "" && (!ok || now != acknowledged[name] && now != tried[name]) {
				t.Errorf("after %d changes, %s is %s; %s was acknowledged, %s was tried", changes, name, now, acknowledged[name], tried[name])
			}
			if !ok { // killed before anything of it was acknowledged
				delete(tried, name)
				continue
			}
			acknowledged[name], tried[name] = now, now
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if done { // all are removed: begin anew
			if err := os.Remove(filepath.Join(dir, fileName)); err != nil {
				t.Fatal(err)
			}
			clear(acknowledged)
			clear(tried)
		}
	}
	if changes < enough {
		t.Errorf("only %d changes were acknowledged", changes)
	}
	t.Logf("%d changes acknowledged, %d kills", changes, kills)
}

// fillDisk saves on a disk of its own, which it fills and empties again.
func fillDisk(dir string) {
	runtime.LockOSThread()
	check := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	mount := func(flags uintptr) { check(unix.Mount("disk", dir, "tmpfs", flags, "size=1m")) }
	check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	mount(0)
	s, err := Open(dir, quiet)
	check(err)
	configured := client.Settings{Name: "c"}
	saved := client.Record{Settings: configured, Configured: configured}.Judged()
	saveAs := func(host string) error {
		r := saved
		r.Settings.Host = host
		err := s.Save([]client.Record{r})
		if err == nil {
			saved = r
		}
		return err
	}
	verify := func() {
		all, err := s.Records([]client.Settings{configured})
		check(err)
		if len(all) != 1 || !reflect.DeepEqual(all[0], saved) {
			check(fmt.Errorf("got %.200v, want %.200v", all, saved))
		}
	}
	begin := func() error {
		fresh, err := Open(filepath.Join(dir, "new"), quiet)
		if err == nil {
			err = fresh.Close()
		}
		return err
	}
	for round := range 20 {
		check(saveAs(fmt.Sprint("before ", round)))
		filler, err := os.Create(filepath.Join(dir, "filler"))
		check(err)
		if _, err := io.Copy(filler, io.LimitReader(zeros{}, 2<<20)); err == nil {
			check(fmt.Errorf("the disk is not full"))
		}
		for try := range 3 {
			err := saveAs(strings.Repeat("x", 100_000*(try+1)))
			if err == nil || !strings.Contains(err.Error(), "no space left on device") || strings.Contains(err.Error(), newName) {
				check(fmt.Errorf("save on a full disk: %v", err))
			}
		}
		err = s.SaveHistory(map[string][]byte{"c": make([]byte, 500_000)})
		if err == nil || !strings.Contains(err.Error(), "cannot save the history: ") || !strings.Contains(err.Error(), "no space left on device") {
			check(fmt.Errorf("a history on a full disk: %v", err))
		}
		err = begin()
		if err == nil || !strings.Contains(err.Error(), "/new/state.db cannot be used: no space left on device; make room for it") {
			check(fmt.Errorf("a new state on a full disk: %v", err))
		}
		check(os.Remove(filler.Name()))
		check(filler.Close())
		history := fmt.Append(nil, "round ", round)
		check(s.SaveHistory(map[string][]byte{"c": history}))
		check(saveAs(fmt.Sprint("after ", round)))
		verify()
		if got, err := s.History("c"); err != nil || !bytes.Equal(got, history) {
			check(fmt.Errorf("the history is %q, error %v", got, err))
		}
		check(s.Close())
		s, err = Open(dir, quiet)
		check(err)
		verify()
	}
	check(s.Close())
	mount(unix.MS_REMOUNT | unix.MS_RDONLY)
	for _, open := range []func() error{
		func() error { _, err := Open(dir, quiet); return err },
		func() error { _, err := OpenAnew(dir, quiet); return err },
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), "read-only file system") || strings.Contains(err.Error(), newName) {
			check(fmt.Errorf("open on a read-only disk: %v", err))
		}
	}
	mount(unix.MS_REMOUNT)
	s, err = Open(dir, quiet)
	check(err)
	verify()
	fmt.Println("all is well")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestFullAndReadOnlyDisk(t *testing.T) {
	t.Parallel()
	disk := child("fill", t.TempDir())
	disk.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		disk.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		disk.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		disk.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if out, err := disk.Output(); err != nil || !bytes.Equal(out, []byte("all is well\n")) {
		t.Errorf("%v: %s", err, out)
	}
}
