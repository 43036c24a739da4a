// SPDX-License-Identifier: Apache-2.0

package priority

import (
	"slices"
	"strings"
)

// words splits a list of names.
func words(names string) []string { return strings.Fields(names) }

// family is one kind of things that a priority string chooses among.
type family struct {
	prefix string // of its words
	// known are all names that GnuTLS 3.7 has, without the prefix.
	known []string
	// groups are words that stand for several names.
	groups map[string][]string
	// clearing are those of groups that to remove means to remove everything,
	// which GnuTLS does for its GOST words too.
	clearing []string
	// implied are in every level for those who have an OpenPGP key: they have
	// left GnuTLS's levels since GnuTLS has given OpenPGP up.
	implied []string
}

var families = []*family{versions, macs, ciphers, keyExchanges, curves, signatures}

var versions = &family{
	prefix: "VERS-",
	known:  words("TLS1.3 TLS1.2 TLS1.1 TLS1.0 SSL3.0 DTLS1.2 DTLS1.0 DTLS0.9"),
	groups: map[string][]string{
		"ALL":      words("TLS1.3 TLS1.2 TLS1.1 TLS1.0 DTLS1.2 DTLS1.0"),
		"TLS-ALL":  words("TLS1.3 TLS1.2 TLS1.1 TLS1.0"),
		"DTLS-ALL": words("DTLS1.2 DTLS1.0"),
	},
}

var macs = &family{
	clearing: words("MAC-ALL MAC-GOST-ALL"),
	known: words(`SHA1 SHA256 SHA384 SHA512 SHA224 UMAC-96 UMAC-128 AEAD MD5 GOSTR341194 STREEBOG-256 STREEBOG-512
		AES-CMAC-128 AES-CMAC-256 AES-GMAC-128 AES-GMAC-192 AES-GMAC-256 GOST28147-TC26Z-IMIT OMAC-MAGMA OMAC-KUZNYECHIK`),
	groups: map[string][]string{"MAC-ALL": words("SHA1 AEAD"), "MAC-GOST-ALL": words("GOST28147-TC26Z-IMIT")},
}

var ciphers = &family{
	clearing: words("CIPHER-ALL CIPHER-GOST-ALL"),
	known: words(`AES-256-CBC AES-192-CBC AES-128-CBC AES-128-GCM AES-192-GCM AES-256-GCM AES-128-CCM AES-256-CCM AES-128-CCM-8
		AES-256-CCM-8 ARCFOUR-128 ESTREAM-SALSA20-256 SALSA20-256 CHACHA20-32 CHACHA20-64 CAMELLIA-256-CBC CAMELLIA-192-CBC
		CAMELLIA-128-CBC CHACHA20-POLY1305 CAMELLIA-128-GCM CAMELLIA-256-GCM GOST28147-TC26Z-CFB GOST28147-CPA-CFB
		GOST28147-CPB-CFB GOST28147-CPC-CFB GOST28147-CPD-CFB AES-128-CFB8 AES-192-CFB8 AES-256-CFB8 AES-128-XTS AES-256-XTS
		AES-128-SIV AES-256-SIV GOST28147-TC26Z-CNT MAGMA-CTR-ACPKM KUZNYECHIK-CTR-ACPKM 3DES-CBC DES-CBC RC2-40 NULL`),
	groups: map[string][]string{"CIPHER-ALL": normalCiphers, "CIPHER-GOST-ALL": words("GOST28147-TC26Z-CNT")},
}

var keyExchanges = &family{
	clearing: words("KX-ALL KX-GOST-ALL"),
	known:    words("ECDHE-RSA ECDHE-ECDSA RSA DHE-RSA DHE-DSS PSK RSA-PSK DHE-PSK ECDHE-PSK SRP-DSS SRP-RSA SRP ANON-DH ANON-ECDH VKO-GOST-12 RSA-EXPORT"),
	groups:   map[string][]string{"KX-ALL": words("ECDHE-ECDSA ECDHE-RSA RSA DHE-RSA"), "KX-GOST-ALL": words("VKO-GOST-12")},
	implied:  words("DHE-DSS"),
}

var curves = &family{
	clearing: words("ALL"),
	prefix:   "GROUP-",
	known:    words("SECP192R1 SECP224R1 SECP256R1 SECP384R1 SECP521R1 X25519 GC256A GC256B GC256C GC256D GC512A GC512B GC512C X448 FFDHE2048 FFDHE3072 FFDHE4096 FFDHE6144 FFDHE8192"),
	groups: map[string][]string{
		"ALL":      normalGroups,
		"EC-ALL":   words("X25519 SECP256R1 SECP384R1 SECP521R1 X448"),
		"DH-ALL":   words("FFDHE2048 FFDHE3072 FFDHE4096 FFDHE6144 FFDHE8192"),
		"GOST-ALL": words("GC256B GC512A"),
	},
}

var signatures = &family{
	clearing: words("ALL GOST-ALL"),
	prefix:   "SIGN-",
	known: words(`RSA-SHA256 RSA-SHA384 RSA-SHA512 RSA-PSS-SHA256 RSA-PSS-RSAE-SHA256 RSA-PSS-SHA384 RSA-PSS-RSAE-SHA384 RSA-PSS-SHA512
		RSA-PSS-RSAE-SHA512 EDDSA-ED25519 EDDSA-ED448 ECDSA-SHA256 ECDSA-SHA384 ECDSA-SHA512 ECDSA-SECP256R1-SHA256
		ECDSA-SECP384R1-SHA384 ECDSA-SECP521R1-SHA512 ECDSA-SHA3-224 ECDSA-SHA3-256 ECDSA-SHA3-384 ECDSA-SHA3-512 RSA-SHA3-224
		RSA-SHA3-256 RSA-SHA3-384 RSA-SHA3-512 DSA-SHA3-224 DSA-SHA3-256 DSA-SHA3-384 DSA-SHA3-512 RSA-RAW RSA-SHA1 RSA-SHA224
		RSA-RMD160 DSA-SHA1 DSA-SHA224 DSA-SHA256 RSA-MD5 RSA-MD2 ECDSA-SHA1 ECDSA-SHA224 GOSTR341012-512 GOSTR341012-256
		GOSTR341001 DSA-SHA384 DSA-SHA512`),
	groups:  map[string][]string{"ALL": normalSignatures, "GOST-ALL": words("GOSTR341012-256 GOSTR341012-512")},
	implied: words("DSA-SHA256 DSA-SHA384 DSA-SHA512"),
}

var (
	normalCiphers    = words("AES-256-GCM CHACHA20-POLY1305 AES-256-CCM AES-256-CBC AES-128-GCM AES-128-CCM AES-128-CBC")
	secureCiphers    = words("AES-256-GCM CHACHA20-POLY1305 AES-256-CBC AES-256-CCM")
	normalSignatures = slices.Concat(secure128Signatures, words("RSA-SHA1 ECDSA-SHA1"))
	// In the levels the group that costs least comes first, unlike GnuTLS's
	// order: a key share is sent for it, and every client takes it.
	normalGroups        = words("X25519 SECP256R1 SECP384R1 SECP521R1 X448 FFDHE2048 FFDHE3072 FFDHE4096 FFDHE6144 FFDHE8192")
	secure128Signatures = slices.Concat(words("RSA-SHA256 RSA-PSS-SHA256 RSA-PSS-RSAE-SHA256 ECDSA-SHA256 ECDSA-SECP256R1-SHA256 EDDSA-ED25519"), secure192Signatures)
	secure192Signatures = words(`RSA-SHA384 RSA-PSS-SHA384 RSA-PSS-RSAE-SHA384 ECDSA-SHA384 ECDSA-SECP384R1-SHA384 EDDSA-ED448
		RSA-SHA512 RSA-PSS-SHA512 RSA-PSS-RSAE-SHA512 ECDSA-SHA512 ECDSA-SECP521R1-SHA512`)
)

// gost are the words that GOST stands for.
var gost = words("CIPHER-GOST-ALL MAC-GOST-ALL KX-GOST-ALL GROUP-GOST-ALL SIGN-GOST-ALL")

// namesOfCurves are the words that may follow CURVE- instead of GROUP-.
var namesOfCurves = words("ALL SECP192R1 SECP224R1 SECP256R1 SECP384R1 SECP521R1 X25519 X448")

// level is the sets that a word such as NORMAL stands for. Without versions it means
// all of them, if it comes first, and otherwise none.
type level map[*family][]string

// levels are those of GnuTLS 3.7.
var levels = map[string]level{
	"NORMAL": normal, "LEGACY": normal, "PERFORMANCE": {
		ciphers: words("AES-128-GCM AES-256-GCM CHACHA20-POLY1305 AES-128-CCM AES-256-CCM AES-128-CBC AES-256-CBC"),
		macs:    normal[macs], keyExchanges: normal[keyExchanges], curves: normalGroups, signatures: normalSignatures,
	},
	"PFS": {
		ciphers: normalCiphers, macs: normal[macs],
		keyExchanges: words("ECDHE-ECDSA ECDHE-RSA DHE-RSA"), curves: normalGroups, signatures: normalSignatures,
	},
	"SECURE": secure128, "SECURE128": secure128, "SECURE192": secure192, "SECURE256": secure192,
	"SUITEB128": {
		versions: words("TLS1.2"), ciphers: words("AES-256-GCM AES-128-GCM"), macs: words("AEAD"), keyExchanges: words("ECDHE-ECDSA"),
		curves: words("SECP256R1 SECP384R1"), signatures: words("ECDSA-SHA256 ECDSA-SECP256R1-SHA256 ECDSA-SHA384 ECDSA-SECP384R1-SHA384"),
	},
	"SUITEB192": {
		versions: words("TLS1.2"), ciphers: words("AES-256-GCM"), macs: words("AEAD"), keyExchanges: words("ECDHE-ECDSA"),
		curves: words("SECP384R1"), signatures: words("ECDSA-SHA384 ECDSA-SECP384R1-SHA384"),
	},
}

var (
	normal = level{
		ciphers: normalCiphers, macs: words("SHA1 AEAD"),
		keyExchanges: keyExchanges.groups["KX-ALL"], curves: normalGroups, signatures: normalSignatures,
	}
	secure128 = level{
		ciphers: slices.Concat(secureCiphers, words("AES-128-GCM AES-128-CBC AES-128-CCM")),
		macs:    normal[macs], keyExchanges: normal[keyExchanges], curves: normalGroups, signatures: secure128Signatures,
	}
	secure192 = level{
		ciphers: secureCiphers, macs: words("AEAD"),
		keyExchanges: normal[keyExchanges], curves: words("SECP384R1 SECP521R1 FFDHE8192"), signatures: secure192Signatures,
	}
)

// specials are the words after a %. None of them makes a difference here but one:
// they are about X.509, about what is never spoken here, or about details of the
// hello that no Mandos client minds.
var specials = words(`COMPAT DUMBFW NO_EXTENSIONS NO_TICKETS NO_TICKETS_TLS12 NO_ETM FORCE_ETM NO_SESSION_HASH STATELESS_COMPRESSION
	VERIFY_ALLOW_BROKEN VERIFY_ALLOW_SIGN_RSA_MD5 VERIFY_ALLOW_SIGN_WITH_SHA1 VERIFY_DISABLE_CRL_CHECKS VERIFY_ALLOW_X509_V1_CA_CRT
	SSL3_RECORD_VERSION LATEST_RECORD_VERSION UNSAFE_RENEGOTIATION SAFE_RENEGOTIATION PARTIAL_RENEGOTIATION
	DISABLE_SAFE_RENEGOTIATION SERVER_PRECEDENCE FALLBACK_SCSV ALLOW_SMALL_RECORDS DISABLE_TLS13_COMPAT_MODE DISABLE_WILDCARDS
	DEBUG_ALLOW_KEY_USAGE_VIOLATIONS PROFILE_VERY_WEAK PROFILE_LOW PROFILE_LEGACY PROFILE_MEDIUM PROFILE_HIGH PROFILE_ULTRA
	PROFILE_FUTURE PROFILE_SUITEB128 PROFILE_SUITEB192`)
