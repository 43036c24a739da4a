// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"testing"
)

// TestPseudorandomFunction holds the PRF against the known answers that circulated on
// the TLS working group's mailing list.
func TestPseudorandomFunction(t *testing.T) {
	for name, c := range map[string]struct {
		suite              CipherSuite
		secret, seed, want string
	}{
		"SHA-256": {
			TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "9bbe436ba940f017b17652849a71db35", "a0ba9f936cda311827a6f796ffd5198c",
			`e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa0
			22f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66`},
		"SHA-384": {
			TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "b80b733d6ceefcdc71566ea48e5567df", "cd665cf6a8447dd6ff8b27555edb7465",
			`7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80e
			dd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9ae
			e691c8f3a26854308d5eaa3be85e0990703d73e56f`},
	} {
		want := fromHex(t, c.want)
		if got := pseudorandom(c.suite, fromHex(t, c.secret), "test label", fromHex(t, c.seed), len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s: %x", name, got)
		}
	}
}
