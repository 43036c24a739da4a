// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/debiantest"
)

const policyFile = "../../etc/dbus-1/system.d/mandos.conf"

// nobody is a user without any rights.
var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

// mandosGroup is an otherwise unprivileged user in the group that may.
func mandosGroup(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(debiantest.User)
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func needOtherUsers(t *testing.T) {
	t.Helper()
	debiantest.NeedRoot(t, "to become another user")
}

// as has a tool run as another user.
func as(t *testing.T, cmd *exec.Cmd, who *syscall.Credential) *exec.Cmd {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	cmd.Dir = "/"
	return cmd
}

func TestTheBusPolicyAllowsRootAndTheGroupAlone(t *testing.T) {
	needOtherUsers(t)
	b := dbustest.StartSystem(t, policyFile)
	s := serve(t, b.Address, settings("foo"))
	if state := s.bus.State(); state != "connected" {
		t.Fatalf("root may not own the name: %s", state)
	}
	const get = "get-property se.recompile.Mandos /clients/foo se.recompile.Mandos.Client Enabled"
	const managed = "call se.recompile.Mandos / org.freedesktop.DBus.ObjectManager GetManagedObjects"
	const disable = "set-property se.recompile.Mandos /clients/foo se.recompile.Mandos.Client Enabled b false"
	const reload = "call se.recompile.Mandos / org.mandosctl.Server1 Reload"
	const introspect = "introspect se.recompile.Mandos /clients/foo"
	const ping = "call se.recompile.Mandos / org.freedesktop.DBus.Peer Ping"
	const own = "call org.freedesktop.DBus / org.freedesktop.DBus RequestName su se.recompile.Mandos 0"

	for name, test := range map[string]struct {
		who     *syscall.Credential
		allowed bool
	}{
		"root may":                 {&syscall.Credential{}, true},
		"the group may":            {mandosGroup(t), true},
		"an ordinary user may not": {nobody, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, args := range []string{managed, get, introspect, ping, reload, own} {
				output, exit := run(t, as(t, tool(t, b.Address, "busctl", append([]string{"--system"}, strings.Fields(args)...)...), test.who))
				if allowed := exit == 0; allowed != test.allowed {
					t.Errorf("busctl %s: exit status %d and %s", args, exit, output)
				}
				if !test.allowed && !strings.Contains(output, "denied") && !strings.Contains(output, "not allowed") {
					t.Errorf("busctl %s: %s", args, output)
				}
			}
		})
	}
	output, exit := run(t, as(t, tool(t, b.Address, "busctl", append([]string{"--system"}, strings.Fields(disable)...)...), nobody))
	if view, _ := s.Client("foo"); exit == 0 || !view.Enabled {
		t.Errorf("an ordinary user has disabled a client: %s", output)
	}
	if output, exit := run(t, as(t, tool(t, b.Address, debiantest.MandosCtl(t)), nobody)); exit != 1 || !strings.Contains(output, "AccessDenied") && !strings.Contains(output, "Rejected send message") {
		t.Errorf("mandos-ctl as an ordinary user: exit status %d and %s", exit, output)
	}
}

func TestAnOrdinaryUserHearsNothing(t *testing.T) {
	needOtherUsers(t)
	b := dbustest.StartSystem(t, policyFile)
	serve(t, b.Address, settings("foo"))
	api := connect(t, b.Address)
	clients, err := api.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listenAs := func(who *syscall.Credential) (heard func() string, end func()) {
		script := as(t, tool(t, b.Address, "/usr/bin/python3", "-c", `
import dbus, dbus.mainloop.glib
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
bus.add_signal_receiver(lambda *args, **more: print("heard", more["member"], flush=True),
    dbus_interface="org.freedesktop.DBus.Properties", member_keyword="member")
bus.get_name_owner("org.freedesktop.DBus")
print("listening", flush=True)
def end(*_):
    bus.get_name_owner("org.freedesktop.DBus") # whatever the bus sent before is here with the answer
    GLib.idle_add(lambda: print("heard nothing", flush=True), priority=GLib.PRIORITY_LOW)
GLib.io_add_watch(0, GLib.IO_IN, end)
GLib.MainLoop().run()
`), who)
		stdin, err := script.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stdin.Close() })
		end = func() { io.WriteString(stdin, "end\n") }
		lines := linesOf(t, script)
		if got := lines(); got != "listening" {
			t.Fatalf("the listener said %q", got)
		}
		return lines, end
	}
	member, _ := listenAs(mandosGroup(t))
	ordinary, end := listenAs(nobody)
	if err := set(t, api, clients[0], "host", "new"); err != nil {
		t.Fatal(err)
	}
	if got := member(); got != "heard PropertiesChanged" {
		t.Errorf("a member of the group %s", got)
	}
	end()
	if got := ordinary(); got != "heard nothing" {
		t.Errorf("an ordinary user %s", got)
	}
}

func TestTheNameIsRefusedByThePolicy(t *testing.T) {
	empty := t.TempDir() + "/empty.conf"
	if err := os.WriteFile(empty, []byte("<busconfig></busconfig>"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := dbustest.StartSystem(t, empty)
	s := serve(t, b.Address, settings("foo"))
	s.becomes(t, "the bus policy does not let the server own the name")
	joined := joinings(t, b.Address)
	for range 3 { // each a further attempt, the last of which may not be over
		joined()
	}
	if n := s.log.count("level=WARN"); n != 1 {
		t.Errorf("it is logged %d times: %q", n, s.log.lines)
	}
}

// joinings waits, each time, until somebody else has come on the bus.
func joinings(t *testing.T, address string) (wait func()) {
	t.Helper()
	conn := dial(t, address)
	if err := conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(1, "")); err != nil {
		t.Fatal(err)
	}
	signals := make(chan *dbus.Signal, 100)
	conn.Signal(signals)
	return func() {
		t.Helper()
		deadline := time.After(patience)
		for {
			select {
			case sig := <-signals:
				if sig.Name == "org.freedesktop.DBus.NameOwnerChanged" {
					return
				}
			case <-deadline:
				t.Fatal("nobody comes on the bus")
			}
		}
	}
}

func TestTheClientSaysWhatToDo(t *testing.T) {
	t.Run("without a bus", func(t *testing.T) {
		_, err := dbusapi.Connect(t.Context(), "unix:path=/nonexistent/bus")
		wantError(t, err, dbusapi.ErrNoBus, "cannot reach the system bus: no such file or directory; is dbus running?")
	})
	t.Run("without a server", func(t *testing.T) {
		_, err := connect(t, dbustest.Start(t).Address).Clients(t.Context())
		wantError(t, err, dbusapi.ErrNoServer, `start it with "systemctl start mandos"`)
	})
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	api := connect(t, b.Address)
	foo := dbusapi.Client{Path: "/clients/foo"}
	t.Run("about a client that is not there", func(t *testing.T) {
		wantError(t, api.Enable(t.Context(), dbusapi.Client{Path: "/clients/nosuch"}), dbusapi.ErrNoClient, "/clients/nosuch")
		wantError(t, api.Remove(t.Context(), dbusapi.Client{Path: "/clients/nosuch"}), dbusapi.ErrNoClient, "/clients/nosuch")
	})
	t.Run("about a value that cannot be", func(t *testing.T) {
		wantError(t, set(t, api, foo, "interval", time.Duration(0)), dbusapi.ErrInvalid, "the interval is no time at all")
		wantError(t, set(t, api, foo, "timeout", -time.Second), dbusapi.ErrInvalid, "negative")
		wantError(t, api.SetLogLevel(t.Context(), "loud"), dbusapi.ErrInvalid, "debug and info")
	})
	t.Run("about a configuration that is wrong", func(t *testing.T) {
		s.daemon.reloading(errors.New("clients.conf:7: no such\nkey"), false)
		_, err := api.Reload(t.Context())
		wantError(t, err, dbusapi.ErrFailed, "clients.conf:7: no such key")
	})
	t.Run("about a bus that does not answer", func(t *testing.T) {
		b.Freeze()
		defer b.Thaw()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := api.Clients(ctx)
		wantError(t, err, dbusapi.ErrTimeout, "did not answer in time")
		_, err = dbusapi.Connect(ctx, b.Address)
		wantError(t, err, dbusapi.ErrNoBus, "it does not answer")
	})
	t.Run("about a bus that went away", func(t *testing.T) {
		b.Stop()
		_, err := api.Clients(t.Context())
		wantError(t, err, dbusapi.ErrNoBus, "cannot reach the system bus")
	})
}

func wantError(t *testing.T, err, reason error, text string) {
	t.Helper()
	if !errors.Is(err, reason) || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is %q, want %q with %q", err, reason, text)
	}
}
