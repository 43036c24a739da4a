// SPDX-License-Identifier: Apache-2.0

// Command load acts as many Mandos clients towards a server that it starts
// itself, on loopback, and prints what that took: hand-outs per second, their
// latency, the server's CPU time for each, its memory for each connection that
// stalls, how long it takes to start and to end, and whether it keeps up with its
// checks. It stops by itself.
//
//	go build -o build/mandos ./server && go run ./server/load -mandos build/mandos
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mandos/server/keytls/keytlstest"
)

func main() {
	l := &load{}
	flag.StringVar(&l.mandos, "mandos", "build/mandos", "the server `program` to start")
	flag.IntVar(&l.handouts, "handouts", 10_000, "how many hand-outs to measure")
	flag.IntVar(&l.atOnce, "at-once", 16, "how many hand-outs go on at once")
	flag.IntVar(&l.stalled, "stalled", 5_000, "how many connections stall")
	flag.DurationVar(&l.checks, "checks", time.Minute, "how long to have clients checked")
	flag.DurationVar(&l.atMost, "at-most", time.Minute, "how long each part may take")
	flag.Parse()
	if err := l.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// load is what is to be measured.
type load struct {
	mandos           string
	handouts, atOnce int
	stalled          int
	checks, atMost   time.Duration
}

func (l *load) run(out io.Writer) error {
	for _, clients := range []int{10, 10_000} {
		if err := l.measureHandouts(out, clients, l.atOnce); err != nil {
			return err
		}
	}
	if err := l.measureHandouts(out, 10, 1); err != nil {
		return err
	}
	for _, stage := range []string{"before its version line", "after our hello", "waiting for approval"} {
		if err := l.measureStalled(out, stage); err != nil {
			return err
		}
	}
	if err := l.measureStart(out); err != nil {
		return err
	}
	return l.measureChecks(out)
}

func (l *load) measureHandouts(out io.Writer, clients, atOnce int) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.atMost)
	defer cancel()
	s, err := startServer(ctx, l.mandos, clients, "")
	if err != nil {
		return err
	}
	defer s.stop()
	if _, err := s.fetchAll(ctx, 200, atOnce); err != nil { // warm up
		return err
	}
	cpu, start := s.cpuTime(), time.Now()
	latencies, err := s.fetchAll(ctx, l.handouts, atOnce)
	if err != nil {
		return err
	}
	took, cpu := time.Since(start), s.cpuTime()-cpu
	slices.Sort(latencies)
	percentile := func(p int) time.Duration {
		return latencies[(len(latencies)-1)*p/100].Round(10 * time.Microsecond)
	}
	fmt.Fprintf(out, "%d clients configured, %d at a time: %.0f hand-outs/s, latency %v (50 %%) %v (90 %%) %v (99 %%), server CPU %v each, resident %d kB\n",
		clients, atOnce, float64(len(latencies))/took.Seconds(), percentile(50), percentile(90), percentile(99),
		(cpu / time.Duration(len(latencies))).Round(time.Microsecond), s.resident()/1024)
	return nil
}

func (l *load) measureStalled(out io.Writer, stage string) error {
	ctx, cancel := context.WithTimeout(context.Background(), l.atMost)
	defer cancel()
	s, err := startServer(ctx, l.mandos, l.stalled, "approval_delay = PT1H\n")
	if err != nil {
		return err
	}
	defer s.stop()
	before := s.resident()
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	for i := range l.stalled {
		conn, err := s.stall(ctx, stage, i)
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		conns = append(conns, conn)
	}
	time.Sleep(time.Second) // for the server to reach the point where it waits
	fmt.Fprintf(out, "%d connections stalled %s: %.1f kB each, %d threads\n",
		len(conns), stage, float64(s.resident()-before)/1024/float64(len(conns)), s.threads())
	return nil
}

// server is a server process and the clients it knows.
type server struct {
	cmd     *exec.Cmd // nil while it does not run
	program string
	dir     string
	port    string
	keys    []*keytlstest.Key
	env     []string
	level   string
	log     *os.File
}

// startServer starts a server without D-Bus.
func startServer(ctx context.Context, program string, clients int, more string) (*server, error) {
	s, err := newServer(program, clients, more)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// newServer makes keys and a configuration for that many clients. more is added
// to the defaults of all.
func newServer(program string, clients int, more string) (*server, error) {
	dir, err := os.MkdirTemp("", "mandos-load-")
	if err != nil {
		return nil, err
	}
	s := &server{program: program, dir: dir, level: "error", log: os.Stderr}
	defaults := "interval = PT1H\ntimeout = P1D\n"
	if strings.Contains(more, "interval") {
		defaults = ""
	}
	if !strings.Contains(more, "checker") {
		defaults += "checker = :\n"
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "[DEFAULT]\n%sextended_timeout = P1D\n%s", defaults, more)
	secret := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("0123456789", 67)))
	for i := range clients {
		key := keytlstest.NewKey(keytlstest.Ed25519)
		s.keys = append(s.keys, key)
		fmt.Fprintf(&conf, "[client%d]\nkey_id = %s\nsecret = %s\n", i, key.KeyID(), secret)
	}
	if err = os.Chmod(dir, 0o755); err == nil { // for the server's user
		err = os.WriteFile(filepath.Join(dir, "clients.conf"), []byte(conf.String()), 0o600)
	}
	if err == nil {
		s.port, err = freePort()
	}
	return s, err
}

func (s *server) addr() string { return net.JoinHostPort("127.0.0.1", s.port) }

// start starts the server and waits until it listens.
func (s *server) start(ctx context.Context) error {
	args := []string{"--foreground", "--no-zeroconf", "--no-ipv6", "--debuglevel", s.level, "--address", "127.0.0.1",
		"--port", s.port, "--configdir", s.dir, "--statedir", filepath.Join(s.dir, "state"), "--max-unproven", "100000"}
	if s.env == nil {
		args = append(args, "--no-dbus")
	}
	s.cmd = exec.CommandContext(ctx, s.program, args...)
	s.cmd.Env = append(os.Environ(), s.env...)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if conn, err := net.Dial("tcp", s.addr()); err == nil {
			return conn.Close()
		}
		time.Sleep(2 * time.Millisecond)
	}
	return errors.New("the server does not listen")
}

// end ends the server in order.
func (s *server) end() {
	if s.cmd != nil {
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.cmd.Wait()
		s.cmd = nil
	}
}

// stop ends the server and removes what it had.
func (s *server) stop() {
	s.end()
	os.RemoveAll(s.dir)
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

// fetchAll fetches secrets that many times.
func (s *server) fetchAll(ctx context.Context, times, atOnce int) ([]time.Duration, error) {
	latencies := make([]time.Duration, times)
	var next atomic.Int64
	var mu sync.Mutex
	var failure error
	var peers sync.WaitGroup
	for range atOnce {
		peers.Go(func() {
			for i := int(next.Add(1)) - 1; i < times && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				start := time.Now()
				if err := s.fetch(ctx, i%len(s.keys)); err != nil {
					mu.Lock()
					failure = errors.Join(failure, err)
					mu.Unlock()
					return
				}
				latencies[i] = time.Since(start)
			}
		})
	}
	peers.Wait()
	return latencies, errors.Join(failure, ctx.Err())
}

// dial connects the i-th client from an address of its own.
func (s *server) dial(ctx context.Context, i int) (net.Conn, error) {
	source := net.IPv4(127, 1, byte(i>>8), byte(i))
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: source}}).DialContext(ctx, "tcp", s.addr())
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	return conn, nil
}

func (s *server) fetch(ctx context.Context, i int) error {
	conn, err := s.dial(ctx, i)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "1\r\n"); err != nil {
		return err
	}
	secret, err := (&keytlstest.Peer{Key: s.keys[i]}).Fetch(conn)
	if err == nil && len(secret) != 670 {
		err = fmt.Errorf("got %d bytes instead of the secret", len(secret))
	}
	return err
}

// stall connects and stops at that stage.
func (s *server) stall(ctx context.Context, stage string, i int) (net.Conn, error) {
	conn, err := s.dial(ctx, i)
	if err != nil || stage == "before its version line" {
		return conn, err
	}
	if _, err := io.WriteString(conn, "1\r\n"); err != nil {
		return conn, err
	}
	if stage == "after our hello" {
		_, err := conn.Read(make([]byte, 4096))
		return conn, err
	}
	return conn, (&keytlstest.Peer{Key: s.keys[i]}).Server(conn).Handshake()
}
