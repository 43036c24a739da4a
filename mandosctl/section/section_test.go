// SPDX-License-Identifier: Apache-2.0

package section

import (
	"strings"
	"testing"
)

const (
	key         = "0b500cce59ef4e343f6312a9d793adb67c0a24052752940f95b68d064b92eef8"
	fingerprint = "E75F22159C6873B47DA3AE32919202BCD0F13BAA"
	complete    = "[host1]\nhost = host1\nkey_id = " + key + "\nfingerprint = " + fingerprint + "\nsecret =\n    c2Vj\n    cmV0\n"
)

func TestWhatKeygenPrintsIsRead(t *testing.T) {
	for sentence, text := range map[string]string{
		"as it is":                                 complete,
		"with what a shell prints before":          "# Debian\n\n; another\n" + complete,
		"with the line ends of another system":     strings.ReplaceAll(complete, "\n", "\r\n"),
		"with settings that only the server knows": complete + "ssh_fingerprint = x = %%y\nchecker : ping -- %%(host)s\n",
		"with a key in groups":                     strings.Replace(complete, key, key[:32]+" "+strings.ToUpper(key[32:]), 1),
	} {
		s, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
			continue
		}
		if s.Name != "host1" || s.KeyID != strings.ToUpper(key) || s.Fingerprint != fingerprint || string(s.Secret) != "secret" || s.Host != "host1" {
			t.Errorf("%s: %+v", sentence, s)
		}
		if !strings.HasPrefix(s.Text, "[host1]\n") || !strings.HasSuffix(s.Text, "\n") || strings.Contains(s.Text, "\r") {
			t.Errorf("%s: the text is %q", sentence, s.Text)
		}
	}
}

func TestWhatIsNoClientIsRefused(t *testing.T) {
	without := func(line string) string {
		i := strings.Index(complete, line)
		return complete[:i] + complete[i+strings.IndexByte(complete[i:], '\n')+1:]
	}
	for sentence, c := range map[string]struct{ text, want string }{
		"nothing":               {"", "there is no section"},
		"only comments":         {"# nothing\n", "there is no section"},
		"binary data":           {"\x85\x01\x0c\x03", "that is no text"},
		"a NUL":                 {"[host1]\x00", "that is no text"},
		"text":                  {"hello\n", `line 1: "hello" comes before the section's [NAME]`},
		"two sections":          {complete + strings.Replace(complete, "host1", "host2", 1), "line 8: a second section begins"},
		"defaults":              {"[DEFAULT]\n" + complete, "line 1: [DEFAULT] is no client"},
		"a name with an escape": {strings.Replace(complete, "[host1]", "[host\x1b1]", 1), "cannot be the name of a client"},
		"a name in blanks":      {strings.Replace(complete, "[host1]", "[ host1]", 1), "cannot be the name of a client"},
		"an empty name":         {strings.Replace(complete, "[host1]", "[]", 1), "a section begins with [NAME]"},
		"a key twice":           {complete + "Host = x\n", "line 8: host is there twice"},
		"a line without value":  {complete + "nonsense\n", `line 8: "nonsense" is not KEY = VALUE`},
		"no key":                {strings.ReplaceAll(strings.ReplaceAll(complete, "key_id = "+key+"\n", ""), "fingerprint = "+fingerprint+"\n", ""), "key_id is missing"},
		"a short key":           {strings.Replace(complete, key, key[1:], 1), "key_id must be 64 hex digits"},
		"a key that is none":    {strings.Replace(complete, key, strings.Repeat("x", 64), 1), "key_id must be 64 hex digits"},
		"the key of nothing":    {strings.Replace(complete, key, strings.ToLower(emptyKeyID), 1), "hash of an empty file"},
		"a short fingerprint":   {strings.Replace(complete, fingerprint, fingerprint[2:], 1), "fingerprint must be 40 hex digits"},
		"no secret":             {without("secret =")[:strings.Index(complete, "secret =")], "secret is missing"},
		"half a secret":         {strings.Replace(complete, "cmV0", "cmV", 1), "secret is not base64"},
		"a secret elsewhere":    {complete + "secfile = /etc/secret\n", "secfile cannot be added"},
	} {
		if s, err := Parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, error %v, want one with %q", sentence, s, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(complete)
	f.Add("[a]b]\nkey_id:" + key + "\nsecret:\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.Text)
		if err != nil || again.Text != s.Text || again.Name != s.Name || again.KeyID != s.KeyID || string(again.Secret) != string(s.Secret) {
			t.Fatalf("%q was read as %+v, and read again as %+v, error %v", text, s, again, err)
		}
	})
}
