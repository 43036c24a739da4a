// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mandos/server/debiantest"
	"mandos/server/keytls"
	"mandos/server/keytls/keytlstest"
)

// gnutlsServ starts Debian's gnutls-serv and returns its address.
func gnutlsServ(t *testing.T, priority string, args ...string) string {
	t.Helper()
	return serve(t, "gnutls-serv", "gnutls-bin", func(port string) []string {
		return append([]string{"--port", port, "--echo", "--priority", priority}, args...)
	})
}

// serve starts a server program on a free port of the loopback interface and
// returns its address; it is stopped when the test ends.
func serve(t *testing.T, program, debianPackage string, args func(port string) []string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("this test needs %s: install the package %s: %v", program, debianPackage, err)
	}
	for range 5 {
		port := debiantest.FreePort(t)
		address := net.JoinHostPort("127.0.0.1", port)
		server := exec.Command(path, args(port)...)
		var output lockedBuffer
		server.Stdout, server.Stderr = &output, &output
		if _, err := server.StdinPipe(); err != nil { // at whose end openssl s_server stops
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan struct{})
		go func() {
			server.Wait()
			close(exited)
		}()
		t.Cleanup(func() {
			server.Process.Kill()
			<-exited
			if t.Failed() {
				t.Logf("%v said:\n%s", server.Args, output.String())
			}
		})
		if listens(address, exited) {
			return address
		}
	}
	t.Fatalf("%s did not start to listen", program)
	return ""
}

// listens waits until address accepts connections, false if the server has exited.
func listens(address string, exited <-chan struct{}) bool {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp4", address)
		if err == nil {
			conn.Close()
			return true
		}
		select {
		case <-exited:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	return false
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// presenting returns the arguments that make gnutls-serv present key.
func presenting(t *testing.T, key *keytlstest.Key) []string {
	t.Helper()
	directory := t.TempDir()
	private, public := filepath.Join(directory, "key.pem"), filepath.Join(directory, "public.pem")
	if err := errors.Join(os.WriteFile(private, key.PrivatePEM(), 0o600), os.WriteFile(public, key.PublicPEM(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return []string{"--rawpkkeyfile", private, "--rawpkfile", public}
}

const rawKeys = "NORMAL:+CTYPE-SRV-RAWPK:-VERS-ALL:+VERS-TLS1.3"

// echo does a handshake with the server at address, has a line echoed, and closes
// in order. It returns whom it has spoken to and how.
func echo(t *testing.T, address string, config *keytls.Config) (keytls.Identity, keytls.State) {
	t.Helper()
	conn := dial(t, address, config)
	identity, err := conn.Handshake(t.Context())
	if err != nil {
		t.Fatalf("handshake: %v", err)
	}
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(conn, "the secret\n"); err != nil {
		t.Fatalf("write: %v", err)
	}
	line := make([]byte, len("the secret\n"))
	if _, err := io.ReadFull(conn, line); err != nil || string(line) != "the secret\n" {
		t.Fatalf("the server echoed %q, %v", line, err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatalf("close_notify: %v", err)
	}
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Fatalf("after close_notify came %q, %v", rest, err)
	}
	return identity, conn.ConnectionState()
}

func dial(t *testing.T, address string, config *keytls.Config) *keytls.Conn {
	t.Helper()
	tcp, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	conn := keytls.Client(tcp, config)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// inTLS13 returns what there is for TLS 1.3.
func inTLS13[T interface{ Version() keytls.Version }](all []T) []T {
	return slices.DeleteFunc(all, func(item T) bool { return item.Version() != keytls.VersionTLS13 })
}

func TestGnuTLSWithEverySuiteAndGroup(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	priorities := map[keytls.Group]string{
		keytls.X25519: "GROUP-X25519", keytls.SECP256R1: "GROUP-SECP256R1",
		keytls.SECP384R1: "GROUP-SECP384R1", keytls.SECP521R1: "GROUP-SECP521R1",
	}
	for _, group := range keytls.Groups() {
		address := gnutlsServ(t, rawKeys+":-GROUP-ALL:+"+priorities[group], presenting(t, key)...)
		for _, suite := range inTLS13(keytls.CipherSuites()) {
			for _, retried := range []bool{false, true} {
				name := fmt.Sprintf("%v with %v", suite, group)
				groups := []keytls.Group{group}
				if retried {
					name += " after a HelloRetryRequest"
					groups = slices.DeleteFunc(keytls.Groups(), func(g keytls.Group) bool { return g == group })
					groups = append(groups, group)
				}
				t.Run(name, func(t *testing.T) {
					identity, state := echo(t, address, &keytls.Config{CipherSuites: []keytls.CipherSuite{suite}, Groups: groups})
					if identity.Hex != key.KeyID() {
						t.Errorf("identity %v, want %v", identity, key.KeyID())
					}
					want := keytls.State{Version: keytls.VersionTLS13, CipherSuite: suite, Group: group, SignatureScheme: keytls.ED25519, Retried: retried}
					if state != want {
						t.Errorf("negotiated %+v, want %+v", state, want)
					}
				})
			}
		}
	}
}

func TestGnuTLSWithEverySignatureScheme(t *testing.T) {
	kinds := map[keytls.SignatureScheme]keytlstest.KeyKind{
		keytls.ED25519: keytlstest.Ed25519, keytls.ED448: keytlstest.Ed448,
		keytls.ECDSA_SECP256R1_SHA256: keytlstest.ECDSAP256,
		keytls.ECDSA_SECP384R1_SHA384: keytlstest.ECDSAP384,
		keytls.ECDSA_SECP521R1_SHA512: keytlstest.ECDSAP521,
		keytls.RSA_PSS_RSAE_SHA256:    keytlstest.RSA2048, keytls.RSA_PSS_RSAE_SHA384: keytlstest.RSA2048, keytls.RSA_PSS_RSAE_SHA512: keytlstest.RSA2048,
		keytls.RSA_PSS_PSS_SHA256: keytlstest.RSAPSS2048, keytls.RSA_PSS_PSS_SHA384: keytlstest.RSAPSS2048, keytls.RSA_PSS_PSS_SHA512: keytlstest.RSAPSS2048,
	}
	servers := make(map[keytlstest.KeyKind]string)
	keys := make(map[keytlstest.KeyKind]*keytlstest.Key)
	for _, scheme := range inTLS13(keytls.SignatureSchemes()) {
		kind := kinds[scheme]
		if keys[kind] == nil {
			keys[kind] = keytlstest.NewKey(kind)
			servers[kind] = gnutlsServ(t, rawKeys, presenting(t, keys[kind])...)
		}
		t.Run(scheme.String(), func(t *testing.T) {
			identity, state := echo(t, servers[kind], &keytls.Config{SignatureSchemes: []keytls.SignatureScheme{scheme}})
			if identity.Hex != keys[kind].KeyID() {
				t.Errorf("identity %v, want %v", identity, keys[kind].KeyID())
			}
			if state.SignatureScheme != scheme {
				t.Errorf("signed with %v, want %v", state.SignatureScheme, scheme)
			}
		})
	}
}

// TestGnuTLSWithAnRSAPSSKeyThatIsRestricted has OpenSSL make a key whose hash
// functions have NULL parameters, which GnuTLS and certtool leave out.
func TestGnuTLSWithAnRSAPSSKeyThatIsRestricted(t *testing.T) {
	directory := t.TempDir()
	private, public := filepath.Join(directory, "key.pem"), filepath.Join(directory, "public.pem")
	for _, command := range [][]string{
		{"openssl", "genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_pss_keygen_md:sha384",
			"-pkeyopt", "rsa_pss_keygen_mgf1_md:sha384", "-pkeyopt", "rsa_pss_keygen_saltlen:48", "-out", private},
		{"openssl", "pkey", "-in", private, "-pubout", "-out", public},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	keyID, err := exec.Command("certtool", "--key-id", "--hash=sha256", "--load-pubkey", public).Output()
	if err != nil {
		t.Fatalf("this test needs certtool: install the package gnutls-bin: %v", err)
	}
	address := gnutlsServ(t, rawKeys, "--rawpkkeyfile", private, "--rawpkfile", public)
	identity, state := echo(t, address, &keytls.Config{})
	if want := strings.ToUpper(strings.TrimSpace(string(keyID))); identity.Hex != want {
		t.Errorf("identity %v, certtool says %v", identity, want)
	}
	if state.SignatureScheme != keytls.RSA_PSS_PSS_SHA384 {
		t.Errorf("signed with %v", state.SignatureScheme)
	}
}

func TestX509IsRefused(t *testing.T) {
	directory := t.TempDir()
	private, certificate := filepath.Join(directory, "key.pem"), filepath.Join(directory, "certificate.pem")
	command := exec.Command("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost", "-keyout", private, "-out", certificate)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	credentials := []string{"--x509keyfile", private, "--x509certfile", certificate}
	for name, test := range map[string]struct {
		address string
		says    string
	}{
		"from GnuTLS that may use raw public keys": {gnutlsServ(t, rawKeys, credentials...), "peer sent alert unsupported_certificate"},
		"from GnuTLS that must use X.509":          {gnutlsServ(t, "NORMAL:-VERS-ALL:+VERS-TLS1.3", credentials...), "peer sent alert unsupported_certificate"},
		"from OpenSSL, which ignores what we offer": {serve(t, "openssl", "openssl", func(port string) []string {
			return []string{"s_server", "-accept", "127.0.0.1:" + port, "-key", private, "-cert", certificate}
		}), "peer presented an X.509 certificate, not a raw public key (RFC 7250)"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, test.address, &keytls.Config{})
			_, err := conn.Handshake(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v does not say %q", err, test.says)
			}
			if _, err := conn.Write([]byte("secret")); err == nil {
				t.Error("could write afterwards")
			}
		})
	}
}

func TestGnuTLSWithoutTLS13IsRefused(t *testing.T) {
	address := gnutlsServ(t, "NORMAL:+CTYPE-SRV-RAWPK:-VERS-ALL:+VERS-TLS1.2", presenting(t, anEd25519Key)...)
	_, err := dial(t, address, &keytls.Config{}).Handshake(t.Context())
	if err == nil || !strings.Contains(err.Error(), "knows no TLS 1.3") {
		t.Errorf("error %v", err)
	}
}

// TestGnuTLSThatRequiresACertificate refuses us after the handshake, since it sees
// our empty Certificate only then.
func TestGnuTLSThatRequiresACertificate(t *testing.T) {
	address := gnutlsServ(t, rawKeys, append(presenting(t, anEd25519Key), "--require-client-cert")...)
	conn := dial(t, address, &keytls.Config{})
	if _, err := conn.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Read(make([]byte, 1))
	if err == nil || !strings.Contains(err.Error(), "peer sent alert certificate_required") {
		t.Errorf("error %v", err)
	}
}

func TestGnuTLSWithLargeData(t *testing.T) {
	key := keytlstest.NewKey(keytlstest.Ed25519)
	conn := dial(t, gnutlsServ(t, rawKeys, presenting(t, key)...), &keytls.Config{})
	if _, err := conn.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("a line of a large secret\n"), 4000)
	go conn.Write(sent)
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("echo: %v", err)
	}
}
