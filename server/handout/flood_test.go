// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mandos/server/client"
)

// dialFrom connects from a loopback address of its own, so that many sources
// can be played.
func dialFrom(t *testing.T, source netip.Addr, port string) net.Conn {
	t.Helper()
	dialer := net.Dialer{Timeout: 2 * time.Minute, LocalAddr: &net.TCPAddr{IP: source.AsSlice()}}
	conn, err := dialer.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestIdleConnectionsDoNotLockAClientOut(t *testing.T) {
	for sentence, c := range map[string]struct {
		sources, each int
	}{
		"many from one address":           {sources: 1, each: 400},
		"a few each from many addresses":  {sources: 200, each: 2},
		"one each from as many addresses": {sources: 400, each: 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := newSite(t, Limits{Strangers: 100, PerSource: 50, PerClient: 20}, nil)
			port := s.onLoopback(t)
			source := netip.MustParseAddr("127.0.1.0")
			for range c.sources {
				source = source.Next()
				for range c.each {
					defer dialFrom(t, source, port).Close()
				}
			}
			if got, err := fetch(t, net.JoinHostPort("::1", port), s.key); got != secret {
				t.Errorf("the client got %q, error %v", got, err)
			}
			if n := s.server.Strangers(); n == 0 || n > 100 {
				t.Errorf("%d strangers at once", n)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.Contains(s.observed, "evicted") {
				t.Error("nobody was evicted")
			}
		})
	}
}

// TestFloodWithFewDescriptors runs this test's own binary again, with a limit of
// 1,024 open files, as the server that is flooded.
func TestFloodWithFewDescriptors(t *testing.T) {
	if os.Getenv("FLOODED") != "" {
		beFlooded(t)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "prlimit", "--nofile=1024:1024", exe, "-test.run=^TestFloodWithFewDescriptors$")
	cmd.Env = append(os.Environ(), "FLOODED=1")
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var port string
	if _, err := fmt.Fscanln(stdout, &port); err != nil {
		t.Fatal(err)
	}
	source := netip.MustParseAddr("127.0.2.0")
	for i := range 2000 {
		if i%40 == 0 {
			source = source.Next()
		}
		defer dialFrom(t, source, port).Close()
	}
	io.WriteString(stdin, "go\n")
	report, _ := io.ReadAll(stdout)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, report)
	}
}

func beFlooded(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max != 1024 {
		t.Fatalf("limit is %v, error %v", limit, err)
	}
	s := newSite(t, DefaultLimits, func(c *client.Settings) { c.Interval = time.Second })
	port := s.onLoopback(t)
	fmt.Println(port)
	fmt.Scanln(new(string))
	for range 20 {
		if got, err := fetch(t, net.JoinHostPort("::1", port), s.key); got != secret {
			t.Errorf("the client got %q, error %v", got, err)
		}
	}
	eventually(t, func() bool {
		v, _ := s.Client("host1")
		return v.Enabled && !v.LastCheckedOK.IsZero()
	}, func() string { return "the client is not looked after any more" })
	if _, err := os.Open("/dev/null"); err != nil {
		t.Errorf("no file can be opened: %v", err)
	}
}
