// SPDX-License-Identifier: Apache-2.0

package privileges_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mandos/server/debiantest"
	"mandos/server/privileges"
)

// TestMain is also the program of the processes that the tests look at.
func TestMain(m *testing.M) {
	if role := os.Getenv("MANDOS_TEST_ROLE"); role != "" {
		if err := roles[role](); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// roles are what a process can be; those that end in stay go on until they are
// told to end.
var roles = map[string]func() error{
	"dropped": func() error {
		return errors.Join(privileges.Drop(privileges.Find()), privileges.Harden(), stay())
	},
	"hardened":     func() error { return errors.Join(privileges.Harden(), stay()) },
	"not hardened": stay,
	"starter of a confined process, then dropped": func() error {
		self := program("confined")
		stdin, err := self.StdinPipe()
		if err != nil {
			return err
		}
		self.Stdout = os.Stdout
		if err := privileges.Start(self, privileges.Find(), privileges.ReadAll); err != nil {
			return err
		}
		defer self.Wait()
		defer stdin.Close()
		if err := privileges.Drop(privileges.Find()); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	},
	"confined": func() error {
		if err := privileges.Harden(); err != nil {
			return err
		}
		if _, err := os.ReadFile("/etc/shadow"); err != nil {
			return err
		}
		if f, err := os.OpenFile("/etc/shadow", os.O_RDWR, 0); err == nil {
			f.Close()
			return errors.New("can write /etc/shadow")
		}
		return stay()
	},
	"reader of everything": func() error {
		fmt.Println(privileges.ReadsAll())
		if err := privileges.Drop(privileges.Find()); err != nil {
			return err
		}
		fmt.Println(privileges.ReadsAll())
		return nil
	},
	"dropped to root": func() error { return privileges.Drop(privileges.User{Name: "root"}) },
	"opener of another's memory": func() error {
		f, err := os.OpenFile("/proc/"+os.Getenv("MANDOS_TEST_PID")+"/mem", os.O_RDWR, 0)
		if err == nil {
			f.Close()
		}
		return err
	},
}

// stay says who this is and waits until standard input ends.
func stay() error {
	fmt.Println("pid", os.Getpid())
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func program(role string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	// The race detector would make every process linger for a second.
	cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0", "MANDOS_TEST_ROLE="+role), env...)
	return cmd
}

// process is one that stays.
type process struct {
	cmd *exec.Cmd
	pid string
}

// run starts a process with that role and waits until it stays.
func run(t *testing.T, cmd *exec.Cmd, start func(*exec.Cmd) error) process {
	t.Helper()
	debiantest.NeedRoot(t, "to give it up")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	pid, ok := strings.CutPrefix(strings.TrimSpace(line), "pid ")
	if err != nil || !ok {
		t.Fatalf("the process said %q: %v", line, err)
	}
	return process{cmd, pid}
}

// status is a line of proc_pid_status(5), and must be the same for every thread.
func (p process) status(t *testing.T, key string) string {
	t.Helper()
	threads, err := filepath.Glob("/proc/" + p.pid + "/task/*/status")
	if err != nil || len(threads) < 2 {
		t.Fatalf("%d threads: %v", len(threads), err)
	}
	values := map[string]bool{}
	var value string
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, key+":"); ok {
				value = strings.Join(strings.Fields(rest), " ")
				values[value] = true
			}
		}
	}
	if len(values) != 1 {
		t.Fatalf("threads differ in %s: %v", key, values)
	}
	return value
}

func (p process) check(t *testing.T, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if got := p.status(t, key); got != value {
			t.Errorf("%s of the process is %q, want %q", key, got, value)
		}
	}
}

const none = "0000000000000000"

func TestDrop(t *testing.T) {
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, bounding, _ := strings.Cut(string(own), "CapBnd:\t")
	bounding, _, _ = strings.Cut(bounding, "\n")

	cmd := program("dropped")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Groups: []uint32{0, 1, 2}},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN},
	}
	as := privileges.Find()
	run(t, cmd, (*exec.Cmd).Start).check(t, map[string]string{
		"Uid":    fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", as.UID),
		"Gid":    fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", as.GID),
		"Groups": "",
		"CapPrm": none, "CapEff": none, "CapAmb": none,
		// Checkers can still use file capabilities and set-user-ID programs.
		"CapBnd": bounding, "NoNewPrivs": "0",
	})
}

func TestDropWithoutRoot(t *testing.T) {
	cmd := program("dropped")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4711, Gid: 4712, Groups: []uint32{4713}}}
	run(t, cmd, (*exec.Cmd).Start).check(t, map[string]string{
		"Uid": "4711 4711 4711 4711", "Gid": "4712 4712 4712 4712", "Groups": "4713", "CapEff": none,
	})
}

func TestDropToRootIsRefused(t *testing.T) {
	debiantest.NeedRoot(t, "to give it up")
	if out, err := program("dropped to root").CombinedOutput(); err == nil || !strings.Contains(string(out), "that is root") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestReadsAll(t *testing.T) {
	debiantest.NeedRoot(t, "which alone reads everything")
	out, err := program("reader of everything").CombinedOutput()
	if err != nil || string(out) != "true\nfalse\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestConfinedReader(t *testing.T) {
	p := run(t, program("starter of a confined process, then dropped"), (*exec.Cmd).Start)
	const readAll = "0000000000000004"
	as := privileges.Find()
	p.check(t, map[string]string{
		"Uid":    fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", as.UID),
		"Gid":    fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", as.GID),
		"Groups": "",
		"CapInh": readAll, "CapPrm": readAll, "CapEff": readAll, "CapBnd": readAll, "CapAmb": readAll,
		"NoNewPrivs": "1",
	})
	starter := process{pid: fmt.Sprint(p.cmd.Process.Pid)}
	starter.check(t, map[string]string{"CapEff": none, "NoNewPrivs": "0"})
}

func TestWhoStartsAConfinedProcessLosesNothing(t *testing.T) {
	run(t, program("confined"), func(cmd *exec.Cmd) error {
		return privileges.Start(cmd, privileges.Find(), privileges.ReadAll)
	})
	self := process{pid: fmt.Sprint(os.Getpid())}
	if self.status(t, "NoNewPrivs") != "0" || self.status(t, "CapBnd") == none {
		t.Error("the test itself was confined")
	}
}

func TestMemoryIsClosedToOthers(t *testing.T) {
	as := privileges.Find()
	same := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: as.UID, Gid: as.GID}}
	for role, closed := range map[string]bool{"hardened": true, "not hardened": false} {
		cmd := program(role)
		cmd.SysProcAttr = same
		p := run(t, cmd, (*exec.Cmd).Start)
		cmd = program("opener of another's memory", "MANDOS_TEST_PID="+p.pid)
		cmd.SysProcAttr = same
		if out, err := cmd.CombinedOutput(); (err != nil) != closed {
			t.Errorf("%s: %v %s", role, err, out)
		}
	}
}

func TestNoCoreDump(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_CORE, &before) })
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}); err != nil {
		t.Fatal(err)
	}
	for role, dumps := range map[string]bool{"dropped": false, "hardened": false, "not hardened": true} {
		cmd := program(role, "GOTRACEBACK=crash")
		cmd.Dir = t.TempDir()
		p := run(t, cmd, (*exec.Cmd).Start)
		p.cmd.Process.Signal(syscall.SIGABRT)
		err := p.cmd.Wait()
		status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !ok || !status.Signaled() || status.CoreDump() != dumps {
			t.Errorf("%s: %v; dumped core: %v, want %v", role, err, status.CoreDump(), dumps)
		}
	}
}

func TestFind(t *testing.T) {
	passwd := func(entries string) func(string) (*user.User, error) {
		return func(name string) (*user.User, error) {
			for entry := range strings.FieldsSeq(entries) {
				if known, id, _ := strings.Cut(entry, ":"); known == name {
					return &user.User{Username: name, Uid: id, Gid: "1"}, nil
				}
			}
			return nil, user.UnknownUserError(name)
		}
	}
	group := func(entries string) func(string) (*user.Group, error) {
		return func(name string) (*user.Group, error) {
			u, err := passwd(entries)(name)
			if err != nil {
				return nil, err
			}
			return &user.Group{Name: name, Gid: u.Uid}, nil
		}
	}
	for name, tc := range map[string]struct {
		users, groups string
		want          privileges.User
	}{
		"all exist":                  {"nobody:9 mandos:8 _mandos:7", "nogroup:6 mandos:5 _mandos:4", privileges.User{Name: "_mandos", UID: 7, GID: 4}},
		"the older name":             {"nobody:9 mandos:8", "nogroup:6 mandos:5", privileges.User{Name: "mandos", UID: 8, GID: 5}},
		"a user without its group":   {"nobody:9 _mandos:7", "nogroup:6", privileges.User{Name: "nobody", UID: 9, GID: 6}},
		"nobody without nogroup":     {"nobody:9", "nobody:9", privileges.Overflow},
		"none":                       {"", "", privileges.Overflow},
		"a user that is root":        {"_mandos:0 nobody:9", "_mandos:4 nogroup:6", privileges.User{Name: "nobody", UID: 9, GID: 6}},
		"a group that is root's":     {"_mandos:7 nobody:9", "_mandos:0 nogroup:6", privileges.User{Name: "nobody", UID: 9, GID: 6}},
		"an entry that is no number": {"_mandos:x nobody:9", "_mandos:4 nogroup:6", privileges.User{Name: "nobody", UID: 9, GID: 6}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := privileges.FindWith(passwd(tc.users), group(tc.groups)); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestVerifyFailsClosed(t *testing.T) {
	good := "Name:\tmandos\nUid:\t7\t7\t7\t7\nGid:\t4\t4\t4\t4\nCapInh:\t" + none + "\nCapPrm:\t" + none + "\nCapEff:\t" + none + "\nCapBnd:\tffffffffffffffff\nCapAmb:\t" + none + "\n"
	as := privileges.User{UID: 7, GID: 4}
	if err := privileges.VerifyStatus(good, as); err != nil {
		t.Errorf("what is good is refused: %v", err)
	}
	for name, status := range map[string]string{
		"a saved user ID":      strings.Replace(good, "7\t7\t7\t7", "7\t7\t0\t7", 1),
		"another group":        strings.Replace(good, "4\t4\t4\t4", "4\t4\t4\t0", 1),
		"a permitted one":      strings.Replace(good, "CapPrm:\t0", "CapPrm:\t1", 1),
		"an effective one":     strings.Replace(good, "CapEff:\t0", "CapEff:\t1", 1),
		"an inheritable one":   strings.Replace(good, "CapInh:\t0", "CapInh:\t1", 1),
		"an ambient one":       strings.Replace(good, "CapAmb:\t0", "CapAmb:\t1", 1),
		"a line that is gone":  strings.Replace(good, "CapPrm", "CapXxx", 1),
		"nothing at all":       "",
		"something quite else": "hello\n",
	} {
		if err := privileges.VerifyStatus(status, as); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}
