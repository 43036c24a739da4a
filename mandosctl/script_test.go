// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
)

var update = flag.Bool("update", false, "write what was printed into the scripts and the golden files")

// scratch is a directory for what all tests share.
var scratch string

func TestMain(m *testing.M) {
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
		build := exec.Command("go", "build", "-ldflags", "-X main.version=1.2.3", "-o", filepath.Join(dir, program[0]), program[1])
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", program[0], err, out)
		}
	}
	return dir, nil
})

// debian is the package mandos-client, unpacked and not installed, with the keys
// of one host.
var debian = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(scratch, "debian")
	script := `set -e
mkdir -p "$1/keys"
cd "$1"
apt-get download -qq mandos-client
dpkg -x mandos-client_*.deb .
mv usr/lib/*/mandos/plugins.d/mandos-client client
usr/sbin/mandos-keygen --dir keys --name host1 --length 2048 --sublength 2048
printf 'correct horse' >password
usr/sbin/mandos-keygen --dir keys --name host1 --no-ssh --passfile password >section
chmod -R a+rX .`
	if out, err := exec.Command("sh", "-c", script, "sh", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot unpack and use mandos-client: %w\n%s", err, out)
	}
	return dir, nil
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
	testscript.Run(t, testscript.Params{
		Files:               []string{script},
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(time.Minute),
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+":"+tools+":"+env.Getenv("PATH")+":/usr/sbin:/sbin")
			env.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
			env.Setenv("TZ", "UTC")
			env.Setenv("TERM", "xterm")
			env.Setenv("PORT", strconv.Itoa(freePort(t)))
			env.Values[serverKey{}] = &server{env: env}
			env.Values[busKey{}] = bus
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
			"server": commandServer,
			"bus":    commandBus,
			"debian": commandDebian,
		},
	})
}

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
)

// server is the daemon of a script.
type server struct {
	env *testscript.Env
	cmd *exec.Cmd
}

// commandServer is "server start", which waits until the server is on the bus,
// "server python", the same with Debian's server, and "server stop".
func commandServer(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(serverKey{}).(*server)
	switch {
	case neg || len(args) != 1:
		ts.Fatalf("usage: server start|python|stop")
	case args[0] == "start":
		bin, err := built()
		ts.Check(err)
		ts.Check(s.start(ts, filepath.Join(bin, "mandos"), "--address", "::1"))
	case args[0] == "python":
		ts.Check(os.Mkdir(ts.MkAbs("state"), 0o777))
		ts.Check(os.Chmod(ts.MkAbs("state"), 0o777))
		ts.Check(s.start(ts, "/usr/sbin/mandos", "--address", "::1"))
	case args[0] == "stop":
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
	for range 1000 {
		if err = answers(ts.Getenv("DBUS_SYSTEM_BUS_ADDRESS")); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	said, _ := os.ReadFile(log.Name())
	return fmt.Errorf("the server does not come on the bus: %w\n%s", err, said)
}

// answers tells whether the server on that bus can be asked something.
func answers(bus string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
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
	dir, err := debian()
	ts.Check(err)
	ts.Setenv("CLIENT", filepath.Join(dir, "client"))
	ts.Setenv("KEYS", filepath.Join(dir, "keys"))
	ts.Setenv("SECTION", filepath.Join(dir, "section"))
}

// freePort is a port of ::1 that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
