// SPDX-License-Identifier: Apache-2.0

package priority

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"mandos/server/keytls"
)

// listing is what gnutls-cli makes of a priority string.
type listing struct {
	syntaxError bool
	// insufficient: all words are known, but nothing is left.
	insufficient bool
	sets         map[string][]string // by the heading, with the prefixes of the names
	suites       []string
}

// ask has gnutls-cli say what it makes of a priority string.
func ask(t *testing.T, text string) *listing {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "gnutls-cli", "--priority", text, "--list").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("this test needs gnutls-cli: install the package gnutls-bin: %v", err)
	}
	l := &listing{sets: make(map[string][]string)}
	for line := range strings.Lines(string(out)) {
		heading, names, isList := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case strings.HasPrefix(line, "Syntax error at:"):
			l.syntaxError = true
		case strings.HasPrefix(line, "Error in priorities: No or insufficient"):
			l.insufficient = true
		case strings.HasPrefix(line, "TLS_"):
			l.suites = append(l.suites, strings.Fields(line)[0])
		case isList:
			l.sets[heading] = strings.Split(strings.ToUpper(names), ", ")
		}
	}
	if err != nil && !l.syntaxError && !l.insufficient || err == nil && len(l.sets) < 6 {
		t.Fatalf("gnutls-cli with %q: %v\n%s", text, err, out)
	}
	return l
}

// gnutlsNames are GnuTLS's names of the cipher suites that are implemented.
var gnutlsNames = map[string]keytls.CipherSuite{
	"TLS_AES_256_GCM_SHA384":           keytls.TLS_AES_256_GCM_SHA384,
	"TLS_CHACHA20_POLY1305_SHA256":     keytls.TLS_CHACHA20_POLY1305_SHA256,
	"TLS_AES_128_GCM_SHA256":           keytls.TLS_AES_128_GCM_SHA256,
	"TLS_ECDHE_RSA_AES_256_GCM_SHA384": keytls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"TLS_ECDHE_RSA_CHACHA20_POLY1305":  keytls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"TLS_DHE_RSA_AES_256_GCM_SHA384":   keytls.TLS_DHE_RSA_WITH_AES_256_GCM_SHA384,
	"TLS_DHE_DSS_AES_256_GCM_SHA384":   keytls.TLS_DHE_DSS_WITH_AES_256_GCM_SHA384,
}

// agree holds what read makes of a string against what GnuTLS does.
func agree(t *testing.T, text string) {
	t.Helper()
	theirs := ask(t, text)
	ours, err := read(text)
	if theirs.syntaxError && strings.Contains(text, "SRP") && ask(t, "NORMAL:+SRP").syntaxError {
		return // Debian's GnuTLS 3.8 is built without it
	}
	if theirs.syntaxError != (err != nil) {
		t.Errorf("%q: GnuTLS finds a syntax error: %v; read: %v", text, theirs.syntaxError, err)
	}
	if theirs.syntaxError || err != nil {
		return
	}
	if theirs.insufficient {
		if p, err := ours.priority(); err == nil && ours.openPGP != always {
			t.Errorf("%q: GnuTLS has nothing left, Parse has %v", text, p.LogValue())
		}
		return
	}
	compare := func(f *family, heading string, names ...string) {
		t.Helper()
		for _, name := range names {
			if they := slices.Contains(theirs.sets[heading], f.prefix+name); they != ours.has(f, name) {
				t.Errorf("%q: GnuTLS has %s: %v, we: %v", text, f.prefix+name, they, ours.has(f, name))
			}
		}
	}
	compare(ciphers, "Ciphers", "AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305")
	compare(macs, "MACs", "AEAD")
	for name := range groups {
		compare(curves, "Groups", name)
	}
	for name := range schemes {
		compare(signatures, "PK-signatures", name)
	}
	signing := implemented(schemes, slices.DeleteFunc(slices.Clone(ours.lists[signatures].chosen), isDSA))
	if len(signing) == 0 || len(implemented(groups, ours.lists[curves].chosen)) == 0 {
		return // what GnuTLS then still has depends on what only GnuTLS knows
	}
	if they := slices.Contains(theirs.sets["Protocols"], "VERS-TLS1.3"); they != ours.hasTLS13() {
		t.Errorf("%q: GnuTLS has TLS 1.3: %v, we: %v", text, they, ours.hasTLS13())
	}
	compare(versions, "Protocols", "TLS1.2")
	// TLS 1.3 has no key exchanges to choose; for it alone none are listed.
	hasOthers := slices.ContainsFunc(theirs.sets["Protocols"], func(name string) bool { return name != "VERS-TLS1.3" })
	if hasOthers {
		compare(keyExchanges, "Key Exchange Algorithms", "ECDHE-RSA", "DHE-RSA", "DHE-DSS")
	}
	hasTLS12 := slices.ContainsFunc(theirs.sets["Protocols"], func(name string) bool { return strings.HasSuffix(name, "TLS1.2") })
	compareSuites(t, text, theirs, ours, hasTLS12 && !ours.noExtensions)
}

// isDSA reports whether it is a DSA signature, which GnuTLS only verifies.
func isDSA(name string) bool { return strings.HasPrefix(name, "DSA-") }

// compareSuites compares the cipher suites that come out: those of TLS 1.2 without what
// is implied, of which GnuTLS knows nothing any more.
func compareSuites(t *testing.T, text string, theirs *listing, ours *selection, withTLS12 bool) {
	t.Helper()
	var they, we []keytls.CipherSuite
	for _, name := range theirs.suites {
		if id, ok := gnutlsNames[name]; ok && (withTLS12 || id.Version() == keytls.VersionTLS13) {
			they = append(they, id)
		}
	}
	if ours.hasTLS13() {
		we = ours.suites13()
	}
	if withTLS12 {
		ours.lists[keyExchanges].implied = nil
		// GnuTLS lists suites whatever there is to sign with.
		ours.lists[signatures].implied = []string{"RSA-SHA256", "DSA-SHA256"}
		we = append(we, ours.suitesForOpenPGP()...)
	}
	slices.Sort(they)
	slices.Sort(we)
	if !slices.Equal(they, we) {
		t.Errorf("%q: GnuTLS has %v, we %v", text, they, we)
	}
}

// Strings in the field: defaults of upstream's, the shipped file's, and edits of
// these.
var inTheField = []string{
	"SECURE128:!CTYPE-X.509:+CTYPE-RAWPK:!RSA:!VERS-ALL:+VERS-TLS1.3:%PROFILE_ULTRA",
	"SECURE256:!CTYPE-X.509:+CTYPE-OPENPGP:!RSA:+SIGN-DSA-SHA256",
	"SECURE256:!CTYPE-X.509:+CTYPE-OPENPGP",
	"SECURE256:!CTYPE-X.509:+CTYPE-OPENPGP:!RSA",
	"NORMAL:+CTYPE-RAWPK",
	"NORMAL:+CTYPE-RAWPK:-VERS-ALL:+VERS-TLS1.3",
	"SECURE128:!CTYPE-X.509:+CTYPE-RAWPK:!RSA:!VERS-ALL:+VERS-TLS1.3:%PROFILE_ULTRA:+CTYPE-OPENPGP",
	"NONE:+VERS-TLS1.3:+AES-256-GCM:+AEAD:+GROUP-X25519:+SIGN-EDDSA-ED25519:+CTYPE-RAWPK",
	"NONE:+VERS-ALL:+CIPHER-ALL:+MAC-ALL:+KX-ALL:+GROUP-ALL:+SIGN-ALL:+COMP-ALL:+CTYPE-ALL",
	"secure128:+ctype-rawpk: -vers-all:+Vers-TLS1.3",
}

// odd are strings that look like mistakes.
var odd = []string{
	"", ":", "NORMAL:", ":NORMAL", "NORMAL::+RSA", "NORMAL:RSA", "NORMAL:%", "NORMAL:+", "NORMAL:-", "NORMAL:!", "NORMAL:%FOO", "NORMAL:%compat",
	"NORMAL:%PROFILE_FOO", "NORMAL:+FOO", "NORMAL:-FOO", "NORMAL:+VERS-TLS1.4", "NORMAL:+VERS-FOO", "NORMAL:+CTYPE-FOO", "NORMAL:+CTYPE-SRV-OPENPGP",
	"NORMAL:+GROUP-FOO", "NORMAL:+CURVE-FFDHE2048", "NORMAL:+CURVE-EC-ALL", "NORMAL:+SIGN-FOO", "NORMAL +RSA", "NORMAL,+RSA", " NORMAL", "NORMAL ",
	"NORMAL: +RSA", "NORMAL:+ RSA", "NORMAL:NONE", "NORMAL:+NONE", "NONE", "NONE:NORMAL", "NORMAL:-NORMAL", "SYSTEM", "@SYSTEM", "@FOO", "EXPORT", "+RSA", "+EXPORT",
	"NORMAL:+%COMPAT", "NORMAL:+AES-256", "NORMAL:GOST", "SUITEB128:+CTYPE-RAWPK", "NORMAL:+SHA", "NORMAL:+CTYPE-Raw Public Key", "NORMAL:+COMP-DEFLATE", "NORMAL:+COMP",
	"NORMAL:!VERS-TLS1.2", "NORMAL:%NO_EXTENSIONS", "NORMAL:+NULL", "NORMAL:-GROUP-ALL:+GROUP-FFDHE2048", "NORMAL:-SIGN-ALL", "NORMAL:-SIGN-ALL:+SIGN-DSA-SHA256:+DHE-DSS",
}

// vocabulary is every word that there is, and how it may be used.
func vocabulary() (all []string) {
	for _, f := range families {
		for _, name := range f.known {
			all = append(all, f.prefix+name)
		}
		for name := range f.groups {
			all = append(all, f.prefix+name)
		}
	}
	for _, name := range namesOfCurves {
		all = append(all, "CURVE-"+name)
	}
	for _, name := range words("X.509 X509 RAWPK ALL") {
		all = append(all, "CTYPE-"+name, "CTYPE-SRV-"+name, "CTYPE-CLI-"+name)
	}
	all = append(all, "CTYPE-OPENPGP", "COMP-NULL")
	slices.Sort(all)
	return all
}

func TestAgreesWithGnuTLS(t *testing.T) {
	levelNames := words("NORMAL LEGACY PERFORMANCE PFS SECURE SECURE128 SECURE192 SECURE256 SUITEB128 SUITEB192")
	strs := slices.Concat(inTheField, odd, levelNames)
	for _, special := range specials {
		strs = append(strs, "NORMAL:%"+special)
	}
	// One string is enough for words that add or remove without a trace.
	all := vocabulary()
	for chunk := range slices.Chunk(all, 12) {
		strs = append(strs, "NORMAL:+"+strings.Join(chunk, ":+"), "NORMAL:-"+strings.Join(chunk, ":-"))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 250 {
		strs = append(strs, generate(random, append(slices.Clone(levelNames), "NONE"), all))
	}
	var running sync.WaitGroup
	queue := make(chan string)
	for range 4 {
		running.Go(func() {
			for text := range queue {
				agree(t, text)
			}
		})
	}
	for _, text := range strs {
		queue <- text
	}
	close(queue)
	running.Wait()
}

// generate makes a string of a few words, of which one in a while does not exist.
func generate(random *rand.Rand, levels, all []string) string {
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	text := pick(levels)
	for range random.IntN(8) {
		switch random.IntN(10) {
		case 0:
			text += ":+" + pick(levels[:len(levels)-1])
		case 1:
			text += ":" + pick(levels[:len(levels)-1])
		case 2:
			text += ":%" + pick(specials)
		case 3:
			if word := pick(telling); random.IntN(4) == 0 && !strings.HasSuffix(word, "ALL") {
				text += ":+" + word[:len(word)-1]
			}
		case 4, 5, 6:
			text += fmt.Sprintf(":%c%s", "+-!"[random.IntN(3)], pick(telling))
		default:
			text += fmt.Sprintf(":%c%s", "+-!"[random.IntN(3)], pick(all))
		}
	}
	return text
}

// telling are the words that make a difference here.
var telling = words(`VERS-TLS1.3 VERS-TLS1.2 VERS-TLS1.1 VERS-TLS1.0 VERS-ALL VERS-TLS-ALL CIPHER-ALL MAC-ALL KX-ALL GROUP-ALL SIGN-ALL AEAD AES-256-GCM
	AES-128-GCM CHACHA20-POLY1305 ECDHE-RSA DHE-RSA DHE-DSS GROUP-X25519 GROUP-SECP384R1 GROUP-EC-ALL CURVE-ALL SIGN-RSA-SHA384
	SIGN-DSA-SHA256 SIGN-EDDSA-ED25519 SIGN-ECDSA-SHA256 SIGN-RSA-PSS-SHA512`)
