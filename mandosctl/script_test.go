// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/debiantest"
)

var update = flag.Bool("update", false, "write what was printed into the scripts and the golden files")

// scratch is a directory for what all tests share.
var scratch string

func TestMain(m *testing.M) {
	debiantest.HaveUsers()
	flag.Parse()
	var err error
	if scratch, err = os.MkdirTemp("", "mandosctl-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := os.Chmod(scratch, 0o755); err != nil { // for the server, which gives root up
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(scratch)
	os.Exit(status)
}

// built are the two programs as they are, built once.
var built = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(scratch, "bin")
	for _, program := range [][2]string{{"mandos", "mandos/server"}, {"mandosctl", "mandos/mandosctl"}} {
		// Built as make builds them, so that the one finds in Go's cache what the other left.
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-X main.version=1.2.3", "-o", filepath.Join(dir, program[0]), program[1])
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", program[0], err, out)
		}
	}
	return dir, nil
})

// host is one with Debian's mandos-client, made once for all scripts.
var host = sync.OnceValues(func() (*debiantest.Host, error) {
	h, err := debiantest.NewHost(filepath.Join(scratch, "host"), "correct horse")
	if err != nil {
		return nil, err
	}
	return h, os.WriteFile(filepath.Join(scratch, "section"), []byte(h.Section), 0o644)
})

// TestScripts runs the scripts, each with a bus of its own that has the policy of
// the system's, and with the programs and those of testdata/bin in its PATH.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	for _, script := range scripts {
		t.Run(filepath.Base(script), func(t *testing.T) {
			t.Parallel()
			runScript(t, script)
		})
	}
}

func runScript(t *testing.T, script string) {
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	tools, err := filepath.Abs("testdata/bin")
	if err != nil {
		t.Fatal(err)
	}
	bus := startBus(t, script)
	testscript.RunT(inItsTurn{t}, testscript.Params{
		Files:               []string{script},
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(scriptTime),
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+":"+tools+":"+env.Getenv("PATH")+":/usr/sbin:/sbin")
			env.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
			env.Setenv("TZ", "UTC")
			env.Setenv("TERM", "xterm")
			env.Setenv("PORT", debiantest.FreePort(t))
			env.Values[serverKey{}] = &server{env: env}
			env.Values[busKey{}] = bus
			env.Values[testKey{}] = t
			env.Defer(func() { env.Values[serverKey{}].(*server).stop() })
			env.Defer(func() { closeScreen(tools, env.WorkDir) })
			for dir := env.WorkDir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"root":   commandRoot,
			"server": commandServer,
			"bus":    commandBus,
			"debian": commandDebian,
		},
	})
}

// scriptTime is how long a script may take: a machine that is busy is no failure.
const scriptTime = 4 * time.Minute

// inItsTurn runs a script in a test whose turn it is, so that its time does not begin
// while it waits for others.
type inItsTurn struct{ *testing.T }

func (inItsTurn) Parallel()                                 {}
func (t inItsTurn) Run(_ string, script func(testscript.T)) { script(t) }
func (inItsTurn) Verbose() bool                             { return testing.Verbose() }

// closeScreen ends what a script that failed leaves running.
func closeScreen(tools, work string) {
	if _, err := os.Stat(filepath.Join(work, ".screen")); err == nil {
		cmd := exec.Command(filepath.Join(tools, "screen"), "close")
		cmd.Env = append(os.Environ(), "WORK="+work)
		cmd.Run()
	}
}

// startBus starts a bus with the policy of the system's. The Python server has
// another name besides, which ours does not let anybody own.
func startBus(t *testing.T, script string) *dbustest.Bus {
	if filepath.Base(script) == "python.txtar" {
		return dbustest.Start(t)
	}
	return dbustest.StartSystem(t, "../etc/dbus-1/system.d/mandos.conf")
}

type (
	serverKey struct{}
	busKey    struct{}
	testKey   struct{}
)

// server is the daemon of a script.
type server struct {
	env *testscript.Env
	cmd *exec.Cmd
}

// commandRoot is "root WHAT-FOR" and skips the rest of the script without root.
func commandRoot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: root WHAT-FOR")
	}
	debiantest.NeedRoot(ts.Value(testKey{}).(*testing.T), args[0])
}

// commandServer is "server start", which waits until the server is on the bus,
// "server python", the same with Debian's server, and "server stop".
func commandServer(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(serverKey{}).(*server)
	switch {
	case neg || len(args) != 1:
		ts.Fatalf("usage: server start|python|stop")
	case args[0] != "stop":
		commandRoot(ts, false, []string{"for the server to have its name on a bus as the system's"})
	}
	switch args[0] {
	case "start":
		bin, err := built()
		ts.Check(err)
		ts.Check(s.start(ts, filepath.Join(bin, "mandos"), "--address", "::1"))
	case "python":
		ts.Check(os.Mkdir(ts.MkAbs("state"), 0o777))
		ts.Check(os.Chmod(ts.MkAbs("state"), 0o777))
		dir, err := debiantest.Unpacked("mandos")
		ts.Check(err)
		ts.Check(s.start(ts, filepath.Join(dir, "usr/sbin/mandos"), "--address", "::1"))
	case "stop":
		ts.Check(s.stop())
	}
}

func (s *server) start(ts *testscript.TestScript, program string, args ...string) error {
	log, err := os.OpenFile(ts.MkAbs("server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(program, append(args, "--foreground", "--no-zeroconf", "--port", ts.Getenv("PORT"),
		"--configdir", ts.MkAbs("etc"), "--statedir", ts.MkAbs("state"))...)
	s.cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+ts.Getenv("DBUS_SYSTEM_BUS_ADDRESS"))
	s.cmd.Stderr = log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(scriptTime); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = answers(ts.Getenv("DBUS_SYSTEM_BUS_ADDRESS")); err == nil {
			return nil
		}
	}
	said, _ := os.ReadFile(log.Name())
	return fmt.Errorf("the server does not come on the bus: %w\n%s", err, said)
}

// answers reports whether the server on that bus can be asked something.
func answers(bus string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	api, err := dbusapi.Connect(ctx, bus)
	if err != nil {
		return err
	}
	defer api.Close()
	_, err = api.Clients(ctx)
	return err
}

func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	cmd := s.cmd
	s.cmd = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return cmd.Wait()
}

// commandBus is "bus stop" and "bus start".
func commandBus(ts *testscript.TestScript, neg bool, args []string) {
	bus := ts.Value(busKey{}).(*dbustest.Bus)
	switch {
	case neg || len(args) != 1:
		ts.Fatalf("usage: bus start|stop")
	case args[0] == "start":
		bus.Restart()
	case args[0] == "stop":
		bus.Stop()
	}
}

// commandDebian is "debian", which gives the script Debian's mandos-client, as
// $CLIENT, with the keys of a host, in $KEYS, and that host's section, in $SECTION.
func commandDebian(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: debian")
	}
	h, err := host()
	ts.Check(err)
	ts.Setenv("CLIENT", h.Client)
	ts.Setenv("KEYS", h.Keys)
	ts.Setenv("SECTION", filepath.Join(scratch, "section"))
}
