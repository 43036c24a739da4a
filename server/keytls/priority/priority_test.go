// SPDX-License-Identifier: Apache-2.0

package priority

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"mandos/server/keytls"
)

// upstreamDefault is the default of the server that this one replaces.
const upstreamDefault = "SECURE128:!CTYPE-X.509:+CTYPE-RAWPK:!RSA:!VERS-ALL:+VERS-TLS1.3:%PROFILE_ULTRA"

func TestWhatIsOffered(t *testing.T) {
	const raw = " TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_GCM_SHA256"
	const old = " TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"
	const dsa = " TLS_DHE_DSS_WITH_AES_256_GCM_SHA384"
	for sentence, c := range map[string]struct {
		text    string
		openPGP offer
		suites  string
		groups  string // "" is not compared
		schemes string
	}{
		"by default OpenPGP is offered while it is needed": {
			text: upstreamDefault, openPGP: whenNeeded, suites: raw + old + dsa, groups: "x25519 secp256r1 secp384r1 secp521r1"},
		"the default and OpenPGP": {
			text: upstreamDefault + ":+CTYPE-OPENPGP", openPGP: always, suites: raw + old + dsa},
		"the default without OpenPGP": {
			text: upstreamDefault + ":!CTYPE-OPENPGP", openPGP: never, suites: raw},
		"all certificate types taken away and one added": {
			text: "NORMAL:-CTYPE-ALL:+CTYPE-RAWPK", openPGP: never, suites: raw},
		"all certificate types": {
			text: "NORMAL:-CTYPE-ALL:+CTYPE-ALL", openPGP: whenNeeded, suites: raw + old + dsa},
		"the server's certificate type is the one that counts": {
			text: "NORMAL:+CTYPE-SRV-RAWPK:-CTYPE-CLI-ALL", openPGP: whenNeeded, suites: raw + old + dsa},
		"the shipped file's string of old has no raw public keys": {
			text: "SECURE256:!CTYPE-X.509:+CTYPE-OPENPGP:!RSA:+SIGN-DSA-SHA256", openPGP: always, suites: old + dsa, groups: "secp384r1 secp521r1"},
		"DSA can be taken away": {
			text: upstreamDefault + ":-DHE-DSS", openPGP: whenNeeded, suites: raw + old},
		"DSA goes with its signatures": {
			text: upstreamDefault + ":-SIGN-ALL:+SIGN-EDDSA-ED25519:+SIGN-RSA-SHA384", openPGP: whenNeeded, suites: raw + old,
			schemes: "ed25519 rsa_pkcs1_sha384"},
		"RSA goes with its signatures": {
			text: upstreamDefault + ":-SIGN-RSA-SHA256:-SIGN-RSA-SHA384:-SIGN-RSA-SHA512", openPGP: whenNeeded, suites: raw + dsa},
		"no signature of OpenPGP's, no OpenPGP": {
			text: upstreamDefault + ":-SIGN-ALL:+SIGN-EDDSA-ED25519", openPGP: never, suites: raw, schemes: "ed25519"},
		"a level brings DSA, NONE does not": {
			text:    "NONE:+VERS-TLS1.3:+CIPHER-ALL:+AEAD:+GROUP-ALL:+SIGN-ALL:+KX-ALL:+CTYPE-RAWPK",
			openPGP: whenNeeded, suites: raw + old},
		"only what is named, in that order": {
			text:    "NONE:+VERS-TLS1.3:+AES-128-GCM:+AES-256-GCM:+AEAD:+GROUP-SECP521R1:+GROUP-X25519:+SIGN-ECDSA-SHA256:+SIGN-EDDSA-ED448:+CTYPE-RAWPK",
			openPGP: never, suites: " TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384", groups: "secp521r1 x25519", schemes: "ecdsa_secp256r1_sha256 ed448"},
		"what is not implemented is left out": {
			text: "NORMAL:+CTYPE-RAWPK:+PSK:+CAMELLIA-256-GCM:+GROUP-SECP192R1:+VERS-SSL3.0:+COMP-ALL:-CTYPE-OPENPGP", openPGP: never, suites: raw},
		"without TLS 1.3 there is only OpenPGP": {
			text: "NORMAL:-VERS-TLS1.3:+CTYPE-RAWPK:+CTYPE-OPENPGP", openPGP: always, suites: old + dsa},
		"in any case of letters and with blanks": {
			text: "secure128: +ctype-rawpk: !ctype-openpgp", openPGP: never, suites: raw},
	} {
		t.Run(sentence, func(t *testing.T) {
			p, err := Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := " " + join(p.suites); got != c.suites || p.openPGP != c.openPGP {
				t.Errorf("OpenPGP %s with%s, want %s with%s", p.openPGP, got, c.openPGP, c.suites)
			}
			if got := join(p.groups); c.groups != "" && got != c.groups {
				t.Errorf("groups %s, want %s", got, c.groups)
			}
			if got := join(p.schemes); c.schemes != "" && got != c.schemes {
				t.Errorf("schemes %s, want %s", got, c.schemes)
			}
			if p.OffersRawKeys() != strings.HasPrefix(c.suites, " TLS_AES") || p.OffersOpenPGP() != (c.openPGP != never) {
				t.Errorf("offers raw keys: %v, OpenPGP: %v", p.OffersRawKeys(), p.OffersOpenPGP())
			}
		})
	}
}

func TestConfigAsksWhetherOpenPGPIsNeeded(t *testing.T) {
	for text, want := range map[string][2]bool{ // when it is not needed, and when it is
		upstreamDefault:                     {false, true},
		upstreamDefault + ":+CTYPE-OPENPGP": {true, true},
		upstreamDefault + ":-CTYPE-OPENPGP": {false, false},
	} {
		p, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for i, needed := range []bool{false, true} {
			config := p.Config(func() bool { return needed })
			if got := config.OpenPGP != nil && config.OpenPGP(); got != want[i] {
				t.Errorf("%s, needed: %v: offered: %v", text, needed, got)
			}
			if config.Known != nil || !slices.Contains(config.CipherSuites, keytls.TLS_AES_128_GCM_SHA256) {
				t.Errorf("%s: %+v", text, config)
			}
		}
	}
}

func TestBadStringsSayWhatIsWrong(t *testing.T) {
	for text, says := range map[string]string{
		"":                                   `"" in the priority string: a word is missing`,
		"NORMAL:":                            "a word is missing",
		"NORMAL:+CTYPE-RAWPK:+AES-255-GCM":   `"+AES-255-GCM" in the priority string: GnuTLS knows no such word`,
		"NORMAL:%PROFILE_EXTREME":            `"%PROFILE_EXTREME" in the priority string`,
		"NORMAL:CTYPE-RAWPK":                 `"CTYPE-RAWPK" in the priority string`,
		"NORMAL:+CIPHER-FOO":                 "knows no such word", // which GnuTLS overlooks, as the next four
		"NORMAL:+MAC-FOO":                    "knows no such word",
		"NORMAL:+KX-FOO":                     "knows no such word",
		"NORMAL:+VERS-ALLES":                 "knows no such word",
		"NORMAL:+CTYPE-OPENPGPG":             "knows no such word",
		"SYSTEM":                             "configuration files of GnuTLS are not read here",
		"@SYSTEM":                            "configuration files of GnuTLS are not read here",
		"NORMAL":                             "add +CTYPE-RAWPK for clients with a key_id",
		"NONE":                               "add +CTYPE-RAWPK",
		"NORMAL:-CTYPE-OPENPGP":              "add +CTYPE-RAWPK",
		"NORMAL:+CTYPE-RAWPK:-VERS-TLS1.3":   "VERS-TLS1.3 with CTYPE-RAWPK",
		"NORMAL:+CTYPE-RAWPK:-AEAD":          "MAC AEAD",
		"NORMAL:+CTYPE-RAWPK:-GROUP-EC-ALL":  "groups GROUP-X25519",
		"NORMAL:+CTYPE-RAWPK:%NO_EXTENSIONS": "leaves nothing to offer",
		"NORMAL:+CTYPE-RAWPK:-SIGN-ALL":      "signatures SIGN-EDDSA-*",
		"NORMAL:+CTYPE-RAWPK:-CIPHER-ALL:+AES-256-CBC": "ciphers AES-256-GCM",
		"NORMAL:+CTYPE-OPENPGP:-KX-ALL:+ECDHE-ECDSA":   "key exchanges ECDHE-RSA",
		"SUITEB128:+CTYPE-OPENPGP":                     "leaves nothing to offer",
	} {
		if p, err := Parse(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %+v, %v, want an error that says %q", text, p, err, says)
		}
	}
}

func TestEffectiveSetsCanBeLogged(t *testing.T) {
	p, err := Parse("NONE:+VERS-TLS1.3:+AES-128-GCM:+AEAD:+GROUP-X25519:+SIGN-EDDSA-ED25519:+CTYPE-RAWPK")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("offer", "tls", p)
	const want = `tls.raw_public_keys=true tls.openpgp_certificates=never tls.cipher_suites=TLS_AES_128_GCM_SHA256 tls.groups=x25519 tls.signature_schemes=ed25519`
	if !strings.Contains(out.String(), want) {
		t.Errorf("logged %s", out.String())
	}
}

// FuzzParse: what is accepted can be offered, and a word that makes no difference
// makes none.
func FuzzParse(f *testing.F) {
	for _, text := range slices.Concat(inTheField, odd) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if len(p.suites) == 0 || len(p.groups) == 0 || len(p.schemes) == 0 || !p.rawKeys && p.openPGP != always {
			t.Errorf("%q: %v", text, p.LogValue())
		}
		if again, err := Parse(text + ":%COMPAT"); err != nil || again.LogValue().String() != p.LogValue().String() {
			t.Errorf("%q is another with a word that makes no difference: %v", text, err)
		}
	})
}
