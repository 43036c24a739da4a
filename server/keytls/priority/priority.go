// SPDX-License-Identifier: Apache-2.0

// Package priority reads GnuTLS priority strings, such as
//
//	SECURE128:!CTYPE-X.509:+CTYPE-RAWPK:!RSA:!VERS-ALL:+VERS-TLS1.3:%PROFILE_ULTRA
//
// and makes of them what keytls is to offer. It knows all words of GnuTLS 3.7
// ("Priority strings" in GnuTLS's manual; gnutls-cli --list), and CTYPE-OPENPGP
// of GnuTLS 3.5. What a string chooses that keytls does not implement is left out.
//
// One thing differs from GnuTLS, which has given up what it is about. OpenPGP
// certificates are offered when the string adds CTYPE-OPENPGP, and otherwise
// while they are needed, unless the string removes CTYPE-OPENPGP or CTYPE-ALL. They
// imply TLS 1.2 and, unless the string removes those, DHE-DSS and DSA signatures.
package priority

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"mandos/server/keytls"
)

// Priority is what a priority string offers. It is not empty.
type Priority struct {
	suites  []keytls.CipherSuite
	groups  []keytls.Group
	schemes []keytls.SignatureScheme
	rawKeys bool
	openPGP offer
}

// offer tells when OpenPGP certificates are offered.
type offer string

const (
	never      offer = "never"
	whenNeeded offer = "while needed"
	always     offer = "always"
)

// Parse reads a priority string. It is an error if GnuTLS does not know a word of
// it, and if nothing would be left to offer to any client.
func Parse(text string) (*Priority, error) {
	selected, err := read(text)
	if err != nil {
		return nil, err
	}
	return selected.priority()
}

// Config returns the configuration that makes the offer. OpenPGP certificates are
// offered while needsOpenPGP says so, unless the string decides that.
func (p *Priority) Config(needsOpenPGP func() bool) keytls.Config {
	config := keytls.Config{CipherSuites: p.suites, Groups: p.groups, SignatureSchemes: p.schemes}
	switch p.openPGP {
	case always:
		config.OpenPGP = func() bool { return true }
	case whenNeeded:
		config.OpenPGP = needsOpenPGP
	}
	return config
}

// OffersRawKeys reports whether clients with a key ID can be served at all.
func (p *Priority) OffersRawKeys() bool { return p.rawKeys }

// OffersOpenPGP reports whether clients with only a fingerprint can be served at all.
func (p *Priority) OffersOpenPGP() bool { return p.openPGP != never }

// LogValue is the sets that are in effect.
func (p *Priority) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Bool("raw_public_keys", p.rawKeys),
		slog.String("openpgp_certificates", string(p.openPGP)),
		slog.String("cipher_suites", join(p.suites)),
		slog.String("groups", join(p.groups)),
		slog.String("signature_schemes", join(p.schemes)),
	)
}

func join[T fmt.Stringer](items []T) string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = item.String()
	}
	return strings.Join(names, " ")
}

// selection is what has been selected while a string is read.
type selection struct {
	lists        map[*family]*list
	rawKeys      bool
	openPGP      offer
	noExtensions bool
}

// list is the names selected of a family, in order of preference.
type list struct {
	chosen []string
	// implied are those that only OpenPGP certificates bring along.
	implied []string
}

func (l *list) add(names []string) {
	for _, name := range names {
		if !slices.Contains(l.chosen, name) {
			l.chosen = append(l.chosen, name)
		}
	}
}

func (l *list) remove(names []string) {
	isRemoved := func(name string) bool { return slices.Contains(names, name) }
	l.chosen, l.implied = slices.DeleteFunc(l.chosen, isRemoved), slices.DeleteFunc(l.implied, isRemoved)
}

// has reports whether name is chosen.
func (s *selection) has(f *family, name string) bool { return slices.Contains(s.lists[f].chosen, name) }

// read goes through the words of a string.
func read(text string) (*selection, error) {
	s := &selection{lists: make(map[*family]*list), openPGP: whenNeeded}
	for _, f := range families {
		s.lists[f] = new(list)
	}
	for i, word := range strings.Split(text, ":") {
		word = strings.TrimLeft(word, " ")
		if err := s.obey(word, i == 0); err != nil {
			return nil, fmt.Errorf("%q in the priority string: %w", word, err)
		}
	}
	return s, nil
}

var errUnknownWord = errors.New("GnuTLS knows no such word; gnutls-cli --list prints those that there are")

// obey follows one word.
func (s *selection) obey(word string, first bool) error {
	name := strings.ToUpper(word)
	switch {
	case word == "":
		return errors.New("a word is missing")
	case name == "SYSTEM" || word[0] == '@':
		return errors.New("configuration files of GnuTLS are not read here: write what it stands for")
	case levels[name] != nil:
		s.addLevel(levels[name], first)
		return nil
	case name == "NONE" && first:
		return nil
	case word[0] == '%':
		return s.obeySpecial(word[1:])
	case word[0] == '+' && levels[name[1:]] != nil:
		s.addLevel(levels[name[1:]], first)
		return nil
	case word[0] == '+', word[0] == '-', word[0] == '!':
		return s.change(name[1:], word[0] == '+')
	}
	return errUnknownWord
}

func (s *selection) addLevel(l level, first bool) {
	for _, f := range families {
		s.lists[f].add(l[f])
	}
	if l[versions] != nil {
		return
	}
	for _, f := range families {
		s.lists[f].implied = slices.Clone(f.implied)
	}
	if first {
		s.lists[versions].add(versions.groups["ALL"])
	}
}

func (s *selection) obeySpecial(word string) error {
	if !slices.Contains(specials, word) {
		return errUnknownWord
	}
	s.noExtensions = s.noExtensions || word == "NO_EXTENSIONS"
	return nil
}

// change adds or removes what a name stands for.
func (s *selection) change(name string, add bool) error {
	if rest, is := strings.CutPrefix(name, "CTYPE-"); is {
		return s.changeCertificateType(rest, add)
	}
	if strings.HasPrefix(name, "COMP-") {
		return nil // there is no compression any more
	}
	if name == "GOST" {
		for _, part := range gost {
			if err := s.change(part, add); err != nil {
				return err
			}
		}
		return nil
	}
	if rest, is := strings.CutPrefix(name, "CURVE-"); is && slices.Contains(namesOfCurves, rest) {
		name = curves.prefix + rest
	}
	for _, f := range families {
		rest, is := strings.CutPrefix(name, f.prefix)
		if !is {
			continue
		}
		names := f.groups[rest]
		if slices.Contains(f.known, rest) {
			names = []string{rest}
		}
		switch {
		case names == nil:
			continue
		case add:
			s.lists[f].add(names)
		case slices.Contains(f.clearing, rest):
			*s.lists[f] = list{}
		default:
			s.lists[f].remove(names)
		}
		return nil
	}
	return errUnknownWord
}

// changeCertificateType adds or removes a certificate type. Only what the peer
// presents counts, which is the server in TLS.
func (s *selection) changeCertificateType(name string, add bool) error {
	isServer, isClient := false, false
	name, isServer = strings.CutPrefix(name, "SRV-")
	if !isServer {
		name, isClient = strings.CutPrefix(name, "CLI-")
	}
	switch {
	case slices.Contains(words("X.509 X509 RAWPK ALL"), name):
	case name == "OPENPGP" && !isServer && !isClient:
	default:
		return errUnknownWord
	}
	if isClient {
		return nil
	}
	if name == "RAWPK" || name == "ALL" {
		s.rawKeys = add
	}
	switch {
	case !add && (name == "OPENPGP" || name == "ALL"):
		s.openPGP = never
	case add && name == "OPENPGP":
		s.openPGP = always
	case add && name == "ALL" && s.openPGP == never:
		s.openPGP = whenNeeded
	}
	return nil
}
