// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mandos/server/debiantest"
)

// patience is how long a test waits for what must happen: a machine that is busy is
// no failure.
const patience = 2 * time.Minute

const password = "correct horse battery staple"

// host is one with Debian's mandos-client, made once for all tests.
var host = sync.OnceValues(func() (*debiantest.Host, error) {
	return debiantest.NewHost(filepath.Join(scratch, "host"), password)
})

// debian is a host with the real mandos-client.
type debian struct {
	client  string
	keys    string // a directory
	section string // what mandos-keygen wrote for clients.conf
}

// realClient is that host; a test that cannot have it fails.
func realClient(t *testing.T) *debian {
	t.Helper()
	h, err := host()
	if err != nil {
		t.Fatal(err)
	}
	return &debian{client: h.Client, keys: h.Keys, section: h.Section}
}

// clientsConf is the section with another TLS key's ID and more settings.
func (d *debian) clientsConf(keyID string, settings string) string {
	section := regexp.MustCompile(`(?m)^key_id = .*$`).ReplaceAllString(d.section, "key_id = "+keyID)
	return section + "checker = :\n" + settings
}

// tlsKey makes a TLS key pair with the given certtool options and returns its
// directory and its key ID.
func tlsKey(t *testing.T, options ...string) (dir, keyID string) {
	t.Helper()
	dir = t.TempDir()
	private, public := filepath.Join(dir, "tls-privkey.pem"), filepath.Join(dir, "tls-pubkey.pem")
	for _, args := range [][]string{
		append([]string{"--generate-privkey", "--no-text", "--outfile", private}, options...),
		{"--load-privkey", private, "--pubkey-info", "--no-text", "--outfile", public},
	} {
		if out, err := exec.Command("certtool", args...).CombinedOutput(); err != nil {
			t.Fatalf("certtool %v: %v\n%s", args, err, out)
		}
	}
	out, err := exec.Command("certtool", "--key-id", "--hash=sha256", "--infile", public).Output()
	if err != nil {
		t.Fatal(err)
	}
	return dir, strings.TrimSpace(string(out))
}

// fetch runs mandos-client with the TLS key in that directory. It gives up
// after the given time, since mandos-client itself tries for ever.
func (d *debian) fetch(t *testing.T, address, tlsKeys string, atMost time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	return d.fetchUntil(ctx, t, address, tlsKeys)
}

// fetchUntil is fetch until ctx ends.
func (d *debian) fetchUntil(ctx context.Context, t *testing.T, address, tlsKeys string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(ctx, d.client, "--connect", address, "--interface", "none", "--retry", "1",
		"--seckey", filepath.Join(d.keys, "seckey.txt"), "--pubkey", filepath.Join(d.keys, "pubkey.txt"),
		"--tls-privkey", filepath.Join(tlsKeys, "tls-privkey.pem"), "--tls-pubkey", filepath.Join(tlsKeys, "tls-pubkey.pem"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	makeReadable(t, d.keys, tlsKeys)
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%w: %s", err, &stderr)
	}
	return stdout.String(), nil
}

// makeReadable lets uid 65534 read the keys, for which mandos-client gives up root.
func makeReadable(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		for parent := dir; parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
			os.Chmod(parent, 0o755)
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if err := os.Chmod(filepath.Join(dir, file.Name()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRealClientGetsItsSecretWithEveryTypeOfKey(t *testing.T) {
	d := realClient(t)
	for name, options := range map[string][]string{
		"Ed25519":     {"--key-type", "ed25519"},
		"Ed448":       {"--key-type", "ed448"},
		"ECDSA P-256": {"--key-type", "ecdsa", "--curve", "secp256r1"},
		"ECDSA P-384": {"--key-type", "ecdsa", "--curve", "secp384r1"},
		"ECDSA P-521": {"--key-type", "ecdsa", "--curve", "secp521r1"},
		"RSA 2048":    {"--key-type", "rsa", "--bits", "2048"},
		"RSA 4096":    {"--key-type", "rsa", "--bits", "4096"},
		"RSA-PSS":     {"--key-type", "rsa-pss", "--bits", "2048", "--hash", "sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, keyID := tlsKey(t, options...)
			s := startServer(t, d.clientsConf(keyID, ""), "--no-dbus")
			for _, host := range []string{"::1", "127.0.0.1"} {
				got, err := d.fetch(t, host+":"+s.port, keys, patience)
				if err != nil || got != password {
					t.Errorf("over %s: got %q, error %v\n%s", host, got, err, s.log())
				}
			}
		})
	}
}

func TestRealClientIsRefused(t *testing.T) {
	d := realClient(t)
	keys, keyID := tlsKey(t, "--key-type", "ed25519")
	_, otherID := tlsKey(t, "--key-type", "ed25519")
	for sentence, c := range map[string]struct {
		clients string
		logged  string
	}{
		"while it is disabled":             {clients: d.clientsConf(keyID, "enabled = False\n"), logged: "reason=disabled"},
		"when its key is unknown":          {clients: d.clientsConf(otherID, ""), logged: strings.ToUpper(keyID)},
		"when nobody approves in time":     {clients: d.clientsConf(keyID, "approval_delay = PT1S\napproved_by_default = no\n"), logged: "needs approval"},
		"when there are no clients at all": {clients: "", logged: strings.ToUpper(keyID)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, c.clients, "--no-dbus")
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				defer cancel()
				// When it is refused again, nothing came of the first time.
				eventually(t, func() bool { return linesWith(s.log(), c.logged, "[::1]") >= 2 }, s.log)
			}()
			if got, err := d.fetchUntil(ctx, t, "::1:"+s.port, keys); got != "" || err == nil {
				t.Errorf("got %q, error %v", got, err)
			}
			<-ctx.Done()
		})
	}
}

// linesWith counts the lines that have all those texts.
func linesWith(log string, texts ...string) (n int) {
	for line := range strings.Lines(log) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

// serverProcess is a running server.
type serverProcess struct {
	t          *testing.T
	cmd        *exec.Cmd
	port       string
	conf       string // its configuration directory
	state      string
	stderrPath string
	args       []string
	under      []string // the command that runs it, if any
}

// startServer starts the real program with that clients.conf and waits until it
// serves.
func startServer(t *testing.T, clients string, args ...string) *serverProcess {
	t.Helper()
	s := prepareServer(t, clients, args...)
	s.start()
	return s
}

// prepareServer makes what startServer starts.
func prepareServer(t *testing.T, clients string, args ...string) *serverProcess {
	t.Helper()
	dir := t.TempDir()
	s := &serverProcess{t: t, port: freePort(t), conf: filepath.Join(dir, "etc"), state: filepath.Join(dir, "state"), stderrPath: filepath.Join(dir, "log"), args: args}
	// The server gives root up and must still reach its state.
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.conf, 0o755); err != nil {
		t.Fatal(err)
	}
	s.configure(clients)
	return s
}

func (s *serverProcess) configure(clients string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.conf, "clients.conf"), []byte(clients), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *serverProcess) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.stderrPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	before := strings.Count(s.log(), served)
	command := append(slices.Clone(s.under), mandos(s.t), "--foreground", "--no-zeroconf", "--port", s.port, "--configdir", s.conf, "--statedir", s.state)
	command = append(command, s.args...)
	s.cmd = exec.Command(command[0], command[1:]...)
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.stop() })
	for end := time.Now().Add(patience); strings.Count(s.log(), served) <= before; time.Sleep(10 * time.Millisecond) {
		if hasEnded(s.cmd.Process.Pid) || time.Now().After(end) {
			s.t.Fatalf("the server does not serve:\n%s", s.log())
		}
	}
}

// served is what the server logs when all of its start is behind it. That it takes
// connections says less: it does so while it still is root.
const served = "INFO: serving version="

// hasEnded reports whether a child has ended that nobody has waited for.
func hasEnded(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " Z")
}

// stop ends the server in order, once.
func (s *serverProcess) stop() {
	s.t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the server ended with %v:\n%s", err, s.log())
	}
}

// kill ends the server as a power cut would.
func (s *serverProcess) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *serverProcess) log() string {
	s.t.Helper()
	log, err := os.ReadFile(s.stderrPath)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(log)
}

func freePort(t *testing.T) string {
	t.Helper()
	return debiantest.FreePort(t)
}
