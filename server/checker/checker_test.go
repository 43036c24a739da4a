// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/client"
)

// Some tests need a process of their own, which is this program with
// childVariable set to the name of what it is to do.
const childVariable = "CHECKER_TEST_CHILD"

var children = map[string]func(){
	"run the command in the argument": func() {
		r, err := New(slog.New(slog.DiscardHandler))
		if err != nil {
			panic(err)
		}
		fmt.Println(r.Check(context.Background(), "c", os.Args[1]))
	},
	"run it with signals ignored and blocked": func() {
		signal.Ignore(unix.SIGPIPE, unix.SIGUSR1, unix.SIGHUP)
		r, err := New(slog.New(slog.DiscardHandler))
		if err != nil {
			panic(err)
		}
		fmt.Println(r.Check(context.Background(), "c", os.Args[1]))
	},
	"run it as nobody": func() {
		if err := syscall.Setuid(65534); err != nil {
			panic(err)
		}
		r, err := New(slog.New(slog.DiscardHandler))
		if err != nil {
			panic(err)
		}
		fmt.Println(r.Check(context.Background(), "c", os.Args[1]))
	},
	"stop it when it is ready": func() {
		r, err := New(slog.New(slog.DiscardHandler))
		if err != nil {
			panic(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			for !exists(os.Args[2]) {
				time.Sleep(2 * time.Millisecond)
			}
			cancel()
		}()
		fmt.Println(r.Check(ctx, "c", os.Args[1]))
	},
}

func TestMain(m *testing.M) {
	if child := os.Getenv(childVariable); child != "" {
		children[child]()
		return
	}
	os.Exit(m.Run())
}

func child(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	return cmd
}

func newRunner(tb testing.TB, log *slog.Logger) *Runner {
	tb.Helper()
	r, err := New(log)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

func quietRunner(tb testing.TB) *Runner { return newRunner(tb, slog.New(slog.DiscardHandler)) }

// syncBuffer may be written to and read at the same time.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func debugRunner(tb testing.TB) (*Runner, *syncBuffer) {
	var b syncBuffer
	return newRunner(tb, slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))), &b
}

func check(t *testing.T, r *Runner, command string) client.CheckResult {
	t.Helper()
	result, err := r.Check(t.Context(), "c", command)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestResult(t *testing.T) {
	r := quietRunner(t)
	for command, want := range map[string]client.CheckResult{
		"true":                  {},
		":":                     {},
		"":                      {},
		"exit 1":                {Status: 1},
		"exit 255":              {Status: 255},
		"/nonexistent":          {Status: 127},
		"/etc/passwd":           {Status: 126},
		"syntax error (":        {Status: 2},
		"kill -9 $$":            {Status: client.CheckerCrashed, Signal: 9},
		"kill -TERM $$":         {Status: client.CheckerCrashed, Signal: 15},
		"sh -c 'kill -9 $$'; :": {},
		"sh -c 'kill -9 $$'; exit $?": {
			Status: 137,
		},
		"(while sleep 0.1; do kill -CONT $$; done) & kill -STOP $$": {},
		"exec >/dev/full; echo x":                                   {Status: 1},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			got := check(t, r, command)
			if got.Output = ""; got != want {
				t.Errorf("%q ended with %+v, want %+v", command, got, want)
			}
		})
	}
}

func TestWithFping(t *testing.T) {
	if _, err := exec.LookPath("fping"); err != nil {
		t.Fatal("this test needs the Debian package fping: ", err)
	}
	r := quietRunner(t)
	if got := check(t, r, "fping -q -- 127.0.0.1"); !got.OK() {
		t.Errorf("a host that answers: %+v", got)
	}
	if got := check(t, r, "fping -q -- ''"); got.OK() || got.Signal != 0 {
		t.Errorf("no host: %+v", got)
	}
}

func TestSurroundings(t *testing.T) {
	inherited, err := unix.Open(os.DevNull, unix.O_RDONLY, 0) // as from this process's own parent
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	r := quietRunner(t)
	for name, test := range map[string]struct{ command, want string }{
		"the working directory is the root":   {"pwd", "/\n"},
		"standard input is empty":             {"readlink /proc/self/fd/0; wc -c <&0", "/dev/null\n0\n"},
		"output is read":                      {"readlink /proc/$$/fd/2 | cut -d: -f1", "pipe\n"},
		"it leads its session and group":      {`read pid comm state parent group session tty rest </proc/$$/stat; echo $((pid == $$)) $((group == pid)) $((session == pid)) $tty`, "1 1 1 0\n"},
		"it has no descriptors but the three": {"ls /proc/$$/fd; :", "0\n1\n2\n"},
		"it takes every signal as usual":      {"grep -E '^Sig(Blk|Ign)' /proc/self/status", "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "seen")
			check(t, r, "exec >"+file+"; "+test.command)
			seen, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := withoutThreadSignals(string(seen)); got != test.want {
				t.Errorf("saw %q, want %q", got, test.want)
			}
		})
	}
}

func TestACheckerHasTheEnvironmentOfTheUserItRunsAs(t *testing.T) {
	as, id := "run the command in the argument", os.Getuid()
	if id == 0 { // as a server that root has started
		as, id = "run it as nobody", 65534
	}
	who, err := user.LookupId(strconv.Itoa(id))
	if err != nil {
		t.Fatal(err)
	}
	cmd := child(t, as, "env -u PWD -u "+childVariable+" | sort | tr '\\n' ' '; exit 1")
	cmd.Env = []string{
		childVariable + "=" + as, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "WHATEVER=the administrator wants",
		"USER=root", "LOGNAME=root", "HOME=/root", "SHELL=/usr/bin/zsh", "MAIL=/var/mail/root",
		"NOTIFY_SOCKET=/run/systemd/notify", "JOURNAL_STREAM=8:1", "WATCHDOG_USEC=30000000", "WATCHDOG_PID=1",
		"LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=a", "INVOCATION_ID=0", "SYSTEMD_EXEC_PID=1", "MAINPID=1", "MANAGERPID=1",
		"CREDENTIALS_DIRECTORY=/run/credentials/mandos.service", "MEMORY_PRESSURE_WATCH=/x", "MEMORY_PRESSURE_WRITE=x", "FDSTORE=1",
	}
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "HOME=" + who.HomeDir + " LANG=C.UTF-8 LOGNAME=" + who.Username + " PATH=" + os.Getenv("PATH") +
		" SHELL=/bin/sh USER=" + who.Username + " WHATEVER=the administrator wants"
	if got := string(said); got != "{1 0 "+want+"} <nil>\n" {
		t.Errorf("its environment is\n%q, want\n%q", got, want)
	}
}

func TestAUserWithoutAnEntryHasTheRootDirectoryForAHome(t *testing.T) {
	want := []string{"PATH=/bin", "HOME=/", "SHELL=/bin/sh"}
	if got := environment([]string{"USER=root", "PATH=/bin", "HOME=/root"}, 4_000_000_000); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// withoutThreadSignals clears the signals 32 and 33 in what proc(5) shows of a
// process's signals. The C library keeps them for its threads, and neither Go nor
// a shell can change what was inherited of them.
func withoutThreadSignals(status string) string {
	return signalSets.ReplaceAllStringFunc(status, func(set string) string {
		mask, err := strconv.ParseUint(set, 16, 64)
		if err != nil {
			return set
		}
		return fmt.Sprintf("%016x", mask&^(1<<31|1<<32))
	})
}

var signalSets = regexp.MustCompile(`\b[0-9a-f]{16}\b`)

func TestIgnoredAndBlockedSignalsAreNotPassedOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seen")
	cmd := child(t, "run it with signals ignored and blocked", "grep -E '^Sig(Blk|Ign)' /proc/self/status >"+file)
	// A child inherits the mask of the thread that starts it.
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		var blocked unix.Sigset_t
		blocked.Val[0] = 1<<(unix.SIGUSR2-1) | 1<<(unix.SIGTERM-1)
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, nil); err != nil {
			t.Error(err)
		}
		done <- cmd.Run()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	seen, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"; withoutThreadSignals(string(seen)) != want {
		t.Errorf("saw %q, want %q", seen, want)
	}
}

// token is an argument for sleep that no other process has.
func token() string { return fmt.Sprintf("3600.%09d", rand.N(1_000_000_000)) }

// withArgument are the processes that have an argument which contains s.
func withArgument(s string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		arguments, err := os.ReadFile(file)
		if err == nil && bytes.Contains(arguments, []byte(s)) {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("this never came: ", what)
			return
		}
	}
}

// zombies are the dead children of this process that nobody has reaped.
func zombies() (pids []int) {
	for _, pid := range allChildren() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " Z") {
			pids = append(pids, pid)
		}
	}
	return pids
}

func allChildren() (pids []int) {
	files, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range files {
		list, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(list)) {
			pid, _ := strconv.Atoi(field)
			pids = append(pids, pid)
		}
	}
	return pids
}

// unruly are commands that try to outlive their check. TOKEN is in the
// arguments of whatever must not survive, $READY is touched when all of it runs.
var unruly = map[string]string{
	"hangs":                              "touch READY; exec sleep TOKEN",
	"hangs in a child of the shell":      "touch READY; sleep TOKEN; :",
	"ignores SIGTERM":                    "trap '' TERM; touch READY; sleep TOKEN; sleep TOKEN; :",
	"stops itself":                       "touch READY; sh -c 'kill -STOP $$; # TOKEN'",
	"forks":                              "sleep TOKEN & sleep TOKEN & touch READY; wait",
	"starts a session":                   "setsid sleep TOKEN & touch READY; wait",
	"starts a session, ignoring SIGTERM": "trap '' TERM; setsid sleep TOKEN & touch READY; wait",
	"forks twice":                        "(sleep TOKEN & sleep TOKEN &); touch READY; sleep TOKEN; :",
	"becomes a daemon":                   "setsid sh -c '(setsid sleep TOKEN >/dev/null 2>&1 &) &' ; touch READY; sleep TOKEN; :",
	"daemon in sessions in sessions":     "setsid sh -c 'setsid sh -c \"setsid sleep TOKEN & sleep TOKEN\" & sleep TOKEN' & touch READY; sleep TOKEN; :",
	"closes everything and forgets its environment": "env -i setsid sh -c '(exec sleep TOKEN <&- >&- 2>&- &)'; touch READY; sleep TOKEN; :",
	"prints for ever":                            "touch READY; exec yes TOKEN",
	"prints for ever, forked":                    "(setsid yes TOKEN &); touch READY; sleep TOKEN; :",
	"starts ever new children":                   "touch READY; while :; do (sleep TOKEN &); sleep 0.01; done",
	"takes another file lock limit":              "prlimit --locks=7:7 setsid sleep TOKEN & touch READY; wait",
	"takes away the limit, forked":               "(prlimit --locks=unlimited setsid sleep TOKEN &); touch READY; sleep TOKEN; :",
	"starts ever new sessions, ignoring SIGTERM": "trap '' TERM; touch READY; while :; do (setsid sleep TOKEN &); sleep 0.01; done",
}

func prepare(t *testing.T, command string) (ready, mark, prepared string) {
	ready, mark = filepath.Join(t.TempDir(), "ready"), token()
	return ready, mark, strings.NewReplacer("READY", ready, "TOKEN", mark).Replace(command)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func TestStopped(t *testing.T) {
	runners := map[string]func(*testing.T) *Runner{
		"logging": func(t *testing.T) *Runner { r, _ := debugRunner(t); return r },
		"without lists of children": func(t *testing.T) *Runner {
			r := quietRunner(t)
			r.orphans.withoutLists()
			return r
		},
	}
	for kind, start := range runners {
		t.Run(kind, func(t *testing.T) {
			r := start(t)
			var stopped sync.WaitGroup
			for name, command := range unruly {
				ready, mark, command := prepare(t, command)
				stopped.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					ended := make(chan client.CheckResult)
					go func() {
						result, err := r.Check(ctx, "c", command)
						if err != nil {
							t.Errorf("%s: %v", name, err)
						}
						ended <- result
					}()
					waitUntil(t, name+": ready", func() bool { return exists(ready) && len(withArgument(mark)) > 0 })
					cancel()
					if result := <-ended; result.OK() {
						t.Errorf("%s: it was told to have succeeded: %+v", name, result)
					}
					if left := withArgument(mark); len(left) > 0 {
						t.Errorf("%s: these are left: %v", name, left)
					}
				})
			}
			stopped.Wait()
			waitUntil(t, "all dead reaped", func() bool { return len(zombies()) == 0 })
		})
	}
}

// withoutLists makes o behave as on a kernel without lists of children.
func (o *orphans) withoutLists() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.children.Close()
	o.children = nil
}

func TestNothingSurvivesTheEndOfTheChecker(t *testing.T) {
	r := quietRunner(t)
	t.Run("commands", func(t *testing.T) {
		for name, command := range map[string]string{
			"a job in the background":           "sleep TOKEN & exit 3",
			"one that ignores SIGTERM":          "trap '' TERM; sleep TOKEN & exit 3",
			"one that is stopped":               "sleep TOKEN & kill -STOP $!; exit 3",
			"one with another file lock limit":  "prlimit --locks=7 setsid -f sleep TOKEN; exit 3",
			"one with none at all":              "prlimit --locks=0:0 setsid -f sleep TOKEN; exit 3",
			"one that was freed of it":          "prlimit --locks=unlimited setsid -f sleep TOKEN; exit 3",
			"one in a session of its own":       "setsid sleep TOKEN & sleep 0.1; exit 3",
			"a daemon":                          "(setsid sh -c '(exec sleep TOKEN <&- >&- 2>&- &)' &); sleep 0.1; exit 3",
			"a whole tree of sessions":          "setsid sh -c 'setsid sh -c \"setsid sleep TOKEN & sleep TOKEN\" & sleep TOKEN' & sleep 0.1; exit 3",
			"one that goes on to start others":  "(trap '' TERM; while :; do (setsid sleep TOKEN &); sleep 0.01; done) & sleep 0.1; exit 3",
			"one that the shell did not expect": "setsid -f sleep TOKEN; exit 3",
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				_, mark, command := prepare(t, command)
				if got := check(t, r, command); got != (client.CheckResult{Status: 3}) {
					t.Errorf("it ended with %+v", got)
				}
				if left := withArgument(mark); len(left) > 0 {
					t.Errorf("these are left: %v", left)
				}
			})
		}
	})
	waitUntil(t, "all dead reaped", func() bool { return len(zombies()) == 0 })
}

func TestTheDeadOfARunningCheckAreReaped(t *testing.T) {
	r := quietRunner(t)
	ready, _, command := prepare(t, "for i in 1 2 3 4 5 6 7 8; do (setsid -f true); done; touch READY; exec sleep TOKEN")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Check(ctx, "c", command)
	}()
	waitUntil(t, "ready", func() bool { return exists(ready) })
	waitUntil(t, "the dead reaped", func() bool { return len(zombies()) == 0 && len(allChildren()) == 1 })
	cancel()
	<-ended
}

func TestOneCheckLeavesTheOthersAlone(t *testing.T) {
	r := quietRunner(t)
	ready, mark, command := prepare(t, "(setsid sleep TOKEN &); sleep TOKEN & touch READY; wait")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Check(ctx, "bystander", command)
	}()
	waitUntil(t, "ready", func() bool { return exists(ready) && len(withArgument(mark)) == 3 })
	for range 3 {
		_, other, command := prepare(t, "(setsid sleep TOKEN &); sleep TOKEN & sleep 0.1; exit 1")
		check(t, r, command)
		if left := withArgument(other); len(left) > 0 {
			t.Errorf("these are left: %v", left)
		}
	}
	if left := withArgument(mark); len(left) != 3 {
		t.Errorf("of the other check's 3 processes, %d are left", len(left))
	}
	cancel()
	<-ended
}

func TestAProcessThatTakesTheLimitOfAnotherCheckIsEndedWithThatOne(t *testing.T) {
	r := quietRunner(t)
	ready, other, command := prepare(t, "prlimit --pid $$ --locks --noheadings --raw -o SOFT >LIMIT; touch READY; exec sleep TOKEN")
	limit := filepath.Join(t.TempDir(), "limit")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	bystander := strings.ReplaceAll(command, "LIMIT", limit)
	go func() {
		defer close(ended)
		r.Check(ctx, "bystander", bystander)
	}()
	waitUntil(t, "the other check", func() bool { return exists(ready) && len(withArgument(other)) == 1 })
	taken, err := os.ReadFile(limit)
	if err != nil {
		t.Fatal(err)
	}
	_, mark, thief := prepare(t, "prlimit --locks="+strings.TrimSpace(string(taken))+" setsid -f sleep TOKEN; exit 3")
	check(t, r, thief)
	if left := withArgument(mark); len(left) != 1 {
		t.Errorf("while the other check runs, %d are left", len(left))
	}
	cancel()
	<-ended
	if left := withArgument(mark); len(left) > 0 {
		t.Errorf("these are left: %v", left)
	}
}

// TestAStrayIsEndedWithoutTheCheckThatItStillSharesAGroupWith is about what has taken
// another limit and not left the process group of its checker, which goes on.
func TestAStrayIsEndedWithoutTheCheckThatItStillSharesAGroupWith(t *testing.T) {
	r := quietRunner(t)
	ready, mark, command := prepare(t, "prlimit --locks=7 sh -c 'sleep TOKEN & touch READY'; while test -e READY; do sleep 0.05; done; exit 3")
	ended := make(chan client.CheckResult, 1)
	go func() {
		result, _ := r.Check(t.Context(), "bystander", command)
		ended <- result
	}()
	waitUntil(t, "the stray", func() bool {
		both := withArgument(mark) // with the checker, whose parent is this process from the beginning on
		isOurs := func(pid int) bool { return parentOf(pid) == os.Getpid() }
		return exists(ready) && len(both) == 2 && isOurs(both[0]) && isOurs(both[1])
	})
	check(t, r, "exit 0")
	if left := withArgument(mark); len(left) != 1 {
		t.Errorf("beside the checker there is what it left behind: %v", left)
	}
	if err := os.Remove(ready); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got != (client.CheckResult{Status: 3}) {
		t.Errorf("the check that went on ended with %+v", got)
	}
}

func TestNoCheckWaitsForAStrayThatMayNotBeKilled(t *testing.T) {
	r, log := debugRunner(t)
	mark := token()
	if err := exec.Command("setsid", "-f", "sleep", mark).Run(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the stray", func() bool { return len(withArgument(mark)) == 1 })
	for range 2 {
		living, untouchable := r.orphans.round(r.orphans.mark(), func(int, bool) bool { return false })
		if living != 0 || len(untouchable) != 0 {
			t.Errorf("%d living, and %v that the check has left behind", living, untouchable)
		}
	}
	if n := strings.Count(log.String(), "Not allowed to kill what a checker left behind"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log)
	}
	check(t, r, "exit 1")
	if left := withArgument(mark); len(left) > 0 {
		t.Errorf("these are left: %v", left)
	}
}

func TestOtherChildrenOfTheProcessAreLeftAlone(t *testing.T) {
	r := quietRunner(t)
	other := exec.Command("sh", "-c", "sleep 0.3; exit 7")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		check(t, r, "setsid -f sleep 3600; :")
	}
	other.Wait()
	if code := other.ProcessState.ExitCode(); code != 7 {
		t.Errorf("it ended with %v", other.ProcessState)
	}
}

func TestAnEarlierChildInASessionOfItsOwnIsLeftAlone(t *testing.T) {
	for name, prepare := range map[string]func(*orphans){"with lists of children": func(*orphans) {}, "without": (*orphans).withoutLists} {
		t.Run(name, func(t *testing.T) {
			reader := exec.Command("sleep", token())
			reader.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := reader.Start(); err != nil {
				t.Fatal(err)
			}
			r := quietRunner(t)
			prepare(r.orphans)
			check(t, r, "setsid -f sleep 3600; true")
			if err := reader.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("it has ended after a check: %v", err)
			}
			reader.Process.Kill()
			if err := reader.Wait(); err == nil || err.Error() != "signal: killed" {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestNothingSurvivesTheServer(t *testing.T) {
	_, mark, command := prepare(t, "exec sleep TOKEN")
	server := child(t, "run the command in the argument", command)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	// The server has the token in an argument as well.
	waitUntil(t, "the checker", func() bool { return len(withArgument(mark)) == 2 })
	server.Process.Kill()
	server.Wait()
	waitUntil(t, "the checker's end", func() bool { return len(withArgument(mark)) == 0 })
}

func TestWithoutPrivileges(t *testing.T) {
	for name, command := range unruly {
		ready, mark, command := prepare(t, command)
		for dir := filepath.Dir(ready); dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o777); err != nil { // for nobody to say there that it is ready
				t.Fatal(err)
			}
		}
		server := child(t, "stop it when it is ready", command, ready)
		server.Dir = "/"
		server.Stderr = os.Stderr
		if os.Getuid() == 0 {
			server.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		var out bytes.Buffer
		server.Stdout = &out
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		defer t.Run(name, func(t *testing.T) { // when all of them run
			if err := server.Wait(); err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(out.String(), " <nil>\n") {
				t.Errorf("it said %q", out.String())
			}
			if left := withArgument(mark); len(left) > 0 {
				t.Errorf("these are left: %v", left)
			}
		})
	}
}

func TestCannotStart(t *testing.T) {
	r := quietRunner(t)
	t.Run("a command that is too long", func(t *testing.T) {
		_, err := r.Check(t.Context(), "c", ": "+strings.Repeat("x", 1<<20))
		if err == nil || !strings.Contains(err.Error(), "cannot start the checker: argument list too long") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a command with a NUL", func(t *testing.T) {
		if _, err := r.Check(t.Context(), "c", "true\x00"); err == nil {
			t.Error("it was started")
		}
	})
	t.Run("no descriptors left", func(t *testing.T) {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		low := limit
		low.Cur = 3
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
			t.Fatal(err)
		}
		_, err := r.Check(t.Context(), "c", "true")
		if restoreErr := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); restoreErr != nil {
			t.Fatal(restoreErr)
		}
		if err == nil || !strings.Contains(err.Error(), "too many open files") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a check stopped before it began", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Check(ctx, "c", "true"); err != context.Canceled {
			t.Errorf("got %v", err)
		}
	})
	t.Run("then it works again", func(t *testing.T) {
		if got := check(t, r, "true"); !got.OK() {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("not after Close", func(t *testing.T) {
		closed, err := New(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := closed.Check(t.Context(), "c", "true"); err != errClosed {
			t.Errorf("got %v", err)
		}
	})
	if left := zombies(); len(left) > 0 {
		t.Errorf("zombies: %v", left)
	}
}

func TestOutputIsLogged(t *testing.T) {
	for name, test := range map[string]struct {
		command    string
		want, lack []string
	}{
		"line by line, both outputs":    {"echo one; echo two >&2; printf three", []string{"client=c line=one\n", "client=c line=two\n", "client=c line=three\n"}, []string{"more"}},
		"bounded in bytes":              {"yes | head -c 10000", []string{`msg="Checker printed more than is logged" client=c bytes=5904`}, nil},
		"bounded in one line":           {"head -c 1000000 /dev/zero | tr '\\0' x", []string{"bytes=995904"}, []string{strings.Repeat("x", maxLogged+1)}},
		"nothing for nothing":           {":", nil, []string{"client=c"}},
		"also of what stays behind":     {"(setsid sh -c 'echo behind; touch READY; sleep 3600' &); until [ -e READY ]; do sleep 0.01; done", []string{"line=behind\n"}, nil},
		"with what is not text escaped": {`printf '\033[2J\377\n'`, []string{`line="\x1b[2J\xff"`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, log := debugRunner(t)
			_, _, command := prepare(t, test.command)
			check(t, r, command)
			for _, want := range test.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, log)
				}
			}
			for _, lack := range test.lack {
				if strings.Contains(log.String(), lack) {
					t.Errorf("the log has %q:\n%s", lack, log)
				}
			}
		})
	}
}

func TestTheLastLineOfAFailedCheckerIsKept(t *testing.T) {
	r := quietRunner(t)
	for sentence, test := range map[string]struct{ command, want string }{
		"the shell's words":                     {"/nonexistent", "/bin/sh: 1: /nonexistent: not found"},
		"of both outputs, the later":            {"echo one; echo two >&2; exit 1", "two"},
		"without a line feed at the end":        {"printf 'one\ntwo'; exit 1", "two"},
		"blank lines are passed over":           {"printf 'one\n \n\n'; exit 1", "one"},
		"what a terminal would overwrite, too":  {"printf ' 10%%\r 20%%\r'; exit 1", "20%"},
		"DOS line ends":                         {"printf 'one\r\n'; exit 1", "one"},
		"tabs are blanks":                       {"printf 'a\tb\n'; exit 1", "a b"},
		"nothing steers a terminal":             {"printf '\033[2J\302\233\342\200\256\377x\n'; exit 1", "\uFFFD[2J\uFFFD\uFFFD\uFFFDx"},
		"text is text":                          {"printf 'Größe №1\n'; exit 1", "Größe №1"},
		"of a long line, the beginning":         {"head -c 1000 /dev/zero | tr '\\0' x; exit 1", strings.Repeat("x", maxLine-1) + "…"},
		"which is never cut within a character": {"printf x; for i in $(seq 300); do printf é; done; exit 1", "x" + strings.Repeat("é", maxLine/2-1) + "…"},
		"of very much":                          {"yes | head -c 10000000; echo end; exit 1", "end"},
		"of a checker that was killed":          {"echo one; kill -9 $$", "one"},
		"nothing of nothing":                    {"exit 1", ""},
		"nothing of a success":                  {"echo one", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := check(t, r, test.command).Output; got != test.want {
				t.Errorf("kept %q, want %q", got, test.want)
			}
		})
	}
}

func descriptors(t *testing.T) (open []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			open = append(open, target)
		}
	}
	slices.Sort(open)
	return open
}

func TestThousandsOfChecksLeaveNothing(t *testing.T) {
	var level slog.LevelVar
	r, err := New(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: &level})))
	if err != nil {
		t.Fatal(err)
	}
	check(t, r, ":") // opens what the process keeps open, such as the poller
	before := descriptors(t)
	for _, batch := range []struct {
		checks  int
		level   slog.Level
		command string
	}{
		{2000, slog.LevelInfo, ":"},
		{500, slog.LevelDebug, "echo x"},
		{100, slog.LevelInfo, "setsid -f sleep 3600"},
		{100, slog.LevelDebug, "echo x; (setsid sleep 3600 &) &"},
	} {
		level.Set(batch.level)
		work := make(chan struct{})
		var workers sync.WaitGroup
		for range 16 {
			workers.Go(func() {
				for range work {
					if result, err := r.Check(t.Context(), "c", batch.command); err != nil || !result.OK() {
						t.Errorf("%q: %+v, %v", batch.command, result, err)
					}
				}
			})
		}
		for range batch.checks {
			work <- struct{}{}
		}
		close(work)
		workers.Wait()
		if left := allChildren(); len(left) > 0 {
			t.Errorf("children after %q: %v", batch.command, left)
		}
	}
	if n := len(r.orphans.marks.running); n > 0 {
		t.Errorf("%d marks are kept", n)
	}
	if after := descriptors(t); !slices.Equal(before, after) {
		t.Errorf("descriptors before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if after := descriptors(t); len(after) > len(before)-2 {
		t.Errorf("descriptors before Close:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

func TestWaitingChecksNeedNoThreads(t *testing.T) {
	r := quietRunner(t)
	ctx, cancel := context.WithCancel(t.Context())
	mark := token()
	var checks sync.WaitGroup
	for range 300 {
		checks.Go(func() {
			if _, err := r.Check(ctx, "c", "exec sleep "+mark); err != nil {
				t.Error(err)
			}
		})
	}
	waitUntil(t, "all of them waiting", func() bool { return len(withArgument(mark)) == 300 })
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	if len(threads) > 50 {
		t.Errorf("%d threads", len(threads))
	}
	cancel()
	checks.Wait()
	if left := withArgument(mark); len(left) > 0 {
		t.Errorf("%d are left", len(left))
	}
}

// BenchmarkCheck reports what a server of a usual size could do at most, and
// the processor time that a check takes, the shell's and the command's included.
func BenchmarkCheck(b *testing.B) {
	for name, command := range map[string]string{"true": "/bin/true", "builtin": ":"} {
		b.Run(name, func(b *testing.B) {
			r := quietRunner(b)
			ballast := bytes.Repeat([]byte("x"), 100<<20)
			before := processorTime(b)
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if result, err := r.Check(b.Context(), "c", command); err != nil || !result.OK() {
						b.Error(result, err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "checks/s")
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			_, _ = io.Discard.Write(ballast)
		})
	}
}

func processorTime(b *testing.B) (total time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var usage unix.Rusage
		if err := unix.Getrusage(who, &usage); err != nil {
			b.Fatal(err)
		}
		total += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return total
}
