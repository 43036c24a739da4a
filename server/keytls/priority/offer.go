// SPDX-License-Identifier: Apache-2.0

package priority

import (
	"errors"
	"slices"
	"strings"

	"mandos/server/keytls"
)

// suite says what has to be chosen for a cipher suite.
type suite struct {
	id          keytls.CipherSuite
	cipher      string
	keyExchange string // of TLS 1.2 only
	signatures  string // how those begin that the key exchange needs
}

// suites are those that are implemented. The MAC of all is AEAD.
var suites = []suite{
	{id: keytls.TLS_AES_256_GCM_SHA384, cipher: "AES-256-GCM"},
	{id: keytls.TLS_CHACHA20_POLY1305_SHA256, cipher: "CHACHA20-POLY1305"},
	{id: keytls.TLS_AES_128_GCM_SHA256, cipher: "AES-128-GCM"},
	{keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "AES-256-GCM", "ECDHE-RSA", "RSA-SHA"},
	{keytls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "CHACHA20-POLY1305", "ECDHE-RSA", "RSA-SHA"},
	{keytls.TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, "AES-256-GCM", "DHE-RSA", "RSA-SHA"},
	{keytls.TLS_DHE_DSS_WITH_AES_256_GCM_SHA384, "AES-256-GCM", "DHE-DSS", "DSA-SHA"},
}

// groups are the groups that are implemented.
var groups = map[string]keytls.Group{
	"X25519": keytls.X25519, "SECP256R1": keytls.SECP256R1, "SECP384R1": keytls.SECP384R1, "SECP521R1": keytls.SECP521R1,
}

// schemes are the signature schemes that are implemented. TLS 1.3 ties ECDSA to a
// curve and writes both of GnuTLS's words in the same way.
var schemes = map[string]keytls.SignatureScheme{
	"EDDSA-ED25519": keytls.ED25519, "EDDSA-ED448": keytls.ED448,
	"ECDSA-SECP256R1-SHA256": keytls.ECDSA_SECP256R1_SHA256, "ECDSA-SHA256": keytls.ECDSA_SECP256R1_SHA256,
	"ECDSA-SECP384R1-SHA384": keytls.ECDSA_SECP384R1_SHA384, "ECDSA-SHA384": keytls.ECDSA_SECP384R1_SHA384,
	"ECDSA-SECP521R1-SHA512": keytls.ECDSA_SECP521R1_SHA512, "ECDSA-SHA512": keytls.ECDSA_SECP521R1_SHA512,
	"RSA-PSS-SHA256": keytls.RSA_PSS_PSS_SHA256, "RSA-PSS-SHA384": keytls.RSA_PSS_PSS_SHA384, "RSA-PSS-SHA512": keytls.RSA_PSS_PSS_SHA512,
	"RSA-PSS-RSAE-SHA256": keytls.RSA_PSS_RSAE_SHA256, "RSA-PSS-RSAE-SHA384": keytls.RSA_PSS_RSAE_SHA384, "RSA-PSS-RSAE-SHA512": keytls.RSA_PSS_RSAE_SHA512,
	"RSA-SHA256": keytls.RSA_PKCS1_SHA256, "RSA-SHA384": keytls.RSA_PKCS1_SHA384, "RSA-SHA512": keytls.RSA_PKCS1_SHA512,
	"DSA-SHA256": keytls.DSA_SHA256, "DSA-SHA384": keytls.DSA_SHA384, "DSA-SHA512": keytls.DSA_SHA512,
}

// priority makes of the names selected what keytls offers.
func (s *selection) priority() (*Priority, error) {
	signing := s.lists[signatures]
	p := &Priority{
		groups:  implemented(groups, s.lists[curves].chosen),
		schemes: implemented(schemes, slices.Concat(signing.chosen, signing.implied)),
		openPGP: s.openPGP,
	}
	if s.rawKeys && s.hasTLS13() && slices.ContainsFunc(p.schemes, isOf(keytls.VersionTLS13)) {
		p.suites = s.suites13()
	}
	suites12 := s.suitesForOpenPGP()
	if len(suites12) == 0 {
		p.openPGP = never
	}
	p.rawKeys = len(p.suites) > 0
	if len(p.groups) == 0 || !p.rawKeys && p.openPGP != always {
		return nil, s.errNothing()
	}
	if p.openPGP != never {
		p.suites = append(p.suites, suites12...)
	}
	return p, nil
}

func isOf(version keytls.Version) func(keytls.SignatureScheme) bool {
	return func(scheme keytls.SignatureScheme) bool { return scheme.Version() == version }
}

// implemented returns those of names that are implemented, each once.
func implemented[T comparable](all map[string]T, names []string) (found []T) {
	for _, name := range names {
		if item, ok := all[name]; ok && !slices.Contains(found, item) {
			found = append(found, item)
		}
	}
	return found
}

// hasTLS13 reports whether TLS 1.3 is on. GnuTLS turns it off where it would leave a
// gap between versions, and together with what does not go with it.
func (s *selection) hasTLS13() bool {
	gap := !s.has(versions, "TLS1.2") && (s.has(versions, "TLS1.1") || s.has(versions, "TLS1.0"))
	return s.has(versions, "TLS1.3") && !gap && !s.noExtensions && !s.has(ciphers, "NULL") &&
		!slices.ContainsFunc(words("SRP SRP-RSA SRP-DSS RSA-PSK"), func(name string) bool { return s.has(keyExchanges, name) })
}

// suites13 are the cipher suites of TLS 1.3 that are implemented, in the order of
// their ciphers.
func (s *selection) suites13() (chosen []keytls.CipherSuite) {
	for _, cipher := range s.lists[ciphers].chosen {
		for _, suite := range suites {
			if suite.keyExchange == "" && suite.cipher == cipher && s.has(macs, "AEAD") {
				chosen = append(chosen, suite.id)
			}
		}
	}
	return chosen
}

// suitesForOpenPGP are the cipher suites of TLS 1.2 that are implemented and for
// which there is a signature.
func (s *selection) suitesForOpenPGP() (chosen []keytls.CipherSuite) {
	exchanges, signing := s.lists[keyExchanges], s.lists[signatures]
	for _, suite := range suites {
		if suite.keyExchange != "" && s.has(ciphers, suite.cipher) && s.has(macs, "AEAD") && !s.noExtensions &&
			slices.Contains(slices.Concat(exchanges.chosen, exchanges.implied), suite.keyExchange) &&
			slices.ContainsFunc(slices.Concat(signing.chosen, signing.implied), func(name string) bool {
				_, ok := schemes[name]
				return ok && strings.HasPrefix(name, suite.signatures)
			}) {
			chosen = append(chosen, suite.id)
		}
	}
	return chosen
}

// errNothing says what there could be.
func (s *selection) errNothing() error {
	if !s.rawKeys && s.openPGP != always {
		return errors.New("the priority string lets no client in: add +CTYPE-RAWPK for clients with a key_id, or +CTYPE-OPENPGP for those with only a fingerprint")
	}
	return errors.New("the priority string leaves nothing to offer of what is possible here: VERS-TLS1.3 with CTYPE-RAWPK, or CTYPE-OPENPGP; MAC AEAD; " +
		"ciphers AES-256-GCM, AES-128-GCM, CHACHA20-POLY1305; groups GROUP-X25519, GROUP-SECP256R1, GROUP-SECP384R1, GROUP-SECP521R1; " +
		"for CTYPE-RAWPK the signatures SIGN-EDDSA-*, SIGN-ECDSA-*, SIGN-RSA-PSS-*; " +
		"for CTYPE-OPENPGP the key exchanges ECDHE-RSA, DHE-RSA, DHE-DSS and the signatures SIGN-RSA-SHA*, SIGN-DSA-SHA* with 256, 384 or 512")
}
