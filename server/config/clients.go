// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"mandos/dbusapi/notation"
	"mandos/server/client"
)

const maxClients = 100_000

// privateKeys are those that no other setting may refer to.
var privateKeys = map[string]bool{"secret": true}

// enabledKey says whether a client is valid, which is no setting of its: what
// is said of a client's validity is weighed against what is known of it.
const enabledKey, enabledDefault = "enabled", "True"

// plainSettings are those whose text is the value; keys, secrets and files of secrets are
// read with more care.
var plainSettings = func() (plain []*client.Setting) {
	for i := range client.AllSettings {
		if s := &client.AllSettings[i]; !s.Own {
			plain = append(plain, s)
		}
	}
	return plain
}()

// knownClientKeys are all keys of mandos-clients.conf(5).
var knownClientKeys = func() []string {
	keys := []string{"secfile", enabledKey}
	for i := range client.AllSettings {
		keys = append(keys, client.AllSettings[i].Key)
	}
	return keys
}()

// clientDefaults is the section that every other one inherits from.
var clientDefaults = func() *section {
	s := newSection("", 0, "DEFAULT")
	for _, plain := range plainSettings {
		s.keys = append(s.keys, plain.Key)
		s.settings[plain.Key] = setting{raw: plain.Default}
	}
	s.keys = append(s.keys, enabledKey)
	s.settings[enabledKey] = setting{raw: enabledDefault}
	return s
}()

// clientReader reads all files of clients.
type clientReader struct {
	*findings
	judge    func(client.Settings) []Remark // may be nil
	clients  []client.Settings
	sections map[string]*section // by client name
	// owners has the client that an identity belongs to, the first in order.
	owners map[string]*section
	// referred collects the names that are referred to anywhere.
	referred map[string]bool
}

// readClients reads clients.conf and then clients.d/*.conf by name. Each of the
// latter may have a [DEFAULT] of its own, which inherits from that of
// clients.conf. It also reports whether clients.conf is missing, and where each client is.
func readClients(f *findings, file string, judge func(client.Settings) []Remark) (clients []client.Settings, missing bool, places map[string]string) {
	r := clientReader{findings: f, judge: judge, sections: map[string]*section{}, owners: map[string]*section{}, referred: map[string]bool{}}
	missing = r.isMissing(file)
	main := r.document(file)
	r.interpret(main, main.defaults, clientDefaults)
	docs := []*document{main}
	for _, file := range r.listFiles(filepath.Join(filepath.Dir(file), "clients.d")) {
		doc := r.document(file)
		r.interpret(doc, doc.defaults, main.defaults, clientDefaults)
		docs = append(docs, doc)
	}
	for _, doc := range docs {
		for _, s := range append(doc.sections, doc.defaults) {
			warnOfNearMisses(f, s, knownClientKeys, r.referred)
		}
	}
	return r.clients, missing, r.places()
}

// places are where the sections of the clients are, by name.
func (r *clientReader) places() map[string]string {
	places := make(map[string]string, len(r.sections))
	for name, s := range r.sections {
		places[name] = Place{File: s.file, Line: s.line}.String()
	}
	return places
}

// isMissing reports whether there is no such file. A link to nowhere is an error:
// something was meant to be there.
func (r *clientReader) isMissing(file string) bool {
	_, err := os.Stat(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if _, err := os.Lstat(file); err == nil {
		r.errorf(Place{File: file}, "it is a link to a file that does not exist; put the file back, or remove the link")
	}
	return true
}

func (r *clientReader) document(file string) *document {
	doc, mode := readDocument(r.findings, file, knownClientKeys)
	warnIfPublic(r.findings, Place{File: file}, "this file", mode)
	return doc
}

// listFiles gives the *.conf files of clients.d in the order of their names.
// Hidden ones are left out, which editors make.
func (r *clientReader) listFiles(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.errorf(Place{File: dir}, "%v", withoutPath(err))
	}
	var files []string
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".conf") || strings.HasPrefix(name, ".") {
			continue
		}
		file := filepath.Join(dir, name)
		// Unlike clients.conf, which may be missing, this was found; but it may
		// be a link to nowhere.
		if _, err := os.Stat(file); err != nil {
			r.errorf(Place{File: file}, "%v", withoutPath(err))
			continue
		}
		files = append(files, file)
	}
	return files
}

// interpret makes clients of the sections of doc.
func (r *clientReader) interpret(doc *document, defaults ...*section) {
	for _, s := range doc.sections {
		if first, ok := r.sections[s.name]; ok {
			r.errorf(s.place(""), "this client is defined in %s already; remove or rename one of the two", first.place(""))
			continue
		}
		r.sections[s.name] = s
		if len(r.sections) > maxClients {
			r.errorf(Place{File: s.file}, "there are more than %d clients; use fewer", maxClients)
			return
		}
		one := clientSection{findings: r.findings, section: s, values: map[string]string{}}
		one.scope = &scope{
			sections: append([]*section{s}, defaults...),
			private:  privateKeys,
			referred: r.referred,
		}
		settings := one.interpret()
		if r.judge != nil {
			one.warn(r.judge(settings))
		}
		r.warnIfTaken(&one, settings)
		r.clients = append(r.clients, settings)
	}
}

// warnIfTaken tells of an identity which an earlier client has as well. A
// fingerprint counts for clients without a key ID only.
func (r *clientReader) warnIfTaken(one *clientSection, settings client.Settings) {
	key, identity := "key_id", settings.KeyID
	if identity == "" {
		key, identity = "fingerprint", settings.Fingerprint
	}
	if identity == "" {
		return
	}
	owner, taken := r.owners[key+" "+identity]
	if !taken {
		r.owners[key+" "+identity] = one.section
		return
	}
	r.warnf(one.place(key), "another client, at %s, has the same and is found first, and neither gets its secret if either is disabled; give each client its own", owner.place(""))
}

// clientSection is one client being interpreted.
type clientSection struct {
	*findings
	section *section
	scope   *scope
	values  map[string]string // expanded; without those that are wrong
	// alone says that the section was read by itself, see [ReadSection].
	alone bool
}

// place is where a key is set for this client, or should be.
func (c *clientSection) place(key string) Place {
	if found, ok := c.scope.lookup(key); ok && found.Place != (Place{}) {
		return found.Place
	}
	return c.section.place(key)
}

// doubt warns of something that makes the client useless. A section by itself is of a
// client that is yet to be, for which it is an error.
func (c *clientSection) doubt(key, format string, args ...any) {
	if c.alone {
		c.errorf(c.place(key), format, args...)
		return
	}
	c.warnf(c.place(key), format, args...)
}

// wrong reports an error about the value of key. It shows the value as it was
// written, never as it was expanded.
func (c *clientSection) wrong(key, format string, args ...any) {
	place := c.place(key)
	if place.Section != c.section.name {
		format += " (this is about client %s)"
		args = append(args, quote(c.section.name))
	}
	c.errorf(place, format, args...)
}

func (c *clientSection) interpret() client.Settings {
	settings := client.Settings{Name: c.section.name}
	if strings.ContainsFunc(settings.Name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		c.errorf(c.section.place(""), "the name has a character that cannot be printed; write another name")
	}
	if len(settings.Name) > client.MaxName {
		c.errorf(c.section.place(""), "the name is longer than %d bytes; write a shorter one", client.MaxName)
	}
	c.scope.each(c.expand)
	for _, plain := range plainSettings {
		c.read(plain.Key, func(value string) error { return plain.Parse(&settings, value) })
	}
	c.read(enabledKey, func(value string) (err error) {
		settings.Enabled, err = notation.ParseBool(value)
		return err
	})
	settings.EnabledOwn = c.isOwn(enabledKey)
	c.readIdentity(&settings)
	c.readSecret(&settings)
	c.check(settings)
	return settings
}

// read has the value of key parsed, if there is one. The error completes a sentence that
// begins with the value.
func (c *clientSection) read(key string, parse func(value string) error) {
	value, ok := c.values[key]
	if !ok {
		return
	}
	if err := parse(value); err != nil {
		found, _ := c.scope.lookup(key)
		c.wrong(key, "%s %v", quote(found.raw), err)
		delete(c.values, key)
	}
}

// isOwn reports whether the value of key is written in the client's own section,
// all of it.
func (c *clientSection) isOwn(key string) bool {
	own, ok := c.section.settings[key]
	return ok && !strings.Contains(own.raw, "%")
}

// warn tells remarks about settings that could be read.
func (c *clientSection) warn(remarks []Remark) {
	for _, remark := range remarks {
		key := remark.Key
		if key == "secret" {
			key = c.secretKey()
		}
		if _, ok := c.values[key]; !ok {
			continue
		}
		if remark.Unfit {
			c.doubt(key, "%s", remark.Problem)
			continue
		}
		c.warnf(c.place(key), "%s", remark.Problem)
	}
}

func (c *clientSection) expand(key, raw string) {
	value, err := c.scope.expand(raw)
	switch {
	case err == nil:
		c.values[key] = value
	case c.alone && errors.Is(err, errNoReferent):
		// It may be in [DEFAULT] of clients.conf.
	case key == "secret":
		// The error would quote from the secret.
		c.wrong(key, "a percent sign in it cannot be expanded; write the base64 text itself")
	default:
		c.wrong(key, "%v", err)
	}
}

// check looks at what has been read without error.
func (c *clientSection) check(settings client.Settings) {
	for _, fault := range settings.Faults() {
		if key := c.keyOf(fault.Setting); key != "" {
			c.wrong(key, "%s", strings.TrimPrefix(fault.Err.Error(), key+": "))
		}
	}
	if _, ok := c.values["timeout"]; ok && settings.Timeout == 0 {
		c.warnf(c.place("timeout"), "a timeout of nothing disables the client the moment it is enabled; write for example PT5M")
	}
}

// keyOf is the key whose value became that setting, if it could be read.
func (c *clientSection) keyOf(s *client.Setting) string {
	if s.Property == client.PropSecret {
		return c.secretKey()
	}
	if _, read := c.values[s.Key]; !read {
		return ""
	}
	return s.Key
}

// secretKey is the key that the secret comes from.
func (c *clientSection) secretKey() string {
	if _, ok := c.scope.lookup("secret"); ok {
		return "secret"
	}
	return "secfile"
}

var (
	keyIDFormat       = regexp.MustCompile(`^[0-9A-F]{64}$`)
	fingerprintFormat = regexp.MustCompile(`^[0-9A-F]{40}$`)
)

// emptyKeyID is the SHA-256 of nothing, which mandos-keygen 1.8.0 wrote by
// mistake. The server answers to no such key.
const emptyKeyID = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"

func (c *clientSection) readIdentity(settings *client.Settings) {
	settings.KeyID = normaliseHex(c.values["key_id"])
	settings.Fingerprint = normaliseHex(c.values["fingerprint"])

	_, hasKeyID := c.scope.lookup("key_id")
	_, hasFingerprint := c.scope.lookup("fingerprint")
	switch {
	case !hasKeyID && !hasFingerprint:
		c.errorf(c.section.place("key_id"), "the client has neither key_id nor fingerprint; write key_id = and the 64 hex digits that mandos-keygen prints on the client")
		return
	case settings.KeyID == "" && settings.Fingerprint == "":
		c.doubt("key_id", "the client has neither a key_id nor a fingerprint and can never match; write the key_id that mandos-keygen prints on the client")
		return
	}
	switch {
	case settings.KeyID == "":
	case settings.KeyID == emptyKeyID:
		c.doubt("key_id", "this is the key ID of an empty key, an error of mandos-keygen 1.8.0, and can never match; run mandos-keygen again on the client")
	case !keyIDFormat.MatchString(settings.KeyID):
		c.doubt("key_id", "this is not 64 hex digits and can never match; write the key_id that mandos-keygen prints on the client")
	}
	if settings.Fingerprint != "" && !fingerprintFormat.MatchString(settings.Fingerprint) {
		c.doubt("fingerprint", "this is not 40 hex digits and can never match; write the fingerprint that mandos-keygen prints on the client")
	}
}

func normaliseHex(s string) string { return strings.ReplaceAll(strings.ToUpper(s), " ", "") }

func (c *clientSection) readSecret(settings *client.Settings) {
	if _, ok := c.scope.lookup("secfile"); ok && c.alone {
		c.errorf(c.place("secfile"), "it names a file, which was not sent along; write secret instead, or put the section into clients.conf by hand")
		return
	}
	if _, ok := c.scope.lookup("secret"); ok {
		text, ok := c.values["secret"]
		if !ok {
			return
		}
		decoded, skipped, err := decodeBase64(text)
		if err != nil {
			c.wrong("secret", "the secret %v", err)
			return
		}
		if skipped {
			c.doubt("secret", "parts of this are not base64 and are ignored; copy the secret anew from mandos-keygen --password")
		}
		c.setSecret(settings, "secret", decoded)
		return
	}
	if _, ok := c.scope.lookup("secfile"); !ok {
		c.errorf(c.section.place("secret"), "the client has neither secret nor secfile; write secret = and the base64 text that mandos-keygen --password prints on the client")
		return
	}
	if path, ok := c.values["secfile"]; ok {
		c.readSecfile(settings, expandPath(path))
	}
}

func (c *clientSection) readSecfile(settings *client.Settings, path string) {
	shown := quotePath(path)
	if isPath(path) {
		c.files[path] = c.place("secfile")
	}
	data, mode, err := readFile(path, client.MaxSecret)
	if err != nil {
		c.wrong("secfile", "%s: %v%s", shown, err, hiddenBySystemd(path, err))
		return
	}
	if !filepath.IsAbs(path) {
		c.warnf(c.place("secfile"), "which file this is depends on the directory that the server is started in; write the whole path")
	}
	warnIfPublic(c.findings, c.place("secfile"), shown, mode)
	c.setSecret(settings, "secfile", data)
}

// quotePath shows a path in an error, unless it may be a secret that was put in the
// wrong place.
func quotePath(path string) string {
	if filepath.IsAbs(path) && isPath(path) {
		return strconv.Quote(path)
	}
	return "the file named here"
}

// isPath reports whether what stands there for a path names a place that there is, or
// at least is short enough to be nothing but a path.
func isPath(path string) bool {
	if _, err := os.Lstat(path); err == nil {
		return true
	}
	dir := filepath.Dir(path)
	_, err := os.Stat(dir)
	return filepath.IsAbs(path) && (err == nil && dir != "/" || quote(path) == strconv.Quote(path))
}

func (c *clientSection) setSecret(settings *client.Settings, key string, secret []byte) {
	if len(secret) == 0 {
		c.doubt(key, "the secret is empty, so that nothing would be handed out")
	}
	settings.Secret = client.NewSecret(secret)
}
