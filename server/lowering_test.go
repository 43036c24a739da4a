// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mandos/dbusapi"
	"mandos/server/keytls/keytlstest"
)

// refusesToStart starts the server, which must end with status 1, and returns what
// it says.
func (s *serverProcess) refusesToStart(args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), mandos(s.t), append([]string{"--foreground", "--no-zeroconf", "--port", s.port, "--configdir", s.conf, "--statedir", s.state}, args...)...)
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitFailure {
		s.t.Errorf("ended with %v\n%s", cmd.ProcessState, out)
	}
	return string(out)
}

func wantSaid(t *testing.T, said string, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(said, text) {
			t.Errorf("it does not say %q:\n%s", text, said)
		}
	}
}

// TestALostConfigurationRaisesNobody disables a client of a running server, has the
// configuration get lost and be put back, and asks for the secret.
func TestALostConfigurationRaisesNobody(t *testing.T) {
	lost, other := keytlstest.NewKey(keytlstest.Ed25519), keytlstest.NewKey(keytlstest.Ed25519)
	whole := section("host2", other, "") + section("host1", lost, "")
	const gone = "these would be gone: host1, host2"
	remove := func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for sentence, c := range map[string]struct {
		loses   func(t *testing.T, path string)
		refused []string // what a reload and a start say; nothing if they follow
		back    string   // what is put back; the whole file by default
	}{
		"a file that is missing": {loses: remove, refused: []string{"clients.conf does not exist", gone, "--forget-all", "mandosctl remove"}},
		"a link to nowhere": {loses: func(t *testing.T, path string) {
			remove(t, path)
			if err := os.Symlink("/not/mounted/yet", path); err != nil {
				t.Fatal(err)
			}
		}, refused: []string{"clients.conf: it is a link to a file that does not exist"}},
		"an empty file": {loses: func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}, refused: []string{"there is no client in", "clients.conf", gone, "--forget-all"}},
		"a file cut off between two clients": {loses: func(t *testing.T, path string) {
			if err := os.Truncate(path, int64(strings.Index(whole, "[host1]"))); err != nil {
				t.Fatal(err)
			}
		}},
		"a file cut off within a client": {loses: func(t *testing.T, path string) {
			if err := os.Truncate(path, int64(strings.Index(whole, "[host1]")+10)); err != nil {
				t.Fatal(err)
			}
		}, refused: []string{"clients.conf:"}},
		"a section that gets another name": {loses: func(*testing.T, string) {},
			back: section("host2", other, "") + section("another", lost, "")},
		"a section that gets another name first": {loses: func(*testing.T, string) {},
			back: section("another", lost, "") + section("host2", other, "")},
	} {
		for _, by := range []string{"by a reload", "by a restart"} {
			t.Run(sentence+", "+by, func(t *testing.T) {
				s, server := onBus(t, whole)
				if err := server.Disable(t.Context(), clientNamed(t, server, "host1")); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(s.conf, "clients.conf")
				c.loses(t, path)
				if by == "by a reload" {
					_, err := server.Reload(t.Context())
					if (err != nil) != (c.refused != nil) {
						t.Errorf("the reload answered %v", err)
					}
					if err != nil {
						wantSaid(t, err.Error(), c.refused...)
						clientNamed(t, server, "host2")
						if clientNamed(t, server, "host1").Enabled {
							t.Error("the reload that was refused enabled host1")
						}
					}
				} else {
					s.stop()
					if c.refused != nil {
						wantSaid(t, s.refusesToStart(), c.refused...)
					} else {
						s.start()
					}
				}
				if c.back == "" {
					c.back = whole
				}
				_ = os.Remove(path)
				s.configure(c.back)
				if by == "by a reload" {
					if _, err := server.Reload(t.Context()); err != nil {
						t.Fatal(err)
					}
				} else {
					s.stop()
					s.start()
				}
				if got, err := fetch(t, s.port, lost); got != "" {
					t.Errorf("a client that was disabled got %q, error %v", got, err)
				}
				if got, err := fetch(t, s.port, other); got != "secret" {
					t.Errorf("the other client got %q, error %v\n%s", got, err, s.log())
				}
			})
		}
	}
}

func TestAMistypedConfigurationDirectoryStartsNothing(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	s, server := onBus(t, section("host1", key, ""))
	if err := server.Disable(t.Context(), clientNamed(t, server, "host1")); err != nil {
		t.Fatal(err)
	}
	s.stop()
	empty := t.TempDir()
	wantSaid(t, s.refusesToStart("--configdir", empty), filepath.Join(empty, "clients.conf")+" does not exist", "these would be gone: host1", "--forget-all")
	s.start()
	if got, err := fetch(t, s.port, key); got != "" {
		t.Errorf("it got %q, error %v", got, err)
	}
}

func TestAFirstStartWithoutClientsIsFine(t *testing.T) {
	s := prepareServer(t, "", "--no-dbus")
	if err := os.Remove(filepath.Join(s.conf, "clients.conf")); err != nil {
		t.Fatal(err)
	}
	s.start()
	wantSaid(t, s.log(), "no clients defined")
}

func TestForgetAllIsForOneStartAndSaysSo(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	s, server := onBus(t, section("host1", key, ""))
	if err := server.Disable(t.Context(), clientNamed(t, server, "host1")); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.configure("")
	wantSaid(t, s.refusesToStart(), "--forget-all")
	s.args = []string{"--forget-all"}
	s.start()
	wantSaid(t, s.log(), "everything that was saved of the clients is forgotten", "clients=1 disabled_or_removed=1")
	s.stop()
	s.args = nil
	s.configure(section("host1", key, ""))
	s.start()
	if got, err := fetch(t, s.port, key); got != "secret" {
		t.Errorf("a client that was forgotten got %q, error %v", got, err)
	}
	s.stop()
	for _, spelling := range []string{"forget_all = yes", "forget-all"} {
		if err := os.WriteFile(filepath.Join(s.conf, "mandos.conf"), []byte("[DEFAULT]\n"+spelling+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantSaid(t, s.refusesToStart(), "mandos.conf:2")
	}
}

func TestARemovedClientStaysAway(t *testing.T) {
	key, other := keytlstest.NewKey(keytlstest.Ed25519), keytlstest.NewKey(keytlstest.Ed25519)
	rest := section("host2", other, "")
	for sentence, conf := range map[string]string{
		"when [DEFAULT] changes":      "[DEFAULT]\ntimeout = PT10M\n" + rest + section("host1", key, ""),
		"when its section changes":    rest + section("host1", key, "timeout = PT10M\nhost = elsewhere\n"),
		"when its secret changes":     rest + strings.Replace(section("host1", key, ""), "c2VjcmV0", "bmV3", 1),
		"when its section is no more": rest,
	} {
		t.Run(sentence, func(t *testing.T) {
			s, server := onBus(t, rest+section("host1", key, ""))
			if err := server.Remove(t.Context(), clientNamed(t, server, "host1")); err != nil {
				t.Fatal(err)
			}
			s.configure(conf)
			if _, err := server.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, when := range []string{"after a reload", "after a restart"} {
				if got, err := fetch(t, s.port, key); got != "" {
					t.Errorf("%s it got %q, error %v", when, got, err)
				}
				gone, err := server.Gone(t.Context())
				if err != nil || len(gone) != 1 || gone[0].Name != "host1" || gone[0].KeyID != key.KeyID() || gone[0].Because != dbusapi.RemovedByAdministrator ||
					gone[0].By.PID == 0 || gone[0].By.UID != uint32(os.Getuid()) || time.Since(gone[0].Since) > time.Hour || gone[0].GoneSince.IsZero() == (conf == rest) {
					t.Errorf("%s gone are %+v, error %v", when, gone, err)
				}
				s.stop()
				s.start()
			}
			if conf == rest {
				var refused *dbusapi.Error
				if err := server.EnableNamed(t.Context(), "host1"); !errors.As(err, &refused) || refused.Reason != dbusapi.ErrRefused {
					t.Errorf("enabling one that has no section: %v", err)
				}
				s.configure(rest + section("host1", key, ""))
				if reloaded, err := server.Reload(t.Context()); err != nil || !reflect.DeepEqual(reloaded.Away, []string{"host1"}) || len(reloaded.Added) > 0 {
					t.Errorf("%+v, error %v", reloaded, err)
				}
				if got, err := fetch(t, s.port, key); got != "" {
					t.Errorf("when its section is back it got %q, error %v", got, err)
				}
			}
			if err := server.EnableNamed(t.Context(), "host1"); err != nil {
				t.Fatal(err)
			}
			if !clientNamed(t, server, "host1").Enabled {
				t.Error("it is not enabled when a person enables it")
			}
			if got, err := fetch(t, s.port, key); got == "" {
				t.Errorf("it got nothing when a person had enabled it: %v", err)
			}
		})
	}
}

func TestForgettingOverTheBus(t *testing.T) {
	key, other := keytlstest.NewKey(keytlstest.Ed25519), keytlstest.NewKey(keytlstest.Ed25519)
	rest := section("host2", other, "")
	s, server := onBus(t, rest+section("host1", key, ""))
	if err := server.Disable(t.Context(), clientNamed(t, server, "host1")); err != nil {
		t.Fatal(err)
	}
	if err := server.Forget(t.Context(), "host1"); !errors.Is(err, dbusapi.ErrRefused) {
		t.Errorf("forgetting one that has a section: %v", err)
	}
	s.configure(rest)
	if reloaded, err := server.Reload(t.Context()); err != nil || !reflect.DeepEqual(reloaded.Removed, []string{"host1"}) {
		t.Errorf("%+v, error %v", reloaded, err)
	}
	wantSaid(t, s.log(), "removed=[host1]")
	if err := server.Forget(t.Context(), "nosuch"); !errors.Is(err, dbusapi.ErrNoClient) {
		t.Errorf("forgetting one that never was: %v", err)
	}
	if err := server.Forget(t.Context(), "host1"); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, s.log(), "Client host1 was forgotten")
	if gone, err := server.Gone(t.Context()); err != nil || len(gone) != 0 {
		t.Errorf("gone are %+v, error %v", gone, err)
	}
	s.configure(rest + section("host1", key, ""))
	s.stop()
	s.start()
	if got, err := fetch(t, s.port, key); got != "secret" {
		t.Errorf("it got %q, error %v", got, err)
	}
	if history, err := server.History(t.Context(), clientNamed(t, server, "host1")); err != nil || len(history) > 1 {
		t.Errorf("its history is %+v, error %v", history, err)
	}
}

// TestAPausedServerHandsOutNothingThatIsOverdue stops the server for longer than
// the clients' timeout, with connections waiting that have come in time.
func TestAPausedServerHandsOutNothingThatIsOverdue(t *testing.T) {
	const clients = 50
	keys := make([]*keytlstest.Key, clients)
	conf := "[DEFAULT]\ntimeout = PT4S\ninterval = PT2S\n"
	for i := range keys {
		keys[i] = keytlstest.NewKey(keytlstest.Ed25519)
		conf += strings.Replace(section(fmt.Sprintf("host%d", i), keys[i], ""), "checker = :", "checker = false", 1)
	}
	s := prepareServer(t, conf, "--no-dbus")
	s.start()
	started := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	paused := time.Now()
	defer s.cmd.Process.Signal(syscall.SIGCONT)
	var fetching sync.WaitGroup
	got := make([]string, clients)
	for i, key := range keys[1:] {
		fetching.Go(func() { got[i], _ = fetch(t, s.port, key) })
	}
	time.Sleep(time.Until(paused.Add(7 * time.Second))) // the pause is the point
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	fetching.Wait()
	for i, secret := range got {
		if secret != "" {
			t.Errorf("client %d got its secret %v after the start, and %v after the pause began", i+1, time.Since(started), time.Since(paused))
		}
	}
	eventually(t, func() bool { return strings.Count(s.log(), "no successful check within its timeout") >= clients }, s.log)
}
