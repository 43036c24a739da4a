// SPDX-License-Identifier: Apache-2.0

package logging_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mandos/server/logging"
)

func newLog(to logging.Destination) (*slog.Logger, *slog.LevelVar, *logging.ServiceName) {
	level, service := new(slog.LevelVar), new(logging.ServiceName)
	level.Set(logging.DefaultLevel)
	return logging.New(to, level, service), level, service
}

func TestStderr(t *testing.T) {
	var out bytes.Buffer
	log, level, service := newLog(logging.StreamTo(&out))

	log.Debug("not shown")
	log.Info("hello", "client", "foo", "delay", 5*time.Second, "at", time.Unix(0, 0).UTC(), slog.Group("tls", "version", "1.3"))
	level.Set(slog.LevelDebug)
	service.Set("Mandos #2")
	log.With("client", "bar").WithGroup("peer").Debug("shown now", "address", "[::1]:1")

	want := fmt.Sprintf(`^DATE Mandos \[%[1]d\]: INFO: hello client=foo delay=5s at=1970-01-01T00:00:00Z tls\.version=1\.3
DATE Mandos \(Mandos #2\) \[%[1]d\]: DEBUG: shown now client=bar peer\.address=\[::1\]:1
$`, os.Getpid())
	want = strings.ReplaceAll(want, "DATE", `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}`)
	if !regexp.MustCompile(want).MatchString(out.String()) {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestSharedAttributesStayApart(t *testing.T) {
	var out bytes.Buffer
	log, _, _ := newLog(logging.StreamTo(&out))
	log = log.With("a", 1)
	first, second := log.With("b", 2), log.With("c", 3)
	first.Info("first")
	second.Info("second")
	for _, want := range []string{"first a=1 b=2\n", "second a=1 c=3\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in %q", want, out.String())
		}
	}
}

var hostile = map[string]string{
	"a forged record":               "x\n2026-01-01 Mandos [1]: INFO: forged",
	"carriage return":               "x\rforged",
	"terminal escape sequence":      "\x1b[2Jx",
	"C1 control":                    "x\u009bforged",
	"line separator":                "x\u2028forged",
	"right-to-left override":        "x\u202eforged",
	"NUL":                           "x\x00y",
	"invalid UTF-8":                 "x\xff\xfey",
	"fields of its own":             `x" client="forged`,
	"backslash before the quote":    `x\" client="forged`,
	"nothing":                       "",
	"a megabyte":                    strings.Repeat("x", 1<<20),
	"a megabyte of controls":        strings.Repeat("\x00", 1<<20),
	"a megabyte of four-byte runes": strings.Repeat("\U0001F512", 1<<18),
}

func TestStrangersCannotForge(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) { checkHarmless(t, text) })
	}
}

func FuzzStrangersCannotForge(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(checkHarmless)
}

func checkHarmless(t *testing.T, text string) {
	var out bytes.Buffer
	log, _, service := newLog(logging.StreamTo(&out))
	service.Set(text)
	log.Info(text, "line", text)
	line := strings.TrimSuffix(out.String(), "\n")
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || 0x7f <= r && r < 0xa0 || r == 0x2028 || r == 0x202e }) {
		t.Errorf("the record has control characters: %q", line)
	}
	if len(line) > 20*logging.MaxText {
		t.Errorf("the record has %d bytes", len(line))
	}
	if strings.Contains(line, ` client="forged"`) {
		// Only ever inside a quoted value.
		value := line[strings.LastIndex(line, ` line="`):]
		if !strings.Contains(value, `\"`) {
			t.Errorf("a field was forged: %q", line)
		}
	}
}

func TestLevels(t *testing.T) {
	for text, want := range map[string]string{
		"critical": "CRITICAL", "FATAL": "CRITICAL", "Error": "ERROR", "warning": "WARNING",
		"warn": "WARNING", "info": "INFO", "DEBUG": "DEBUG", "notset": "DEBUG",
	} {
		level, err := logging.ParseLevel(text)
		if err != nil || logging.LevelName(level) != want {
			t.Errorf("%q is %s (%v), want %s", text, logging.LevelName(level), err, want)
		}
	}
	for _, text := range []string{"", "bogus", "10", " INFO"} {
		if _, err := logging.ParseLevel(text); err == nil {
			t.Errorf("%q is taken for a level", text)
		}
	}
}

// TestChoose runs the choice in processes whose standard error is what it should
// be recognised as.
func TestChoose(t *testing.T) {
	if as := os.Getenv("MANDOS_TEST_CHOOSE"); as != "" {
		fmt.Printf("%T", logging.Choose(as == "daemon"))
		os.Exit(0)
	}
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	info := inode(t, stderr)
	for name, tc := range map[string]struct {
		as, stream string
		want       logging.Destination
	}{
		"in the foreground":                                 {as: "foreground", want: logging.Stderr()},
		"as a daemon":                                       {as: "daemon", want: logging.DaemonAt("", nil)},
		"with standard error to the journal":                {as: "foreground", stream: info, want: logging.Journal()},
		"with the journal's variable of another descriptor": {as: "foreground", stream: "1:2", want: logging.Stderr()},
		"with nonsense in the journal's variable":           {as: "foreground", stream: "x", want: logging.Stderr()},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestChoose$")
			cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "MANDOS_TEST_CHOOSE="+tc.as, "JOURNAL_STREAM="+tc.stream)
			cmd.Stderr = stderr
			got, err := cmd.Output()
			if want := fmt.Sprintf("%T", tc.want); err != nil || string(got) != want {
				t.Errorf("chose %s (%v), want %s", got, err, want)
			}
		})
	}
}
