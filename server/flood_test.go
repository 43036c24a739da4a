// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mandos/server/keytls/keytlstest"
)

// TestNobodyFillsTheLog: neither strangers nor the holder of a key do, and what is left
// out of the log is counted, to the last connection before the end.
func TestNobodyFillsTheLog(t *testing.T) {
	const connections = 150
	key := keytlstest.NewKey(keytlstest.Ed25519)
	s := startServer(t, section("host1", key, ""), "--no-dbus")
	start := time.Now()
	for range connections {
		if got, err := fetch(t, s.port, key); err != nil || got != "secret" {
			t.Fatalf("got %q, %v\n%s", got, err, s.log())
		}
		conn, err := net.Dial("tcp", net.JoinHostPort("localhost", s.port))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
		io.Copy(io.Discard, conn) // until the server has had enough
		conn.Close()
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	log := s.log()
	most := 20 + 2*int(time.Since(start).Seconds()+1)
	for sentence, counted := range map[string]string{
		"Sending secret to host1 succeeded":                  `Too many connections of client host1 to log them all client=host1 event=secret-sent left_out=`,
		"peer refused: it does not begin as a Mandos client": "Too many connections to log them all left_out=",
	} {
		logged, leftOut := strings.Count(log, sentence), 0
		for _, count := range regexp.MustCompile(regexp.QuoteMeta(counted)+`(\d+)`).FindAllStringSubmatch(log, -1) {
			n, _ := strconv.Atoi(count[1])
			leftOut += n
		}
		// Whoever waited for the start may have been a stranger as well.
		if all := logged + leftOut; logged > most || all < connections || all > connections+1 {
			t.Errorf("%q was logged %d times (at most %d may be) and left out %d times, of %d\n%s", sentence, logged, most, leftOut, connections, log)
		}
	}
}
