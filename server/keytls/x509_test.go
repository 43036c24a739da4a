// SPDX-License-Identifier: Apache-2.0

package keytls_test

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mandos/server/keytls"
)

// x509Credentials makes a self-signed certificate with openssl and returns the files
// of its key and of itself.
func x509Credentials(t *testing.T, newKey ...string) (key, certificate string) {
	t.Helper()
	directory := t.TempDir()
	key, certificate = filepath.Join(directory, "key.pem"), filepath.Join(directory, "certificate.pem")
	for _, arguments := range [][]string{
		append(newKey, "-out", key),
		{"req", "-x509", "-new", "-sha256", "-subj", "/CN=localhost", "-key", key, "-out", certificate},
	} {
		if out, err := exec.Command("openssl", arguments...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", arguments, err, out)
		}
	}
	return key, certificate
}

func dsaParameters(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dsa.pem")
	if out, err := exec.Command("openssl", "genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:2048",
		"-pkeyopt", "dsa_paramgen_q_bits:256", "-out", file).CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return file
}

// TestTLS12AgainstOthers holds all of our TLS 1.2 but the OpenPGP certificate
// against GnuTLS and OpenSSL, of which none still knows OpenPGP certificates.
func TestTLS12AgainstOthers(t *testing.T) {
	rsaKey, rsaCertificate := x509Credentials(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
	dsaKey, dsaCertificate := x509Credentials(t, "genpkey", "-paramfile", dsaParameters(t))
	gnutls := func(priority string) string {
		return gnutlsServ(t, "NORMAL:-VERS-ALL:+VERS-TLS1.2"+priority, "--disable-client-cert", "--x509keyfile", rsaKey, "--x509certfile", rsaCertificate)
	}
	openssl := serve(t, "openssl", "openssl", func(port string) []string {
		return []string{"s_server", "-accept", "127.0.0.1:" + port, "-tls1_2", "-rev", "-cipher", "ALL:@SECLEVEL=1",
			"-key", rsaKey, "-cert", rsaCertificate, "-dkey", dsaKey, "-dcert", dsaCertificate}
	})
	ecdhe := []keytls.CipherSuite{keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, keytls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
	rsa := []keytls.SignatureScheme{keytls.RSA_PKCS1_SHA256, keytls.RSA_PKCS1_SHA384, keytls.RSA_PKCS1_SHA512}
	ownGroup := []keytls.Group{0}
	for server, address := range map[string]string{
		"GnuTLS":                                gnutls(""),
		"GnuTLS without extended master secret": gnutls(":%NO_SESSION_HASH"),
		"OpenSSL":                               openssl,
	} {
		t.Run(server, func(t *testing.T) {
			speakTLS12(t, address, ecdhe, rsa, keytls.Groups())
			speakTLS12(t, address, []keytls.CipherSuite{keytls.TLS_DHE_RSA_WITH_AES_256_GCM_SHA384}, rsa, ownGroup)
		})
	}
	t.Run("OpenSSL with DSA", func(t *testing.T) { // which GnuTLS has given up
		speakTLS12(t, openssl, []keytls.CipherSuite{keytls.TLS_DHE_DSS_WITH_AES_256_GCM_SHA384},
			[]keytls.SignatureScheme{keytls.DSA_SHA256, keytls.DSA_SHA384, keytls.DSA_SHA512}, ownGroup)
	})
}

// speakTLS12 connects with each combination; group 0 stands for one that the server makes.
func speakTLS12(t *testing.T, address string, suites []keytls.CipherSuite, schemes []keytls.SignatureScheme, groups []keytls.Group) {
	for _, suite := range suites {
		for _, scheme := range schemes {
			for _, group := range groups {
				t.Run(fmt.Sprintf("%v, %v, %v", suite, scheme, group), func(t *testing.T) {
					config := &keytls.Config{CipherSuites: []keytls.CipherSuite{suite}, SignatureSchemes: []keytls.SignatureScheme{scheme}, OpenPGP: always}
					if group != 0 {
						config.Groups = []keytls.Group{group}
					}
					conn := dial(t, address, config)
					conn.SetDeadline(time.Now().Add(2 * time.Minute))
					if err := conn.HandshakeWithX509(); err != nil {
						t.Fatalf("handshake: %v", err)
					}
					want := keytls.State{Version: keytls.VersionTLS12, CipherSuite: suite, SignatureScheme: scheme, Group: group}
					if got := conn.ConnectionState(); got != want {
						t.Errorf("negotiated %+v, want %+v", got, want)
					}
					sayPalindrome(t, conn)
				})
			}
		}
	}
}

func always() bool { return true }

// sayPalindrome has a line echoed, or reversed, and closes in order.
func sayPalindrome(t *testing.T, conn *keytls.Conn) {
	t.Helper()
	const said = "never odd or even neve ro ddo reven\n"
	for range 3 {
		if _, err := io.WriteString(conn, said); err != nil {
			t.Fatalf("write: %v", err)
		}
		line := make([]byte, len(said))
		if _, err := io.ReadFull(conn, line); err != nil || string(line) != said {
			t.Fatalf("the server answered %q, %v", line, err)
		}
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatalf("close_notify: %v", err)
	}
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Fatalf("after close_notify came %q, %v", rest, err)
	}
}
