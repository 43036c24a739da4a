// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// run runs a program that must be installed and returns what it prints.
func run(t *testing.T, program, hint string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("this test needs %s: %s", program, hint)
	}
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", program, args, err)
	}
	return out
}

// TestKeyIDIsCerttools makes a key of every kind with OpenSSL and compares the key
// ID with what certtool, and so mandos-keygen, prints.
func TestKeyIDIsCerttools(t *testing.T) {
	for name, options := range map[string][]string{
		"Ed25519":     {"-algorithm", "ED25519"},
		"Ed448":       {"-algorithm", "ED448"},
		"ECDSA P-256": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"ECDSA P-384": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
		"ECDSA P-521": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"},
		"RSA":         {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		"RSA-PSS":     {"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"},
		"RSA-PSS for SHA-256": {"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_pss_keygen_md:sha256",
			"-pkeyopt", "rsa_pss_keygen_mgf1_md:sha256", "-pkeyopt", "rsa_pss_keygen_saltlen:32"},
		"RSA-PSS for SHA-512 with the default salt": {"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_pss_keygen_md:sha512",
			"-pkeyopt", "rsa_pss_keygen_mgf1_md:sha512", "-pkeyopt", "rsa_pss_keygen_saltlen:20"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			private := filepath.Join(t.TempDir(), "key.pem")
			run(t, "openssl", "install openssl", append([]string{"genpkey", "-out", private}, options...)...)
			spki := run(t, "openssl", "install openssl", "pkey", "-in", private, "-pubout", "-outform", "der")
			public := filepath.Join(t.TempDir(), "public.pem")
			if err := os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), 0o600); err != nil {
				t.Fatal(err)
			}
			certtool := run(t, "certtool", "install gnutls-bin", "--key-id", "--hash=sha256", "--load-pubkey", public)
			key, err := parsePublicKey(spki)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.ToUpper(strings.TrimSpace(string(certtool))); key.identity.Hex != want || key.identity.Kind != KeyID {
				t.Errorf("%v, certtool says %v", key.identity, want)
			}
		})
	}
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The Ed25519 key of RFC 8410, section 10.1, and the base point of P-256.
const (
	ed25519SPKI = "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
	p256Point   = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296 4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
	p256SPKI    = "3059301306072a8648ce3d020106082a8648ce3d03010703420004" + p256Point
)

func TestKeyIDOfAKnownKey(t *testing.T) {
	key, err := parsePublicKey(fromHex(t, ed25519SPKI))
	const want = "A1E9156054E04FAC899AE9F275132CDC07A5DBC4EA2C2AD3A1FFC6E0D253681F"
	if err != nil || key.identity.Hex != want {
		t.Errorf("%v, %v", key, err)
	}
}

// rsaKey makes a public key of the given size without looking for primes.
func rsaKey(t testing.TB, bits int) *rsa.PublicKey {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
	if err != nil {
		t.Fatal(err)
	}
	n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
	return &rsa.PublicKey{N: n, E: 65537}
}

func TestRSASizes(t *testing.T) {
	for bits, good := range map[int]bool{1024: false, 2047: false, 2048: true, 4096: true, 8192: true, 8193: false, 16384: false} {
		key := rsaKey(t, bits)
		spki, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for name, encoding := range map[string][]byte{"RSA": spki, "RSA-PSS": marshalPSSKey(key, nil, false)} {
			if _, err := parsePublicKey(encoding); (err == nil) != good {
				t.Errorf("%s of %d bits: %v", name, bits, err)
			}
		}
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	rsaSPKI, err := x509.MarshalPKIXPublicKey(rsaKey(t, 2048))
	if err != nil {
		t.Fatal(err)
	}
	pss := func(change string, to string) []byte {
		good := marshalPSSKey(rsaKey(t, 2048), &pssParameters{hash: 5, saltLength: 32}, false) // crypto.SHA256
		if !bytes.Contains(good, fromHex(t, change)) {
			t.Fatalf("% x does not contain %s", good[:64], change)
		}
		return bytes.Replace(good, fromHex(t, change), fromHex(t, to), 1)
	}
	ed448 := "3043300506032b6571033a00" + strings.Repeat("07", 57)
	if _, err := parsePublicKey(fromHex(t, ed448)); err != nil {
		t.Fatalf("the good Ed448 key: %v", err)
	}
	if _, err := parsePublicKey(fromHex(t, p256SPKI)); err != nil {
		t.Fatalf("the good P-256 key: %v", err)
	}
	for says, keys := range map[string]map[string][]byte{
		"not a DER SubjectPublicKeyInfo": {
			"nothing":                 {},
			"a byte behind the key":   append(fromHex(t, ed25519SPKI), 0),
			"a byte missing":          fromHex(t, ed25519SPKI)[:43],
			"a length in long form":   fromHex(t, "30812a"+ed25519SPKI[4:]),
			"an indefinite length":    fromHex(t, "3080"+ed25519SPKI[4:]+"0000"),
			"Ed25519 with unused bit": fromHex(t, "302a300506032b6570032101"+ed25519SPKI[24:86]+"e0"),
			"Ed448 with unused bit":   fromHex(t, "3043300506032b6571033a01"+strings.Repeat("06", 57)),
		},
		"damaged or of an unknown kind": {
			"Ed25519 with NULL parameters":    fromHex(t, "302c300706032b65700500032100"+ed25519SPKI[24:]),
			"Ed25519 of 31 bytes":             fromHex(t, "3029300506032b6570032000"+ed25519SPKI[26:]),
			"X448, which cannot sign":         fromHex(t, "3042300506032b656f033900"+strings.Repeat("07", 56)),
			"P-256, compressed":               fromHex(t, "3039301306072a8648ce3d020106082a8648ce3d030107032200036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
			"P-256, a point not on the curve": fromHex(t, p256SPKI[:len(p256SPKI)-1]+"4"),
			"P-256, the point at infinity":    fromHex(t, "3019301306072a8648ce3d020106082a8648ce3d03010703020000"),
			"secp256k1":                       fromHex(t, "3056301006072a8648ce3d020106052b8104000a03420004"+p256Point),
			"RSA without its NULL":            bytes.Replace(slices.Concat([]byte{0x30, 0x82, 1, 0x20}, rsaSPKI[4:]), fromHex(t, "300d06092a864886f70d0101010500"), fromHex(t, "300b06092a864886f70d010101"), 1),
		},
		"cannot sign in TLS 1.3": {
			"X25519": fromHex(t, "302a300506032b656e032100"+ed25519SPKI[24:]),
			"DSA":    fromHex(t, "301c301406072a8648ce3804013009020117 02010b 020104 030400020103"),
		},
		"not in its canonical DER encoding": {
			"Ed448 with NULL parameters":     fromHex(t, "3045300706032b65710500033a00"+strings.Repeat("07", 57)),
			"RSA-PSS with MGF1 for another":  pss("a11a301806092a864886f70d010108300b0609608648016503040201", "a11a301806092a864886f70d010108300b0609608648016503040202"),
			"RSA-PSS with another mask":      pss("2a864886f70d010108", "2a864886f70d010109"),
			"RSA-PSS with the default spelt": pss("a203020120", "a203020114"),
			"RSA-PSS with a trailerField":    pss("a203020120", "a303020101"),
		},
		"Ed448 public key of 56 bytes":                         {"Ed448": fromHex(t, "3042300506032b6571033900"+strings.Repeat("07", 56))},
		"wants 33 bytes of salt":                               {"RSA-PSS": pss("a203020120", "a203020121")},
		"wants -16 bytes of salt":                              {"RSA-PSS": pss("a203020120", "a2030201f0")},
		"RSA-PSS key for hash function 2.16.840.1.101.3.4.2.4": {"RSA-PSS for SHA-224": pss("a00d300b0609608648016503040201", "a00d300b0609608648016503040204")},
	} {
		for name, spki := range keys {
			key, err := parsePublicKey(spki)
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, %v; want an error that says %q", name, key, err, says)
			}
		}
	}
}

// TestEachBitOfASPKIMatters: a changed encoding is refused or is another key.
func TestEachBitOfASPKIMatters(t *testing.T) {
	for _, encoding := range []string{ed25519SPKI, p256SPKI, "3043300506032b6571033a00" + strings.Repeat("07", 57)} {
		spki := fromHex(t, encoding)
		original, err := parsePublicKey(spki)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range 8 * len(spki) {
			changed := bytes.Clone(spki)
			changed[bit/8] ^= 1 << (bit % 8)
			if key, err := parsePublicKey(changed); err == nil && key.identity == original.identity {
				t.Errorf("bit %d of %s does not matter", bit, encoding)
			}
		}
	}
}

func TestNULLAndAbsentHashParametersAreOneKey(t *testing.T) {
	modulus := rsaKey(t, 2048)
	pss := &pssParameters{hash: 6, saltLength: 20} // crypto.SHA384
	absent, err := parsePublicKey(marshalPSSKey(modulus, pss, false))
	if err != nil {
		t.Fatal(err)
	}
	null, err := parsePublicKey(marshalPSSKey(modulus, pss, true))
	if err != nil {
		t.Fatal(err)
	}
	if absent.identity != null.identity {
		t.Errorf("%v and %v", absent.identity, null.identity)
	}
	if !slices.Equal(null.schemes, []SignatureScheme{RSA_PSS_PSS_SHA384}) {
		t.Errorf("schemes %v, want the one for SHA-384", null.schemes)
	}
}
