// SPDX-License-Identifier: Apache-2.0

package logging_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"mandos/server/client"
	"mandos/server/debiantest"
	"mandos/server/logging"
)

// TestJournald logs to the real journald, natively and through /dev/log, in a
// mount namespace whose /run and /dev/log are the test's own.
func TestJournald(t *testing.T) {
	if os.Getenv("MANDOS_TEST_JOURNALD") != "" {
		runJournald(t)
		return
	}
	debiantest.NeedRoot(t, "to have mounts of its own")
	cmd := exec.Command(os.Args[0], "-test.run=^TestJournald$", "-test.v")
	cmd.Env = append(os.Environ(), "MANDOS_TEST_JOURNALD=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("this test needs systemd-journald: %v\n%s", err, out)
	}
}

func runJournald(t *testing.T) {
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	do("keep mounts private", syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	do("mount /run", syscall.Mount("none", "/run", "tmpfs", 0, ""))
	do("mount /dev", syscall.Mount("none", "/dev", "tmpfs", 0, ""))
	do("make /dev/null", syscall.Mknod("/dev/null", syscall.S_IFCHR|0o666, 1<<8|3))
	do("make /dev/log", os.Symlink("/run/systemd/journal/dev-log", "/dev/log"))
	do("make the journal's directories", os.MkdirAll("/run/log/journal", 0o755))
	do("make the journal's directories", os.MkdirAll("/run/systemd/journald.conf.d", 0o755))
	do("configure journald", os.WriteFile("/run/systemd/journald.conf.d/test.conf", []byte("[Journal]\nAudit=no\nReadKMsg=no\n"), 0o644))
	journald := exec.Command("/lib/systemd/systemd-journald")
	do("start journald", journald.Start())
	defer journald.Wait()
	defer journald.Process.Kill()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat("/run/systemd/journal/dev-log"); err == nil {
			break
		}
	}

	native, _, _ := newLog(logging.Journal())
	logging.Events(native, logging.NewLimits(native))(client.Event{Kind: client.SecretSent, Time: time.Now(), Client: foo(), Identity: raw, Address: peer})
	native.Log(t.Context(), slog.LevelWarn, "two\nlines", "reason", "x\nCLIENT=forged\n")
	syslog, _, _ := newLog(logging.SyslogAt("/dev/log"))
	syslog.Warn("through syslog", "client", "foo")

	for want, condition := range map[string]string{
		`{"ADDRESS":"[fe80::1%eth0]:4711","CLIENT":"foo","KEY_ID":"00AA","KEY_TYPE":"raw-public-key","PRIORITY":"6","SERVICE":"Mandos","SYSLOG_FACILITY":"3","SYSLOG_IDENTIFIER":"mandos"}`: "CLIENT=foo",
		`{"PRIORITY":"4","REASON":"x\\nCLIENT=forged\\n","SERVICE":"Mandos","SYSLOG_FACILITY":"3","SYSLOG_IDENTIFIER":"mandos"}`:                                                            `MESSAGE=two\nlines reason="x\nCLIENT=forged\n"`,
		`{"PRIORITY":"4","SYSLOG_FACILITY":"3"}`: "_TRANSPORT=syslog",
	} {
		if got := journalEntry(t, condition); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", condition, got, want)
		}
	}
}

// journalEntry waits for the one entry that meets the condition and shows its
// fields, but for those that differ every time.
func journalEntry(t *testing.T, condition string) string {
	t.Helper()
	var out []byte
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		out, _ = exec.Command("journalctl", "--directory=/run/log/journal", "--output=json", condition).Output()
		if len(out) > 0 {
			break
		}
	}
	var entry map[string]any
	if err := json.Unmarshal(bytes.TrimSpace(out), &entry); err != nil {
		t.Fatalf("%s: not one entry: %v: %s", condition, err, out)
	}
	for key := range entry {
		if strings.HasPrefix(key, "_") || key == "MESSAGE" || key == "SYSLOG_RAW" || key == "SYSLOG_TIMESTAMP" {
			delete(entry, key)
		}
	}
	text, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
