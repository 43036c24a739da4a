// SPDX-License-Identifier: Apache-2.0

package handout

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mandos/server/client"
	"mandos/server/debiantest"
	"mandos/server/keytls/keytlstest"
)

// TestGnuTLSGetsTheSecret bridges gnutls-serv to our port: it is the TLS server that
// a client is, once somebody has said the version line for it. It echoes what
// it gets, which we pass over, and answers our close_notify.
func TestGnuTLSGetsTheSecret(t *testing.T) {
	for name, c := range map[string]struct {
		priority string
		x509     bool
		want     client.EventKind
	}{
		"AES-256-GCM":                 {priority: "-CIPHER-ALL:+AES-256-GCM", want: client.SecretSent},
		"AES-128-GCM":                 {priority: "-CIPHER-ALL:+AES-128-GCM", want: client.SecretSent},
		"CHACHA20-POLY1305":           {priority: "-CIPHER-ALL:+CHACHA20-POLY1305", want: client.SecretSent},
		"P-521 after a retry":         {priority: "-GROUP-ALL:+GROUP-SECP521R1", want: client.SecretSent},
		"an X.509 certificate is not": {x509: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, DefaultLimits, nil)
			port := s.onLoopback(t)
			gnutls := gnutlsServ(t, s.key, c.x509, "NORMAL:+CTYPE-SRV-RAWPK:-VERS-ALL:+VERS-TLS1.3:"+c.priority)
			ours, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			theirs, err := net.Dial("tcp", gnutls)
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			io.WriteString(ours, "1\r\n")
			go func() {
				io.Copy(theirs, ours)
				theirs.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(ours, theirs)
			ours.(*net.TCPConn).CloseWrite()
			eventually(t, func() bool {
				events := s.events(t)
				if c.want == "" {
					return len(events) == 0 && s.log.String() != ""
				}
				return len(events) == 1 && events[0] == c.want
			}, func() string { return fmt.Sprint(s.events(t), s.log) })
		})
	}
}

// gnutlsServ starts gnutls-serv with the key, or with a certificate for it.
func gnutlsServ(t *testing.T, key *keytlstest.Key, x509 bool, priority string) (address string) {
	t.Helper()
	dir := t.TempDir()
	private, public := filepath.Join(dir, "key.pem"), filepath.Join(dir, "public.pem")
	if err := errors.Join(os.WriteFile(private, key.PrivatePEM(), 0o600), os.WriteFile(public, key.PublicPEM(), 0o600)); err != nil {
		t.Fatal(err)
	}
	port := debiantest.FreePort(t)
	address = net.JoinHostPort("127.0.0.1", port)
	args := []string{"--port", port, "--echo", "--priority", priority, "--rawpkkeyfile", private, "--rawpkfile", public}
	if x509 {
		template, certificate := filepath.Join(dir, "template"), filepath.Join(dir, "certificate.pem")
		if err := os.WriteFile(template, []byte("cn = host1\nexpiration_days = 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("certtool", "--generate-self-signed", "--load-privkey", private, "--template", template, "--outfile", certificate).CombinedOutput(); err != nil {
			t.Fatalf("certtool (Debian package gnutls-bin): %v\n%s", err, out)
		}
		args = []string{"--port", port, "--echo", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3", "--x509keyfile", private, "--x509certfile", certificate}
	}
	serv := exec.Command("gnutls-serv", args...)
	stdin, err := serv.StdinPipe() // at whose end it would stop
	if err != nil {
		t.Fatal(err)
	}
	if err := serv.Start(); err != nil {
		t.Fatalf("gnutls-serv (Debian package gnutls-bin): %v", err)
	}
	t.Cleanup(func() {
		stdin.Close()
		serv.Process.Kill()
		serv.Wait()
	})
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return address
		}
	}
	t.Fatal("gnutls-serv does not listen")
	return ""
}
