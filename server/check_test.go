// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mandos/dbusapi"
	"mandos/dbusapi/dbustest"
	"mandos/server/debiantest"
	"mandos/server/keytls/keytlstest"
	"mandos/server/privileges"
	"mandos/server/state"
	"mandos/server/zeroconf/lantest"
)

func TestCheckReportsWhatWouldGoWrong(t *testing.T) {
	d := realClient(t)
	taken, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, _ := net.SplitHostPort(taken.Addr().String())
	const key = "3797f36e98845e7dd1fd71f53cc9a3881b38a00ac062823a9f4a9688d999ba03"
	for sentence, c := range map[string]struct {
		clients string
		mode    os.FileMode
		port    string
		ok      bool
		says    []string
	}{
		"nothing, when all is well": {
			clients: d.section + "checker = true\n", ok: true,
			says: []string{"fine: the configuration of 1 client was read", "0 errors, 0 warnings"}},
		"every error of the configuration": {
			clients: "[a]\nkey_id = x\n[b]\ntimeout = soon\n",
			says:    []string{"clients.conf:1: [a]", "clients.conf:4: [b] timeout"}},
		"a secret in plain text": {
			clients: "[a]\nkey_id = " + key + "\nsecret = c2VjcmV0\nchecker = true\n", ok: true,
			says: []string{"clients.conf:3: [a] secret: it is not encrypted"}},
		"a timeout shorter than the interval": {
			clients: d.section + "checker = true\ninterval = PT10M\n", ok: true,
			says: []string{"[host1] timeout: 5m is not longer than the interval of 10m"}},
		"a checker whose program is missing": {
			clients: d.section + "checker = nosuchprogram %%(host)s\n", ok: true,
			says: []string{`there is no program "nosuchprogram"`}},
		"a file that others can read": {
			clients: d.section + "checker = true\n", mode: 0o644, ok: true,
			says: []string{"warning: ", "clients.conf"}},
		"a file that others can write": {
			clients: d.section + "checker = true\n", mode: 0o622, ok: true,
			says: []string{"warning: ", "clients.conf: this file can be written by every user of this machine", "have commands run", "chmod o-w it"}},
		"a port that is taken": {
			clients: d.section + "checker = true\n", port: takenPort,
			says: []string{"error: cannot listen", "address already in use", "1 error, "}},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			mode := c.mode
			if mode == 0 {
				mode = 0o600
			}
			if err := os.WriteFile(filepath.Join(dir, "clients.conf"), []byte(c.clients), mode); err != nil {
				t.Fatal(err)
			}
			port := c.port
			if port == "" {
				port = freePort(t)
			}
			if err := os.Chmod(filepath.Join(dir, "clients.conf"), mode); err != nil { // in spite of the umask
				t.Fatal(err)
			}
			out, err := exec.Command(mandos(t), "--check", "--foreground", "--no-dbus", "--no-zeroconf", "--port", port,
				"--configdir", dir, "--statedir", filepath.Join(dir, "state")).CombinedOutput()
			if (err == nil) != c.ok {
				t.Errorf("error %v\n%s", err, out)
			}
			for _, want := range c.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "state")); !os.IsNotExist(err) {
				t.Error("it left a state directory")
			}
		})
	}
}

// checked runs the check as a supervisor's server would, and says what it printed
// and its exit status.
func checked(t *testing.T, before string, args ...string) (string, int) {
	t.Helper()
	debiantest.NeedRoot(t, "to have mounts of its own")
	args = append([]string{"--mount", "sh", "-ec", before + "\n" + `exec "$0" --check --foreground "$@"`, mandos(t)}, args...)
	cmd := exec.Command("unshare", args...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestAnOrdinaryUserIsNotToldToTakeTheStateFromTheServer looks at a configuration as
// somebody who is neither root nor the server's user.
func TestAnOrdinaryUserIsNotToldToTakeTheStateFromTheServer(t *testing.T) {
	debiantest.NeedRoot(t, "to give a directory away")
	dir := public(t)
	conf, saved := filepath.Join(dir, "etc"), filepath.Join(dir, "state")
	if err := errors.Join(os.Mkdir(conf, 0o755), os.WriteFile(filepath.Join(conf, "clients.conf"), nil, 0o644), os.Mkdir(saved, 0o700)); err != nil {
		t.Fatal(err)
	}
	server := privileges.Find()
	for sentence, c := range map[string]struct {
		owner uint32
		warns bool
	}{"of the server's user": {server.UID, false}, "of somebody else": {4711, true}} {
		if err := os.Chown(saved, int(c.owner), int(server.GID)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(mandos(t), "--findings", "--configdir", conf, "--statedir", saved)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4712, Gid: 4712}}
		out, err := cmd.CombinedOutput()
		if warns := strings.Contains(string(out), saved); err != nil || warns != c.warns {
			t.Errorf("%s: error %v\n%s", sentence, err, out)
		}
	}
}

func says(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, one := range want {
		if !strings.Contains(out, one) {
			t.Errorf("it does not say %q:\n%s", one, out)
		}
	}
}

// emptyConfiguration is a private directory for a server that has no clients.
func emptyConfiguration(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(public(t), "etc")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckShowsWarningsBesideErrors(t *testing.T) {
	dir := emptyConfiguration(t)
	text := "[a]\nkey_id = x\nsecret = c2VjcmV0\n[b]\ntimeout = soon\n"
	if err := os.WriteFile(filepath.Join(dir, "clients.conf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, status := checked(t, ":", "--configdir", dir, "--statedir", dir+"/state")
	says(t, out, "error: ", "[b] timeout", "warning: "+dir+"/clients.conf: this file can be read", "warning: "+dir+"/clients.conf:3: [a] secret: ", "nothing else was tried")
	if status != exitFailure {
		t.Errorf("exit status %d", status)
	}
	// All that lint shows is there.
	findings, err := exec.Command(mandos(t), "--findings", "--configdir", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(findings)) {
		var f dbusapi.Finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		says(t, out, string(f.Severity)+": "+f.File, f.Problem)
	}
}

// TestCheckTriesTheStateAsTheServer has each thing that keeps the start from
// having its state, as another user than root.
func TestCheckTriesTheStateAsTheServer(t *testing.T) {
	as := privileges.Find()
	for sentence, c := range map[string]struct {
		before string // with the state directory as $S and the server's user as $U
		status int
		says   []string
	}{
		"a state that is the server's": {`chown -R $U: $S`, exitOK, []string{"fine: the server can use the state directory "}},
		"a file that a run as root has left": {
			`chown $U: $S`, exitFailure, []string{"error: ", "state.db cannot be used: permission denied", "chown it, with \"chown -R " + as.Name + ": "}},
		"a directory of somebody else":   {`rm $S/state.db; chmod 755 $S`, exitFailure, []string{"error: ", "belongs to root, and the server runs as " + as.Name}},
		"a damaged file":                 {`chown -R $U: $S; : >$S/state.db`, exitFailure, []string{"error: ", "it is too short", "restore a copy"}},
		"a directory that would be made": {`rm -r $S`, exitOK, []string{"fine: the state directory ", "would be made"}},
		"a directory that cannot be made": {
			`rm -r $S; mount --bind ${S%/*} ${S%/*}; mount -o remount,ro,bind ${S%/*}`, exitFailure,
			[]string{"error: cannot make the state directory", "read-only file system", "systemd-tmpfiles --create", "ReadWritePaths="}},
		"a read-only file system": {
			`chown -R $U: $S; mount --bind $S $S; mount -o remount,ro,bind $S`, exitFailure,
			[]string{"error: ", "read-only file system", "ReadWritePaths="}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			dir := emptyConfiguration(t)
			stateDir := filepath.Join(filepath.Dir(dir), "state")
			store, err := state.Open(stateDir, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			before := fmt.Sprintf("S=%s U=%s\n%s", stateDir, as.Name, c.before)
			out, status := checked(t, before, "--no-dbus", "--no-zeroconf", "--port", freePort(t), "--configdir", dir, "--statedir", stateDir)
			says(t, out, c.says...)
			if status != c.status || strings.Contains(out, "--no-restore") != strings.Contains(out, "restore a copy") {
				t.Errorf("exit status %d:\n%s", status, out)
			}
		})
	}
}

func TestCheckKnowsWhatTheConfigurationHasLost(t *testing.T) {
	one := section("host1", keytlstest.NewKey(keytlstest.Ed25519), "")
	two := section("host2", keytlstest.NewKey(keytlstest.Ed25519), "")
	s := startServer(t, one+two, "--no-dbus")
	s.stop()
	path := filepath.Join(s.conf, "clients.conf")
	for sentence, c := range map[string]struct {
		before string
		args   []string
		status int
		says   []string
	}{
		"nothing":                 {":", nil, exitOK, []string{"which knows 2 clients"}},
		"a file":                  {"rm " + path, nil, exitFailure, []string{"error: " + path + " does not exist", "these would be gone: host1, host2"}},
		"all that is in the file": {": >" + path, nil, exitFailure, []string{"error: there is no client in " + path, "host1, host2"}},
		"all, and that is meant":  {": >" + path, []string{"--forget-all"}, exitOK, []string{"warning: with --forget-all these would be forgotten: host1, host2"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			s.configure(one + two)
			args := append([]string{"--no-dbus", "--no-zeroconf", "--port", freePort(t), "--configdir", s.conf, "--statedir", s.state}, c.args...)
			out, status := checked(t, c.before, args...)
			says(t, out, c.says...)
			if status != c.status {
				t.Errorf("exit status %d", status)
			}
		})
	}
	s.configure(two)
	out, status := checked(t, ":", "--no-dbus", "--no-zeroconf", "--port", freePort(t), "--configdir", s.conf, "--statedir", s.state)
	says(t, out, "warning: these clients are gone from the configuration, and what is known of them would be kept: host1")
	if status != exitOK {
		t.Errorf("exit status %d", status)
	}
}

func TestCheckNoticesAnotherDaemon(t *testing.T) {
	debiantest.NeedRoot(t, "to have mounts of its own")
	dir := emptyConfiguration(t)
	args := []string{"--no-dbus", "--no-zeroconf", "--configdir", dir}
	script := `mount -t tmpfs none /run
[ ! -S /dev/log ] || mount --bind /dev/null /dev/log
state=$1 port=$2; shift 2
"$0" "$@" --port $port --statedir $state || exit 10
"$0" "$@" --port $port --statedir $state --check || exit 11
"$0" "$@" --port $((port-1)) --statedir $state-2 --check && exit 12
kill $(cat /run/mandos.pid)
while [ -s /run/mandos.pid ]; do sleep 0.05; done
"$0" "$@" --port $((port-1)) --statedir $state-2 --check || exit 13
`
	out, err := exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, mandos(t), filepath.Dir(dir) + "/state", freePort(t)}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("error %v\n%s", err, out)
	}
	says(t, string(out), "error: another server is running with process ID", "warning: no log daemon listens on /dev/log")
}

func TestCheckWithoutRoot(t *testing.T) {
	dir := emptyConfiguration(t)
	before := `chown -R nobody: ` + filepath.Dir(dir) + `
exec setpriv --reuid nobody --regid nogroup --clear-groups "$0" --check --foreground "$@"`
	out, status := checked(t, before, "--no-dbus", "--no-zeroconf", "--configdir", dir, "--statedir", dir+"/state", "--port", freePort(t))
	says(t, out, "fine: the server would run as the present user", "fine: the state directory "+dir+"/state would be made", "0 errors")
	if status != exitOK {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	before = strings.Replace(before, "chown -R nobody: "+filepath.Dir(dir), "chown -R nobody: "+dir+"; mkdir "+dir+"/state", 1)
	out, status = checked(t, before, "--no-dbus", "--no-zeroconf", "--configdir", dir, "--statedir", dir+"/state", "--port", freePort(t))
	says(t, out, "error: "+dir+"/state/state.db cannot be used: permission denied; "+dir+"/state belongs to root, and the server runs as nobody")
	if status != exitFailure {
		t.Errorf("exit status %d:\n%s", status, out)
	}
}

func TestCheckLeavesARunningServerAlone(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	s, server := onBus(t, plainSection(key))
	args := append([]string{"--port", s.port, "--no-zeroconf", "--configdir", s.conf}, "--statedir", s.state)
	out, status := checked(t, ":", args...)
	says(t, out, "fine: a server is running on the state directory", "fine: the server that is running is on the system bus", "fine: the server that is running has the socket")
	if status != exitOK {
		t.Errorf("exit status %d", status)
	}
	if _, err := server.Status(t.Context()); err != nil {
		t.Errorf("the server is not on the bus any more: %v", err)
	}
	if got, err := fetch(t, s.port, key); got != plain {
		t.Errorf("got %q, error %v", got, err)
	}
	if log := s.log(); strings.Contains(log, "not on the bus") {
		t.Errorf("the server has lost the bus:\n%s", log)
	}

	out, _ = checked(t, ":", "--port", freePort(t), "--no-zeroconf", "--configdir", s.conf, "--statedir", s.state+"2")
	says(t, out, "warning: D-Bus: the name se.recompile.Mandos is taken: another Mandos server is running, with another state directory")
}

func TestCheckNoticesAServerThatIsNotOnTheBus(t *testing.T) {
	bus := dbustest.Start(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
	s := startServer(t, "", "--no-dbus")
	out, status := checked(t, ":", "--port", s.port, "--no-zeroconf", "--configdir", s.conf, "--statedir", s.state)
	says(t, out, "warning: D-Bus: the server that is running is not on the system bus, though it could be")
	if status != exitOK {
		t.Errorf("exit status %d", status)
	}
}

// policy writes a policy file of a bus.
func policy(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.conf")
	if err := os.WriteFile(path, []byte("<busconfig>"+text+"</busconfig>"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckAsksTheBus(t *testing.T) {
	as := privileges.Find()
	const name = "se.recompile.Mandos"
	services := public(t)
	if err := os.WriteFile(services+"/avahi.service", []byte("[D-BUS Service]\nName=org.freedesktop.Avahi\nExec=/bin/false\nUser=root\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for sentence, c := range map[string]struct {
		policy string
		says   []string
	}{
		"which lets it own its name": {
			`<policy user="` + as.Name + `"><allow own="` + name + `"/></policy>`,
			[]string{"fine: the server can be on the system bus", "warning: avahi-daemon is not on the system bus"}},
		"which lets root alone own its name": {
			`<policy user="root"><allow own="` + name + `"/></policy>`,
			[]string{"warning: D-Bus: the bus policy does not let the server own the name " + name}},
		"which can start Avahi": {
			`<servicedir>` + services + `</servicedir>`,
			[]string{"fine: avahi-daemon does not run, and the system bus can start it"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			bus := dbustest.StartSystem(t, policy(t, c.policy))
			t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)
			dir := emptyConfiguration(t)
			out, status := checked(t, ":", "--configdir", dir, "--statedir", dir+"/state")
			says(t, out, c.says...)
			if status != exitOK {
				t.Errorf("exit status %d", status)
			}
		})
	}
	t.Run("which is not there", func(t *testing.T) {
		t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
		dir := emptyConfiguration(t)
		out, _ := checked(t, ":", "--configdir", dir, "--statedir", dir+"/state")
		says(t, out, "warning: D-Bus: ", "warning: Avahi: the system bus cannot be reached")
	})
}

func TestCheckFindsARealAvahi(t *testing.T) {
	host := lantest.NewHost(t)
	host.StartBus()
	host.StartAvahi()
	dir := emptyConfiguration(t)
	out := host.Run(mandos(t), "--check", "--foreground", "--configdir", dir, "--statedir", dir+"/state")
	says(t, out, "fine: avahi-daemon is on the system bus")
}

// TestAMissingUserIsNoticed takes the server's users out of the list.
func TestAMissingUserIsNoticed(t *testing.T) {
	dir := emptyConfiguration(t)
	without := `grep -Ev '^_?mandos:' /etc/passwd >` + dir + `/passwd; mount --bind ` + dir + `/passwd /etc/passwd`
	want := []string{"there is no user _mandos, so the server runs as nobody", "systemd-sysusers", "useradd --system"}
	out, status := checked(t, without, "--no-dbus", "--no-zeroconf", "--port", freePort(t), "--configdir", dir, "--statedir", dir+"/state")
	says(t, out, append(want, "warning: there is no user")...)
	if status != exitOK {
		t.Errorf("exit status %d", status)
	}
	script := without + "\n" + `exec "$0" "$@"`
	started, err := exec.Command("unshare", "--mount", "sh", "-ec", script, mandos(t), "--foreground", "--no-dbus", "--no-zeroconf",
		"--port", freePort(t), "--configdir", dir, "--statedir", "/nonexistent/state").CombinedOutput()
	if err == nil {
		t.Error("it started without a place for its state")
	}
	says(t, string(started), append(want, "WARNING: there is no user")...)
}

// TestWhatTheUnitForbidsIsToldBeforehand has systemctl answer as it does for the
// unit that we ship.
func TestWhatTheUnitForbidsIsToldBeforehand(t *testing.T) {
	debiantest.NeedRoot(t, "to have mounts of its own")
	bin := public(t)
	answer := "#!/bin/sh\ncat <<end\nLoadState=loaded\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nReadWritePaths=-/var/lib/mandos\nend\n"
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte(answer), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	home, err := os.MkdirTemp("/root", "mandos-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	secret := filepath.Join(home, "secret")
	text := "[host1]\nkey_id = " + keytlstest.NewKey(keytlstest.Ed25519).KeyID() + "\nsecfile = " + secret + "\nchecker = :\n"
	conf := func(t *testing.T) string {
		dir := emptyConfiguration(t)
		for name, text := range map[string]string{"clients.conf": text, "mandos.conf": "[DEFAULT]\nstatedir = /srv/mandos\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	if err := os.WriteFile(secret, []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	stateProblem := "[DEFAULT] statedir: the systemd unit mandos.service does not let the server write there (ProtectSystem=strict): add ReadWritePaths=/srv/mandos"
	secretProblem := "[host1] secfile: the systemd unit mandos.service does not show /root to the server (ProtectHome=yes)"

	t.Run("to who checks another configuration, as a warning", func(t *testing.T) {
		out, _ := checked(t, ":", "--no-dbus", "--no-zeroconf", "--port", freePort(t), "--configdir", conf(t))
		says(t, out, "warning: ", stateProblem, secretProblem)
	})
	t.Run("to who checks the usual configuration, as errors", func(t *testing.T) {
		before := fmt.Sprintf("[ -d /etc/mandos ] || mount -t tmpfs none /etc; mkdir -p /etc/mandos; mount --bind %s /etc/mandos", conf(t))
		out, status := checked(t, before, "--no-dbus", "--no-zeroconf", "--port", freePort(t))
		says(t, out, "error: /etc/mandos/mandos.conf:2: "+stateProblem, "error: /etc/mandos/clients.conf:3: "+secretProblem)
		if status != exitFailure {
			t.Errorf("exit status %d", status)
		}
	})
	t.Run("when what it may write is missing", func(t *testing.T) {
		before := "mount -t tmpfs none /var/lib"
		out, _ := checked(t, before, "--no-dbus", "--no-zeroconf", "--port", freePort(t), "--configdir", emptyConfiguration(t))
		says(t, out, `warning: /var/lib/mandos: the state directory is missing, and the systemd unit mandos.service does not let the server make it: make it with "systemd-tmpfiles --create"`)
	})
	t.Run("to who lints", func(t *testing.T) {
		out, err := exec.Command(mandos(t), "--findings", "--configdir", conf(t)).Output()
		if err != nil {
			t.Fatal(err)
		}
		says(t, string(out), "ReadWritePaths=/srv/mandos", "ProtectHome=yes")
	})
	t.Run("by the start too", func(t *testing.T) {
		os.Remove(secret)
		t.Setenv("INVOCATION_ID", "0123")
		out, err := exec.Command(mandos(t), "--foreground", "--no-dbus", "--configdir", conf(t)).CombinedOutput()
		if err == nil {
			t.Error("it started")
		}
		says(t, string(out), "the systemd unit does not show it to the server (ProtectHome)")
	})
}
