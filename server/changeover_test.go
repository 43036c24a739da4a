// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"mandos/dbusapi/dbustest"
	"mandos/server/debiantest"
	"mandos/server/keytls/keytlstest"
)

// pythonServer is Debian's own server, unpacked and not installed, on a bus of the
// test's. It has the directories of a server of ours, which follows it.
type pythonServer struct {
	t    *testing.T
	dirs *serverProcess
	cmd  *exec.Cmd
	said bytes.Buffer
}

func (p *pythonServer) start() {
	p.t.Helper()
	p.said.Reset()
	p.cmd = exec.Command(debiantest.Mandos(p.t), "--foreground", "--no-zeroconf", "--port", p.dirs.port, "--configdir", p.dirs.conf, "--statedir", p.dirs.state)
	p.cmd.Stderr = &p.said
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	eventually(p.t, func() bool { return p.ctl("--is-enabled", "served") == nil || hasEnded(p.cmd.Process.Pid) }, func() string { return "the Python server does not start" })
}

// ctl is Debian's mandos-ctl.
func (p *pythonServer) ctl(args ...string) error {
	if out, err := exec.Command(debiantest.MandosCtl(p.t), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mandos-ctl %v: %w: %s", args, err, out)
	}
	return nil
}

// stop ends it in order. An error means that it has not saved its state, which now
// and then happens to it, as gpg-agent and the server both remove the same files.
func (p *pythonServer) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, &p.said)
	}
	return nil
}

// TestTheChangeOver lets the Python server run, be steered and stop, and then ours
// go on: each client is served or refused as it was left, by the real mandos-client.
func TestTheChangeOver(t *testing.T) {
	debiantest.NeedRoot(t, "as which both servers start")
	d := realClient(t)
	bus := dbustest.Start(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address)

	const lasting = "timeout = PT1H\ninterval = PT30M\napproval_duration = PT1H\n"
	keys, keyIDs := make(map[string]string), make(map[string]string)
	var sections strings.Builder
	add := func(name, settings string) {
		keys[name], keyIDs[name] = tlsKey(t, "--key-type", "ed25519")
		sections.WriteString(strings.Replace(d.clientsConf(keyIDs[name], settings), "[host1]", "["+name+"]", 1) + "\n")
	}
	add("served", lasting)
	add("disabled", lasting)
	add("approved", lasting+"approval_delay = PT1S\napproved_by_default = no\n")
	add("denied", lasting)
	add("renewed", lasting)
	add("raised", lasting+"enabled = no\n")
	add("changed", lasting)
	add("removed", lasting)
	// A configured secret as long as a large key makes it is another kind of
	// passphrase, with the secret's bytes in it.
	long := keytlstest.NewKey(keytlstest.Ed25519)
	fmt.Fprintf(&sections, "[long]\nkey_id = %s\nfingerprint = %040d\nhost = localhost\nsecret = %s\nchecker = :\n%s", long.KeyID(), 0,
		base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("long \\\n\x00\xff"), 300)), lasting)
	add("expired", "timeout = PT2S\ninterval = PT1S\n")
	before, expired, _ := strings.Cut(sections.String(), "[expired]\n")
	conf := before + "[expired]\n" + strings.Replace(expired, "checker = :\n", "checker = false\n", 1)

	ours := prepareServer(t, conf, "--debuglevel", "debug")
	if err := os.Mkdir(ours.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", debiantest.User+":", ours.state).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	newPassword := "another " + password
	python := &pythonServer{t: t, dirs: ours}
	live := func() error {
		python.start()
		for _, args := range [][]string{
			{"--disable", "disabled"},
			{"--enable", "raised"},
			{"--approve", "approved"},
			{"--deny", "denied"},
			{"--secret", d.encrypted(t, newPassword), "renewed", "long"},
			{"--timeout=PT77M", "--extended-timeout=PT99M", "--interval=PT11M", "--approval-delay=PT1S", "--approval-duration=PT2S", "--host=elsewhere", "--checker=fping -q -- %(host)s", "changed"},
			{"--remove", "removed"},
		} {
			if err := python.ctl(args...); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, func() bool { return python.ctl("--is-enabled", "expired") != nil }, func() string { return "the client does not expire" })
		return python.stop()
	}
	err := live()
	for try := 1; err != nil; try++ {
		if try == 5 {
			t.Fatal("the Python server never saved its state: ", err)
		}
		err = live()
	}

	check := func(t *testing.T) {
		if got, err := fetch(t, ours.port, long); !strings.HasPrefix(got, "\x85") { // an OpenPGP message
			t.Errorf("the client with a long secret got %q, error %v", got, err)
		}
		for name, want := range map[string]struct{ password, refusal string }{
			"served":   {password: password},
			"disabled": {refusal: "Client disabled is disabled"},
			"approved": {refusal: "Client approved timed out while waiting for approval"},
			"denied":   {refusal: "Client denied was not approved"},
			"raised":   {password: password},
			"renewed":  {password: newPassword},
			"changed":  {password: password},
			"removed":  {refusal: "Client not found for key ID: " + strings.ToUpper(keyIDs["removed"])},
			"expired":  {refusal: "Client expired is disabled"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				before := linesWith(ours.log(), want.refusal)
				type answer struct {
					got string
					err error
				}
				answers := make(chan answer, 1)
				go func() {
					got, err := d.fetchUntil(ctx, t, "::1:"+ours.port, keys[name])
					answers <- answer{got, err}
				}()
				// When it is refused again, nothing came of the first time.
				refused := func() bool { return want.refusal != "" && linesWith(ours.log(), want.refusal) >= before+2 }
				eventually(t, func() bool { return len(answers) == 1 || refused() }, ours.log)
				cancel()
				if a := <-answers; a.got != want.password {
					t.Errorf("got %q, want %q, error %v\n%s", a.got, want.password, a.err, ours.log())
				}
			})
		}
	}
	ours.start()
	t.Run("after the change-over", check)
	server := connect(t, bus.Address)
	if c := clientNamed(t, server, "changed"); c.Timeout != 77*time.Minute || c.ExtendedTimeout != 99*time.Minute || c.Interval != 11*time.Minute ||
		c.ApprovalDelay != time.Second || c.ApprovalDuration != 2*time.Second || c.Host != "elsewhere" || c.Checker != "fping -q -- %(host)s" {
		t.Errorf("the client that was changed is %+v", c)
	}
	if left := time.Until(clientNamed(t, server, "denied").DeniedUntil); left <= 0 || left > time.Hour {
		t.Errorf("the denial is in force for %v more", left)
	}
	saved, err := os.ReadFile(filepath.Join(ours.state, "clients.pickle"))
	if err != nil || len(saved) == 0 {
		t.Errorf("the Python server's file has %d bytes, error %v", len(saved), err)
	}

	ours.kill()
	ours.start()
	t.Run("after a power cut", check)

	ours.stop()
	ours.configure("[DEFAULT]\nextended_timeout = PT17M\n" + conf)
	ours.start()
	t.Run("after a change in DEFAULT", check)
}

// encrypted is a file with what mandos-keygen makes of the password.
func (d *debian) encrypted(t *testing.T, password string) (path string) {
	t.Helper()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	section, err := exec.Command(debiantest.Program(t, "mandos-client", "usr/sbin/mandos-keygen"), "--dir", d.keys, "--name", "any", "--no-ssh", "--passfile", plain).Output()
	if err != nil {
		t.Fatal("mandos-keygen: ", err)
	}
	encoded := regexp.MustCompile(`(?s)secret =(.*)`).FindSubmatch(section)
	if encoded == nil {
		t.Fatalf("no secret in %s", section)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(encoded[1])), ""))
	path = filepath.Join(dir, "secret")
	if err := errors.Join(err, os.WriteFile(path, secret, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}
