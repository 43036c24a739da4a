// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mandos/dbusapi/notation"
	"mandos/server/client"
)

const (
	keyID       = "788CD77115CD0BB7B2D5E0AE8496F6B48149D5E712C652076B1FD2D957EF7C1F"
	fingerprint = "64C6E3354DCF4C3B5C60DA0B0975D6F3B8BCA2F6"
)

func defaultClient(name string) client.Settings {
	return client.Settings{
		Name: name, KeyID: keyID, Secret: client.NewSecret([]byte("hello")),
		Checker: "fping -q -- %(host)s",
		Timeout: 5 * time.Minute, ExtendedTimeout: 15 * time.Minute, Interval: 2 * time.Minute,
		ApprovalDuration: time.Second, ApprovedByDefault: true, ApprovalsNeeded: 1, Handouts: "free", Enabled: true,
	}
}

func TestClients(t *testing.T) {
	const needed = "key_id = " + keyID + "\nsecret = aGVsbG8=\n"
	t.Setenv("SECRETS", "secrets")
	for name, test := range map[string]struct {
		conf string
		want []client.Settings
	}{
		"a client has defaults": {
			conf: "[foo]\n" + needed,
			want: []client.Settings{defaultClient("foo")},
		},
		"a client sets everything": {
			conf: "[foo]\nhost = foo.example.org\nkey_id = 788cd771 15cd0bb7 b2d5e0ae 8496f6b4 8149d5e7 12c65207 6b1fd2d9 57ef7c1f\n" +
				"fingerprint = 64c6 e335 4dcf 4c3b 5c60  da0b 0975 d6f3 b8bc a2f6\nsecret =\n  aGVs\n\n# comment\n  bG8=\n" +
				"timeout = P60D\nextended_timeout = 1h 30m\ninterval = PT4S\nchecker = ping -c 1 %%(host)s; echo 100%%%%\n" +
				"approval_delay = PT5M\napproval_duration = 10s\napproved_by_default = no\nenabled = off\n" +
				"approvals_needed = 3\nhandouts = granted\nhandout_limit = 3/PT1H\nallow_from = fe80::/10, interface:eth0\nrecord_required = yes\n",
			want: []client.Settings{{
				Name: "foo", Host: "foo.example.org", KeyID: keyID, Fingerprint: fingerprint, Secret: client.NewSecret([]byte("hello")),
				Checker: "ping -c 1 %(host)s; echo 100%%",
				Timeout: 60 * 24 * time.Hour, ExtendedTimeout: 90 * time.Minute, Interval: 4 * time.Second,
				ApprovalDelay: 5 * time.Minute, ApprovalDuration: 10 * time.Second, ApprovalsNeeded: 3, Handouts: "granted", HandoutLimit: "3/PT1H", AllowFrom: "fe80::/10, interface:eth0", RecordRequired: true,
				EnabledOwn: true,
			}},
		},
		"clients inherit, and are in the order of the file": {
			conf: "[zeta]\n" + needed + "[DEFAULT]\ntimeout = PT1M\nhost = %(prefix)s.example.org\n[alpha]\nprefix = a\nTIMEOUT = PT2M\n" +
				strings.Replace(needed, "7", "8", 1) + "[DEFAULT]\nprefix = www\n",
			want: []client.Settings{
				func() client.Settings {
					s := defaultClient("zeta")
					s.Timeout, s.Host = time.Minute, "www.example.org"
					return s
				}(),
				func() client.Settings {
					s := defaultClient("alpha")
					s.Timeout, s.Host = 2*time.Minute, "a.example.org"
					s.KeyID = "8" + keyID[1:]
					return s
				}(),
			},
		},
		"lower-case default is a client as any other, and so is any name that can be printed": {
			conf: "[default]\n" + needed + "[ ö b/c.d-e] ; not a part of it\n" + strings.Replace(needed, "7", "8", 1),
			want: []client.Settings{
				defaultClient("default"),
				func() client.Settings {
					s := defaultClient(" ö b/c.d-e")
					s.KeyID = "8" + keyID[1:]
					return s
				}(),
			},
		},
		"built-in defaults can be referred to": {
			conf: "[foo]\n" + needed + "extended_timeout = %(timeout)s\nchecker = nice %(checker_before)s\nchecker_before = true\n",
			want: []client.Settings{func() client.Settings {
				s := defaultClient("foo")
				s.ExtendedTimeout, s.Checker = 5*time.Minute, "nice true"
				return s
			}()},
		},
		"a secret may come from a reference and wins over a file": {
			conf: "[foo]\nkey_id = " + keyID + "\nsecret = %(blob)s\nblob = aGVs\n\n  bG8=\nsecfile = /nonexistent\n",
			want: []client.Settings{defaultClient("foo")},
		},
		"a fingerprint is enough": {
			conf: "[foo]\nfingerprint = " + fingerprint + "\nsecret = aGVsbG8=\n",
			want: []client.Settings{func() client.Settings {
				s := defaultClient("foo")
				s.KeyID, s.Fingerprint = "", fingerprint
				return s
			}()},
		},
		"a secret file is read as it is": {
			conf: "[foo]\nkey_id = " + keyID + "\nsecfile = DIR/${SECRETS}/foo\n",
			want: []client.Settings{func() client.Settings {
				s := defaultClient("foo")
				s.Secret = client.NewSecret([]byte("\x00raw %(x)s\n"))
				return s
			}()},
		},
		"without sections there are no clients": {
			conf: "[DEFAULT]\ntimeout = never mind\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := files(t, map[string]string{"secrets/foo": "\x00raw %(x)s\n"})
			conf := strings.ReplaceAll(test.conf, "DIR", dir)
			if err := os.WriteFile(filepath.Join(dir, "clients.conf"), []byte(conf), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, err := run("--configdir", dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, loaded.Clients, cmpopts.EquateComparable(client.Secret{})); diff != "" {
				t.Error(diff)
			}
			checkWarnings(t, dir, loaded, nil)
		})
	}
}

// TestRealSecrets reads what mandos-keygen wrote, once as it stands and once
// with blank lines and comments inside the secrets.
func TestRealSecrets(t *testing.T) {
	data, err := os.ReadFile("testdata/clients.conf")
	if err != nil {
		t.Fatal(err)
	}
	read := func(conf string) []client.Settings {
		loaded, err := run("--configdir", files(t, map[string]string{"clients.conf": conf}))
		if err != nil {
			t.Fatal(err)
		}
		return loaded.Clients
	}
	plain := read(string(data))
	if len(plain) != 2 {
		t.Fatalf("%d clients", len(plain))
	}
	for _, c := range plain {
		if c.Secret.Len() != 1183 {
			t.Errorf("[%s] has a %s", c.Name, c.Secret)
		}
	}
	spaced := read(strings.ReplaceAll(string(data), "\n    ", "\n\n  # comment\n    "))
	if diff := cmp.Diff(plain, spaced, cmpopts.EquateComparable(client.Secret{})); diff != "" {
		t.Error(diff)
	}
}

func TestFilesOfClientsD(t *testing.T) {
	section := func(name string, digit string) string {
		return "[" + name + "]\nkey_id = " + digit + keyID[1:] + "\nsecret = aGVsbG8=\n"
	}
	dir := files(t, map[string]string{
		"clients.conf":              "[DEFAULT]\ntimeout = PT1M\nhost = from clients.conf\n" + section("main", "0"),
		"clients.d/20-b.conf":       section("b", "1"),
		"clients.d/10-c.conf":       "[DEFAULT]\ntimeout = PT2M\n" + section("c", "2"),
		"clients.d/a":               "junk",
		"clients.d/a.conf~":         "junk",
		"clients.d/a.conf.bak":      "junk",
		"clients.d/.#a.conf":        "junk",
		"clients.d/.a.conf":         "junk",
		"clients.d/#a.conf#":        "junk",
		"clients.d/more/below.conf": "junk",
	})
	loaded, err := run("--configdir", dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range loaded.Clients {
		got = append(got, fmt.Sprint(c.Name, " ", c.Timeout, " ", c.Host))
	}
	want := []string{"main 1m0s from clients.conf", "c 2m0s from clients.conf", "b 1m0s from clients.conf"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsInClients(t *testing.T) {
	const needed = "key_id = " + keyID + "\nsecret = aGVsbG8=\n"
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"all errors are told at once, each in its place": {
			files: map[string]string{
				"mandos.conf": "[DEFAULT]\nport = x\n",
				"clients.conf": "[DEFAULT]\ninterval = PT0S\nchecker = ping %%(hots)s\n" +
					"[foo]\n[bar]\n" + needed + "timeout = 5 minutes\nextended_timeout = -5m\napproval_delay = P999Y\nenabled =\n" +
					"host = 5% off\nunknown = %(none)s\nchecker = 100%%\n[baz]\nfingerprint =\nsecret = abc\napproved_by_default = perhaps\n",
				"clients.d/a.conf": "[foo]\n[qux]\nkey_id = %(id)s\nsecfile = /nonexistent/file\ntimeout = %(timeout)s\n",
			},
			want: []string{
				`clients.conf:2: [DEFAULT] interval: the interval is no time at all, and checkers cannot be started without a pause; write for example PT2M (this is about client "foo")`,
				`clients.conf:3: [DEFAULT] checker: unknown attribute in "%(hots)s"; known are approval_delay, approval_duration, created, dbus_object_path, enabled, expires, fingerprint, host, interval, key_id, last_approval_request, last_checked_ok, last_enabled, name, timeout (this is about client "foo")`,
				`clients.conf:4: [foo] key_id: the client has neither key_id nor fingerprint; write key_id = and the 64 hex digits that mandos-keygen prints on the client`,
				`clients.conf:4: [foo] secret: the client has neither secret nor secfile; write secret = and the base64 text that mandos-keygen --password prints on the client`,
				`clients.conf:8: [bar] timeout: "5 minutes" is not a duration; write for example PT5M (five minutes), PT1H30M, P3D or P2W`,
				`clients.conf:9: [bar] extended_timeout: "-5m" is a negative duration; write for example PT5M (five minutes)`,
				`clients.conf:10: [bar] approval_delay: "P999Y" is longer than 50 years; write less`,
				`clients.conf:11: [bar] enabled: "" is not a boolean; write yes, true, on or 1, or else no, false, off or 0`,
				`clients.conf:12: [bar] host: a percent sign must be doubled (%%) or start %(name)s`,
				`clients.conf:13: [bar]: "%(none)s" refers to a setting that is neither here nor in [DEFAULT]; add it, or double the percent sign if it is for the time when the checker is run`,
				`clients.conf:14: [bar] checker: a % sign must start %(attribute)s or be doubled (in clients.conf: %%(attribute)s, or %%%% for a plain %): "%"`,
				`clients.conf:17: [baz] secret: the secret is not base64: it is cut off, or has characters too many; copy it anew`,
				`clients.conf:18: [baz] approved_by_default: "perhaps" is not a boolean; write yes, true, on or 1, or else no, false, off or 0`,
				`clients.d/a.conf:1: [foo]: this client is defined in clients.conf:4: [foo] already; remove or rename one of the two`,
				`clients.d/a.conf:3: [qux] key_id: "%(id)s" refers to a setting that is neither here nor in [DEFAULT]; add it, or double the percent sign if it is for the time when the checker is run`,
				`clients.d/a.conf:4: [qux] secfile: "/nonexistent/file": cannot be read: no such file or directory`,
				`clients.d/a.conf:5: [qux] timeout: the %(name)s references go in a circle, or deeper than 10; break the chain`,
				`mandos.conf:2: [DEFAULT] port: "x" is not a whole number from 0 to 65535`,
			},
		},
		"a client is defined once in a file": {
			files: map[string]string{"clients.conf": "[foo]\n" + needed + "[foo]\n"},
			want:  []string{`clients.conf:4: [foo]: this client is defined in clients.conf:1: [foo] already; remove or rename one of the two`},
		},
		"a name must be printable": {
			files: map[string]string{"clients.conf": "[fo\x1bo]\n" + needed},
			want:  []string{`clients.conf:1: [fo\x1bo]: the name has a character that cannot be printed; write another name`},
		},
		"nothing is longer than the server can use": {
			files: map[string]string{"clients.conf": "[" + strings.Repeat("n", 33_000) + "]\n" + needed +
				"[host]\n" + needed + "host = " + strings.Repeat("x", 4097) + "\n" +
				"[checker]\n" + needed + "checker = " + strings.Repeat("x", 131_072) + "\n" +
				"[expanded]\n" + needed + "host = " + strings.Repeat("x", 4096) + "\nchecker = " + strings.Repeat("%%(host)s", 40) + "\n" +
				"[secret]\nkey_id = " + keyID + "\nsecret = " + strings.Repeat("QUFB", 1<<20/3+1) + "\n" +
				"[key]\nkey_id = " + strings.Repeat("A", 256) + "\nsecret = aGVsbG8=\nfingerprint = " + strings.Repeat("A", 256) + "\n" +
				"[long]\n" + needed + "timeout = P51Y\ninterval = P50Y\n"},
			want: []string{
				"clients.conf:1: [" + strings.Repeat("n", 255) + "...]: the name is longer than 255 bytes; write a shorter one",
				"clients.conf:7: [host] host: the host is longer than 4096 bytes; make it shorter",
				"clients.conf:11: [checker] checker: the checker is longer than 131071 bytes; make it shorter",
				"clients.conf:16: [expanded] checker: the checker, with its attributes expanded, is longer than 131071 bytes; make it shorter",
				"clients.conf:19: [secret] secret: the secret is longer than 1048576 bytes; make it shorter",
				"clients.conf:21: [key] key_id: the key_id is longer than 255 bytes; make it shorter",
				"clients.conf:23: [key] fingerprint: the fingerprint is longer than 255 bytes; make it shorter",
				`clients.conf:27: [long] timeout: "P51Y" is longer than 50 years; write less`,
			},
		},
		"nothing may show the secret": {
			files: map[string]string{"clients.conf": "[foo]\n" + needed + "checker = echo %(x)s\nx = %(Secret)s\n"},
			want: []string{
				`clients.conf:4: [foo] checker: "%(secret)s" would show the secret; no other setting may refer to it`,
				`clients.conf:5: [foo]: "%(secret)s" would show the secret; no other setting may refer to it`,
			},
		},
		"an expansion has its limit": {
			files: map[string]string{"clients.conf": "[foo]\n" + needed +
				"a = " + strings.Repeat("x", 1000) + "\nb = " + strings.Repeat("%(a)s", 100) + "\nc = " + strings.Repeat("%(b)s", 100) + "\n"},
			want: []string{`clients.conf:6: [foo]: the value grows beyond 4194304 bytes when its %(name)s references are expanded; write a shorter one`},
		},
		"references to nothing have their limit, too": {
			files: map[string]string{"clients.conf": "[foo]\n" + needed +
				"a =\nb = " + strings.Repeat("%(a)s", 200) + "\nc = " + strings.Repeat("%(b)s", 200) + "\n"},
			want: []string{`clients.conf:6: [foo]: the value has more than 10000 %(name)s references; write a simpler one`},
		},
	} {
		t.Run(name, func(t *testing.T) { checkErrors(t, test.files, nil, test.want) })
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := files(t, map[string]string{"clients.d/d.conf/x": "", "large": ""})
	for _, path := range []string{"clients.conf", "clients.d/pipe.conf", "secret-pipe"} {
		if err := syscall.Mkfifo(filepath.Join(dir, path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "clients.d/link.conf")); err != nil {
		t.Fatal(err)
	}
	for path, size := range map[string]int64{"mandos.conf": maxFile + 1, "large": client.MaxSecret + 1} {
		file, err := os.Create(filepath.Join(dir, path))
		if err == nil {
			err = errors.Join(file.Truncate(size), file.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf("[DEFAULT]\nkey_id=1\n[a]\nsecfile = %[1]s/secret-pipe\n[b]\nsecfile = %[1]s/large\n[c]\nsecfile = %[1]s\n[d]\nsecfile = aGVsbG8=\n", dir)
	if err := os.WriteFile(filepath.Join(dir, "clients.d/z.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := run("--configdir", dir)
	var got Errors
	if !errors.As(err, &got) {
		t.Fatal(err)
	}
	want := []string{
		`clients.conf: not a regular file; put one there`,
		`clients.d/d.conf: not a regular file; put one there`,
		`clients.d/link.conf: cannot be read: no such file or directory`,
		`clients.d/pipe.conf: not a regular file; put one there`,
		`clients.d/z.conf:4: [a] secfile: "secret-pipe": not a regular file; put one there`,
		`clients.d/z.conf:6: [b] secfile: "large": larger than 1048576 bytes; make it smaller`,
		`clients.d/z.conf:8: [c] secfile: "": not a regular file; put one there`,
		`clients.d/z.conf:10: [d] secfile: the file named here: cannot be read: no such file or directory`,
		`mandos.conf: larger than 67108864 bytes; make it smaller`,
	}
	short := strings.NewReplacer(dir+"/", "", dir, "")
	if diff := cmp.Diff(want, strings.Split(short.Replace(got.Error()), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestClientsDThatIsNoDirectory(t *testing.T) {
	checkErrors(t, map[string]string{"clients.d": ""}, nil, []string{"clients.d: cannot be read: not a directory"})
}

func TestWarningsAboutClients(t *testing.T) {
	dir := files(t, map[string]string{
		"clients.conf": "[DEFAULT]\ntime_out = PT1M\nfingerprint = 12\nssh_fingerprint = x\n" +
			"[none]\nfingerprint =\nsecret =\n" +
			"[bad]\nkey_id = 01\nsecret = aGVsbG8= and more\n" +
			"[empty]\nkey_id = e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nsecfile = DIR/empty\n" +
			"[same]\nkey_id = 0 1\nsecret = aGVsbG8=\ntimeout = PT0S\n" +
			"[bare]\nsecret = aGVsbG8=\nhots = a\nhost = %(hots)s\n",
		"clients.d/x.conf": "[bare too]\nsecret = aGVsbG8=\n",
		"empty":            "",
	})
	path := filepath.Join(dir, "clients.conf")
	data, err := os.ReadFile(path)
	if err == nil {
		err = errors.Join(
			os.WriteFile(path, []byte(strings.ReplaceAll(string(data), "DIR", dir)), 0o600),
			os.Chmod(path, 0o644), os.Chmod(filepath.Join(dir, "empty"), 0o604))
	}
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := run("--configdir", dir)
	if err != nil {
		t.Fatal(err)
	}
	checkWarnings(t, dir, loaded, []string{
		`clients.conf: this file can be read by every user of this machine; chmod o-r it`,
		`clients.conf:2: [DEFAULT]: the key "time_out" is unknown and ignored; was "timeout" meant?`,
		`clients.conf:3: [DEFAULT] fingerprint: another client, at clients.conf:18: [bare], has the same and is found first, and neither gets its secret if either is disabled; give each client its own`,
		`clients.conf:3: [DEFAULT] fingerprint: this is not 40 hex digits and can never match; write the fingerprint that mandos-keygen prints on the client`,
		`clients.conf:5: [none] key_id: the client has neither a key_id nor a fingerprint and can never match; write the key_id that mandos-keygen prints on the client`,
		`clients.conf:7: [none] secret: the secret is empty, so that nothing would be handed out`,
		`clients.conf:9: [bad] key_id: this is not 64 hex digits and can never match; write the key_id that mandos-keygen prints on the client`,
		`clients.conf:10: [bad] secret: parts of this are not base64 and are ignored; copy the secret anew from mandos-keygen --password`,
		`clients.conf:12: [empty] key_id: this is the key ID of an empty key, an error of mandos-keygen 1.8.0, and can never match; run mandos-keygen again on the client`,
		`clients.conf:13: [empty] secfile: "empty" can be read by every user of this machine; chmod o-r it`,
		`clients.conf:13: [empty] secfile: the secret is empty, so that nothing would be handed out`,
		`clients.conf:15: [same] key_id: another client, at clients.conf:8: [bad], has the same and is found first, and neither gets its secret if either is disabled; give each client its own`,
		`clients.conf:15: [same] key_id: this is not 64 hex digits and can never match; write the key_id that mandos-keygen prints on the client`,
		`clients.conf:17: [same] timeout: a timeout of nothing disables the client the moment it is enabled; write for example PT5M`,
	})
}

func TestRelativeSecretFile(t *testing.T) {
	dir := files(t, map[string]string{"clients.conf": "[foo]\nkey_id = " + keyID + "\nsecfile = secret\n", "secret": "hello"})
	t.Chdir(dir)
	loaded, err := run("--configdir", dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]client.Settings{defaultClient("foo")}, loaded.Clients, cmpopts.EquateComparable(client.Secret{})); diff != "" {
		t.Error(diff)
	}
	checkWarnings(t, dir, loaded, []string{
		`clients.conf:3: [foo] secfile: which file this is depends on the directory that the server is started in; write the whole path`,
	})
}

// TestSecretsStaySecret breaks a file with secrets in many ways, and looks for
// any piece of them in what is told about it.
func TestSecretsStaySecret(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var failed int
	for range 500 {
		secret := make([]byte, 300)
		for i := range secret {
			secret[i] = byte(r.Uint32())
		}
		text := base64.StdEncoding.EncodeToString(secret)
		var conf strings.Builder
		conf.WriteString("[foo]\nkey_id = " + keyID + "\nhost = %(key_id)s\n" + pick(r, "", "timeout = %(secret)s\n", "checker = echo %(secret)s %%\n"))
		conf.WriteString(pick(r, "secret =", "secret", "SECRET:", "secfile =", "timeout = PT5M\nsecret = %", "secrets =", "[secret"))
		for line := range strings.SplitSeq(text, "") {
			if r.IntN(40) == 0 {
				conf.WriteString(pick(r, "\n", "\n  ", "\n    ", "\n\n", "\n#", "\n = ", " =%", "\n[", "%(", "%", "%%", ":", "=", "\nsecret = "))
			}
			conf.WriteString(line)
		}
		loaded, err := run("--configdir", files(t, map[string]string{"clients.conf": conf.String()}))
		told := fmt.Sprint(err)
		var errs Errors
		if errors.As(err, &errs) {
			failed++
			told += fmt.Sprintf("%v %+v %#v", errs, []Error(errs), errs)
		}
		told += fmt.Sprintf("%v %+v %#v %x", loaded, loaded, loaded.Warnings, loaded.Clients[0].Secret)
		for i := range len(text) - 8 {
			if piece := text[i : i+8]; strings.Contains(told, piece) || strings.Contains(told, strings.ToLower(piece)) {
				t.Fatalf("%q is told:\n%s\nof\n%s", piece, told, conf.String())
			}
		}
	}
	if failed < 100 {
		t.Errorf("only %d of the broken files are errors", failed)
	}
}

func FuzzClients(f *testing.F) {
	for _, text := range []string{
		"", "[foo]\nkey_id = 1\nsecret = QUJD\n", "[DEFAULT]\na: %(b)s\nb: %%\n[x]\n", "[x]\na = %(a)s\n", "[]]\n= x", "k = v",
		"[x]\n\"k\" = `v`\n\n  more\n", "\ufeff[x]", "[x]\r\nsecret =\r\n  QUJD\r\n\r\n  QUJD\r\n", "[x]\ntimeout = P99999Y\nchecker = %%x\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		problems := newFindings()
		doc := parse(problems, "clients.conf", text, knownClientKeys)
		r := clientReader{findings: problems, sections: map[string]*section{}, owners: map[string]*section{}, referred: map[string]bool{}}
		for _, s := range append(doc.sections, doc.defaults) {
			// Reading other files is not for a fuzzer.
			delete(s.settings, "secfile")
			for i, key := range s.keys {
				if key == "secfile" {
					s.keys = append(s.keys[:i:i], s.keys[i+1:]...)
					break
				}
			}
		}
		r.interpret(doc, doc.defaults, clientDefaults)
		_ = problems.warningList()
		if problems.err() != nil {
			return
		}
		for _, c := range r.clients {
			if c.Interval <= 0 || c.Timeout < 0 || len(c.Faults()) > 0 {
				t.Errorf("accepted %+v", c)
			}
		}
	})
}

func BenchmarkLoad10000Clients(b *testing.B) {
	var conf strings.Builder
	secret := strings.Repeat("    "+strings.Repeat("QUJD", 16)+"\n", 30)
	for i := range 10_000 {
		fmt.Fprintf(&conf, "[client-%d]\nhost = client-%[1]d\nkey_id = %064[1]X\nsecret =\n%s", i, secret)
	}
	dir := files(b, map[string]string{"clients.conf": conf.String()})
	for b.Loop() {
		if loaded, err := run("--configdir", dir); err != nil || len(loaded.Clients) != 10_000 {
			b.Fatal(err)
		}
	}
}

func TestTheLongestDurationIsTheSameOnTheBusAndInTheFiles(t *testing.T) {
	if notation.MaxDuration != client.MaxDuration {
		t.Errorf("it is %v and %v", client.MaxDuration, notation.MaxDuration)
	}
}
