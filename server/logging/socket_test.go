// SPDX-License-Identifier: Apache-2.0

package logging_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mandos/server/logging"
)

func inode(t *testing.T, f *os.File) string {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// daemon is a log daemon that listens on path until the test ends or it is stopped.
func daemon(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(conn, path) })
	return conn
}

func stop(conn *net.UnixConn, path string) {
	conn.Close()
	os.Remove(path)
}

func next(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	buf := make([]byte, 1<<20)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	conn := daemon(t, path)
	log, level, service := newLog(logging.SyslogAt(path))
	level.Set(-8)
	pid := os.Getpid()

	for want, write := range map[string]func(string, ...any){
		fmt.Sprintf("<31>Mandos [%d]: DEBUG: hello client=foo\n", pid):   log.Debug,
		fmt.Sprintf("<30>Mandos [%d]: INFO: hello client=foo\n", pid):    log.Info,
		fmt.Sprintf("<28>Mandos [%d]: WARNING: hello client=foo\n", pid): log.Warn,
		fmt.Sprintf("<27>Mandos [%d]: ERROR: hello client=foo\n", pid):   log.Error,
	} {
		write("hello", "client", "foo")
		if got := next(t, conn); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}

	service.Set("Mandos #2")
	log.Log(t.Context(), logging.LevelCritical, "hello")
	if got, want := next(t, conn), fmt.Sprintf("<26>Mandos (Mandos #2) [%d]: CRITICAL: hello\n", pid); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	conn := daemon(t, path)
	log, _, _ := newLog(logging.JournalAt(path))

	log.Warn("Client foo was not approved", "client", "foo", "key_id", "00FF", "reason", "two\nlines", "priority", 1, "_PID", 1, "7up", 1)
	want := `PRIORITY=4
SYSLOG_FACILITY=3
SYSLOG_IDENTIFIER=mandos
SERVICE=Mandos
MESSAGE=Client foo was not approved client=foo key_id=00FF reason="two\nlines" priority=1 _PID=1 7up=1
CLIENT=foo
KEY_ID=00FF
REASON=two\nlines
MANDOS_PRIORITY=1
MANDOS__PID=1
MANDOS_7UP=1
`
	if got := next(t, conn); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLogDaemonComesAndGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, _, _ := newLog(logging.SyslogAt(path))
	log.Info("before it is there")

	conn := daemon(t, path)
	log.Info("first")
	for _, want := range []string{"first", "missing=1"} {
		if got := next(t, conn); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	stop(conn, path)
	log.Info("into the void")
	log.Info("into the void")

	conn = daemon(t, path)
	log.Info("second")
	for _, want := range []string{"second", "missing=2"} {
		if got := next(t, conn); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}

	// Restarted between two records.
	stop(conn, path)
	conn = daemon(t, path)
	log.Info("third")
	if got := next(t, conn); !strings.Contains(got, "third") {
		t.Errorf("got %q, want the third record", got)
	}
}

// TestLogDaemonHangs sends more than the socket's queue holds to a daemon that
// does not read. It would take minutes if each record had to wait.
func TestLogDaemonHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	conn := daemon(t, path)
	log, _, _ := newLog(logging.SyslogAt(path))
	const records = 1000
	for i := range records {
		log.Info("hello", "number", i)
	}
	// Two messages out make room for two: a record, and how many are missing.
	seen, missing := 0, 0
	for missing == 0 {
		for range 2 {
			got := next(t, conn)
			seen += strings.Count(got, "number=")
			if i := strings.Index(got, "missing="); i >= 0 {
				fmt.Sscanf(got[i:], "missing=%d", &missing)
			}
		}
		log.Info("hello again")
	}
	if seen == 0 || seen+missing != records {
		t.Errorf("%d records were read and %d told to be missing, of %d", seen, missing, records)
	}
}

func TestSyslogStream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	log, _, _ := newLog(logging.SyslogAt(path))
	log.Info("one")
	log.Info("two")
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	want := strings.ReplaceAll("<30>Mandos [PID]: INFO: one\n<30>Mandos [PID]: INFO: two\n", "PID", fmt.Sprint(os.Getpid()))
	buf := make([]byte, len(want))
	for n := 0; n < len(want); {
		m, err := conn.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if string(buf) != want {
		t.Errorf("got %q, want %q", buf, want)
	}
}

func TestWhatNobodyTakesGoesToStandardError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var stderr strings.Builder
	log, _, _ := newLog(logging.DaemonAt(path, &stderr))
	log.Info("first")
	log.Info("second")
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "WARNING: No log daemon takes the log") || !strings.Contains(lines[0], path) ||
		!strings.HasSuffix(lines[1], "INFO: first") || !strings.HasSuffix(lines[2], "INFO: second") {
		t.Errorf("standard error has\n%s", &stderr)
	}

	stderr.Reset()
	conn := daemon(t, path)
	log.Info("third")
	for _, want := range []string{"third", "missing=2"} {
		if got := next(t, conn); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	if stderr.Len() > 0 {
		t.Errorf("what was taken is on standard error too: %s", &stderr)
	}
}
