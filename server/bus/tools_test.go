// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/client"
	"mandos/server/debiantest"
)

// tool is a program that talks to the bus at that address.
func tool(t *testing.T, address, program string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v (the tests need Debian's packages python3-dbus, dbus-bin, libglib2.0-bin, systemd and tmux)", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+address, "LC_ALL=C.UTF-8", "TERM=xterm")
	return cmd
}

// run gives what the tool printed, both ways, and how it exited.
func run(t *testing.T, cmd *exec.Cmd) (output string, exit int) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// linesOf starts a tool and gives its output line by line.
func linesOf(t *testing.T, cmd *exec.Cmd) (next func() string) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(stdout)
	return func() string { lines.Scan(); return lines.Text() }
}

func TestMandosCtlCommands(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("new\x00secret\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	disabled := settings("foo")
	disabled.Enabled = false
	enabled := settings("foo")

	for name, test := range map[string]struct {
		args   string
		before client.Settings
		holds  func(client.View) bool
	}{
		"enable":               {"--enable foo", disabled, func(v client.View) bool { return v.Enabled }},
		"disable":              {"--disable foo", enabled, func(v client.View) bool { return !v.Enabled && v.DisabledBecause == client.ByAdministrator }},
		"bump the timeout":     {"--bump-timeout foo", enabled, func(v client.View) bool { return !v.LastCheckedOK.IsZero() }},
		"start the checker":    {"--start-checker foo", enabled, func(v client.View) bool { return v.CheckerRunning }},
		"stop the checker":     {"--stop-checker foo", enabled, func(v client.View) bool { return !v.CheckerRunning }},
		"set the checker":      {"--checker ping foo", enabled, func(v client.View) bool { return v.Checker == "ping" }},
		"set the timeout":      {"--timeout PT3M foo", enabled, func(v client.View) bool { return v.Timeout == 3*time.Minute && v.Enabled }},
		"a timeout of nothing": {"--timeout PT0S foo", enabled, func(v client.View) bool { return !v.Enabled && v.DisabledBecause == client.TimedOut }},
		"the extended timeout": {"--extended-timeout PT30M foo", enabled, func(v client.View) bool { return v.ExtendedTimeout == 30*time.Minute }},
		"set the interval":     {"--interval PT4M foo", enabled, func(v client.View) bool { return v.Interval == 4*time.Minute && v.CheckerRunning }},
		"the approval delay":   {"--approval-delay PT10S foo", enabled, func(v client.View) bool { return v.ApprovalDelay == 10*time.Second }},
		"how long it holds":    {"--approval-duration PT2S foo", enabled, func(v client.View) bool { return v.ApprovalDuration == 2*time.Second }},
		"deny by default":      {"--deny-by-default foo", enabled, func(v client.View) bool { return !v.ApprovedByDefault }},
		"approve by default":   {"--approve-by-default foo", enabled, func(v client.View) bool { return v.ApprovedByDefault }},
		"set the host":         {"--host 192.0.2.7 foo", enabled, func(v client.View) bool { return v.Host == "192.0.2.7" }},
		"set the secret":       {"--secret " + secret + " foo", enabled, func(v client.View) bool { return v.Secret == client.NewSecret([]byte("new\x00secret\xff")) }},
		"deny":                 {"--deny foo", enabled, func(v client.View) bool { return !v.DeniedUntil.IsZero() }},
		"approve":              {"--approve foo", enabled, func(v client.View) bool { return v.DeniedUntil.IsZero() }},
		"all clients at once":  {"--disable --all", enabled, func(v client.View) bool { return !v.Enabled }},
		"several commands at once": {"--enable --host a --timeout PT1H --interval PT1M foo", disabled, func(v client.View) bool {
			return v.Enabled && v.Host == "a" && v.Timeout == time.Hour && v.Interval == time.Minute
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := dbustest.Start(t)
			s := serve(t, b.Address, test.before)
			if output, exit := run(t, tool(t, b.Address, debiantest.MandosCtl(t), strings.Fields(test.args)...)); output != "" || exit != 0 {
				t.Fatalf("exit status %d and %q, want 0 and nothing", exit, output)
			}
			if view, _ := s.Client("foo"); !test.holds(view) {
				t.Errorf("the client is left as %+v", view)
			}
		})
	}
}

func TestMandosCtlReads(t *testing.T) {
	b := dbustest.Start(t)
	disabled := settings("bar")
	disabled.Enabled = false
	s := serve(t, b.Address, settings("zebra"), disabled, settings("foo-1.example.org"))

	t.Run("the table has the order of the configuration", func(t *testing.T) {
		want := []string{"Name", "zebra", "bar", "foo-1.example.org"}
		output, exit := run(t, tool(t, b.Address, debiantest.MandosCtl(t)))
		var names []string
		for line := range strings.Lines(output) {
			names = append(names, strings.Fields(line)[0])
		}
		if exit != 0 || !reflect.DeepEqual(names, want) {
			t.Errorf("exit status %d and\n%s", exit, output)
		}
	})
	t.Run("the verbose table has all values", func(t *testing.T) {
		output, exit := run(t, tool(t, b.Address, debiantest.MandosCtl(t), "--verbose"))
		view, _ := s.Client("zebra")
		for _, want := range []string{"Last Checker Status", "fping -q -- %(host)s", "zebra.example.org", "00:15:00", view.KeyID, view.Fingerprint} {
			if exit != 0 || !strings.Contains(output, want) {
				t.Errorf("exit status %d, no %q in\n%s", exit, want, output)
			}
		}
	})
	t.Run("JSON has the types of the interface", func(t *testing.T) {
		output, exit := run(t, tool(t, b.Address, debiantest.MandosCtl(t), "--dump-json"))
		var clients map[string]map[string]any
		if err := json.Unmarshal([]byte(output), &clients); err != nil || exit != 0 {
			t.Fatalf("exit status %d, %v in\n%s", exit, err, output)
		}
		for property, want := range map[string]any{
			"Enabled": false, "Timeout": 300000.0, "Expires": "", "LastCheckerStatus": -2.0, "ApprovedByDefault": true,
		} {
			if got := clients["bar"][property]; got != want {
				t.Errorf("%s is %v, want %v", property, got, want)
			}
		}
		if len(clients) != 3 || len(clients["bar"]) != 20 {
			t.Errorf("there are %d clients, with %d values each", len(clients), len(clients["bar"]))
		}
	})
	for name, test := range map[string]struct {
		args   string
		exit   int
		output string
	}{
		"is-enabled of an enabled client": {"--is-enabled zebra", 0, ""},
		"is-enabled of a disabled client": {"--is-enabled bar", 1, ""},
		"a client that does not exist":    {"--enable nosuch", 1, "Client not found on server: 'nosuch'"},
	} {
		t.Run(name, func(t *testing.T) {
			output, exit := run(t, tool(t, b.Address, debiantest.MandosCtl(t), strings.Fields(test.args)...))
			if exit != test.exit || !strings.Contains(output, test.output) {
				t.Errorf("exit status %d and %q", exit, output)
			}
		})
	}
	t.Run("remove", func(t *testing.T) {
		output, exit := run(t, tool(t, b.Address, debiantest.MandosCtl(t), "--deny", "--remove", "zebra", "foo-1.example.org"))
		if clients := s.Clients(); exit != 0 || len(clients) != 1 || clients[0].Name != "bar" {
			t.Errorf("exit status %d and %q, left are %v", exit, output, clients)
		}
	})
	t.Run("a server that is gone", func(t *testing.T) {
		s.stop()
		output, exit := run(t, tool(t, b.Address, debiantest.MandosCtl(t)))
		if exit != 1 || !strings.Contains(output, "Could not connect to Mandos server") {
			t.Errorf("exit status %d and %q", exit, output)
		}
	})
}

// terminal is a tmux session with one program in it.
type terminal struct {
	t      *testing.T
	socket string
}

func openTerminal(t *testing.T, address, program string) *terminal {
	t.Helper()
	dir, err := os.MkdirTemp("", "tmux")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	term := &terminal{t, filepath.Join(dir, "socket")}
	// What a newer Python thinks of the program would be shown over it.
	cmd := tool(t, address, "tmux", "-S", term.socket, "-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "40", program+" 2>/dev/null")
	cmd.Env = append(cmd.Env, "SHELL=/bin/sh") // with which tmux starts the program; not everybody has one
	if output, exit := run(t, cmd); exit != 0 {
		t.Fatalf("tmux: %s", output)
	}
	t.Cleanup(func() { exec.Command("tmux", "-S", term.socket, "kill-server").Run() })
	return term
}

func (term *terminal) press(keys ...string) {
	term.t.Helper()
	if output, exit := run(term.t, tool(term.t, "", "tmux", append([]string{"-S", term.socket, "send-keys"}, keys...)...)); exit != 0 {
		term.t.Fatalf("tmux: %s", output)
	}
}

// shows waits until the terminal shows a text.
func (term *terminal) shows(text string) {
	term.t.Helper()
	term.waitFor(text, true)
}

// showsNoMore waits until the terminal does not show a text.
func (term *terminal) showsNoMore(text string) {
	term.t.Helper()
	term.waitFor(text, false)
}

func (term *terminal) waitFor(text string, shown bool) {
	term.t.Helper()
	eventually(term.t, func() error {
		screen := term.screen()
		if strings.Contains(screen, text) != shown {
			return fmt.Errorf("that the terminal shows %q should be %v:\n%s", text, shown, screen)
		}
		return nil
	})
}

func (term *terminal) screen() string {
	term.t.Helper()
	screen, _ := run(term.t, tool(term.t, "", "tmux", "-S", term.socket, "capture-pane", "-p"))
	return screen
}

// patience is how long a test waits for what must happen: a machine that is busy is
// no failure.
const patience = 2 * time.Minute

// eventually waits for something to be right.
func eventually(t testing.TB, right func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := right()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestMandosMonitor(t *testing.T) {
	b := dbustest.Start(t)
	foo := settings("foo")
	foo.ApprovalDelay, foo.ApprovalDuration = 5*time.Minute, time.Millisecond
	s := serve(t, b.Address, foo)
	monitor := openTerminal(t, b.Address, debiantest.MandosMonitor(t))
	monitor.shows("foo: A checker has failed!")

	monitor.press("C")
	monitor.shows("foo: enabled")
	monitor.press("-")
	monitor.shows("foo: DISABLED")
	monitor.press("+")
	monitor.shows("foo: enabled")

	denied := s.askForSecret(t, foo)
	monitor.shows("(d)eny?")
	monitor.press("d")
	if err := <-denied; err == nil {
		t.Error("the client got its secret although it was denied")
	}
	monitor.shows("Client foo was rejected; reason: Denied")
	time.Sleep(10 * time.Millisecond) // the denial is over
	approved := s.askForSecret(t, foo)
	monitor.shows("(d)eny?")
	monitor.press("a")
	if err := <-approved; err != nil {
		t.Errorf("the client did not get its secret although it was approved: %v", err)
	}
	monitor.shows("Client foo received its secret")

	monitor.press("s")
	s.checker.results <- client.CheckResult{Status: 3}
	monitor.shows("failed with exit code 3")

	monitor.press("R")
	eventually(t, func() error {
		if left := s.Clients(); len(left) != 0 {
			return fmt.Errorf("there still are %v", left)
		}
		return nil
	})
	monitor.showsNoMore("foo: ")

	s.stop()
	after := serve(t, b.Address, settings("after-the-restart"))
	monitor.shows("after-the-restart: A checker has failed!")
	after.stop()
	monitor.showsNoMore("after-the-restart: A checker has failed!")
	serve(t, b.Address, settings("after-the-restart"), settings("besides"))
	monitor.shows("besides: A checker has failed!")
	if screen := monitor.screen(); strings.Count(screen, "after-the-restart: ") != 1 {
		t.Errorf("after a restart a client is shown more than once:\n%s", screen)
	}
}

// A script written for the interface as it was before PropertiesChanged.
const propertyChangedListener = `
import dbus, dbus.mainloop.glib
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
bus.add_signal_receiver(lambda name, value, path: print(path, name, repr(value), flush=True),
    "PropertyChanged", "se.recompile.Mandos.Client", "se.recompile.Mandos", path_keyword="path")
print("listening", flush=True)
GLib.MainLoop().run()
`

func TestListenerForTheDeprecatedPropertyChanged(t *testing.T) {
	b := dbustest.Start(t)
	s := serve(t, b.Address, settings("foo"))
	script := tool(t, b.Address, "/usr/bin/python3", "-c", propertyChangedListener)
	heard := linesOf(t, script)
	if got := heard(); got != "listening" {
		t.Fatalf("the listener said %q", got)
	}
	host, timeout := "new", 90*time.Second
	if err := s.Update(t.Context(), client.Actor{}, "foo", client.Update{client.PropHost: host}); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), client.Actor{}, "foo", client.Update{client.PropTimeout: timeout}); err != nil {
		t.Fatal(err)
	}
	if err := s.Disable(t.Context(), client.Actor{}, "foo"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"/clients/foo Host dbus.String('new', variant_level=1)",
		"/clients/foo Timeout dbus.UInt64(90000, variant_level=1)",
		"/clients/foo Expires dbus.String('20",
		"/clients/foo Expires dbus.String('', variant_level=1)",
		"/clients/foo Enabled dbus.Boolean(False, variant_level=1)",
	} {
		if got := heard(); !strings.HasPrefix(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
}

func TestGenericTools(t *testing.T) {
	b := dbustest.Start(t)
	serve(t, b.Address, settings("foo"), settings("foo/bar"))
	const name, object, face = "se.recompile.Mandos", "/clients/foo", "se.recompile.Mandos.Client"
	for _, test := range []struct {
		says string
		cmd  string
		want string
	}{
		{"busctl finds the objects", "busctl --system tree " + name, "/clients/foo/bar\n"},
		{"busctl introspects a client", "busctl --system introspect " + name + " " + object, ".Timeout"},
		{"busctl introspects the server", "busctl --system introspect " + name + " /", ".ZeroconfState"},
		{"busctl reads a duration", "busctl --system get-property " + name + " " + object + " " + face + " Timeout", "t 300000\n"},
		{"busctl writes a duration", "busctl --system set-property " + name + " " + object + " " + face + " Timeout t 60000", ""},
		{"busctl reads what it wrote", "busctl --system get-property " + name + " " + object + " " + face + " Timeout", "t 60000\n"},
		{"busctl writes the log level", "busctl --system set-property " + name + " / org.mandosctl.Server1 LogLevel s debug", ""},
		{"gdbus reads the log level", "gdbus call --system --dest " + name + " --object-path / --method org.freedesktop.DBus.Properties.Get org.mandosctl.Server1 LogLevel", "(<'debug'>,)\n"},
		{"gdbus introspects with values", "gdbus introspect --system --dest " + name + " --object-path " + object, "readwrite t Timeout = 60000;"},
		{"gdbus calls a method", "gdbus call --system --dest " + name + " --object-path " + object + " --method " + face + ".Disable", "()\n"},
		{"dbus-send reads all", "dbus-send --system --print-reply --dest=" + name + " " + object + " org.freedesktop.DBus.Properties.GetAll string:" + face, "boolean false"},
		{"dbus-send lists clients", "dbus-send --system --print-reply=literal --dest=" + name + " / " + name + ".GetAllClients", "/clients/foo"},
		{"dbus-send does not wait for an answer", "dbus-send --system --type=method_call --dest=" + name + " " + object + " " + face + ".Enable", ""},
		{"busctl sees the effect", "busctl --system get-property " + name + " " + object + " " + face + " Enabled", "b true\n"},
		{"busctl pings", "busctl --system call " + name + " " + object + " org.freedesktop.DBus.Peer Ping", ""},
	} {
		words := strings.Fields(test.cmd)
		eventually(t, func() error { // since one of them does not wait
			output, exit := run(t, tool(t, b.Address, words[0], words[1:]...))
			if exit != 0 || !strings.Contains(output, test.want) {
				return fmt.Errorf("%s: exit status %d and %q, want %q", test.says, exit, output, test.want)
			}
			return nil
		})
	}
}

func TestTheSecretIsNowhereToBeRead(t *testing.T) {
	b := dbustest.Start(t)
	serve(t, b.Address, settings("foo"))
	for _, args := range []string{
		"call se.recompile.Mandos / org.freedesktop.DBus.ObjectManager GetManagedObjects",
		"call se.recompile.Mandos / se.recompile.Mandos GetAllClientsWithProperties",
		"call se.recompile.Mandos /clients/foo org.freedesktop.DBus.Properties GetAll s se.recompile.Mandos.Client",
		"get-property se.recompile.Mandos /clients/foo se.recompile.Mandos.Client Secret",
	} {
		output, _ := run(t, tool(t, b.Address, "busctl", append([]string{"--system"}, strings.Fields(args)...)...))
		if strings.Contains(output, "secret of") || bytes.Contains([]byte(output), []byte(`"Secret"`)) {
			t.Errorf("busctl %s: %s", args, output)
		}
	}
}

// set changes a setting of that name in clients.conf.
func set(t *testing.T, api *dbusapi.Connection, c dbusapi.Client, key string, value any) error {
	t.Helper()
	settings, err := api.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		if s.Key == key {
			return api.Set(t.Context(), c, s, value)
		}
	}
	t.Fatalf("no setting %s", key)
	return nil
}
