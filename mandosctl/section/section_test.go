// SPDX-License-Identifier: Apache-2.0

package section

import (
	"math/rand/v2"
	"slices"
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
		"indented as a whole":                      strings.ReplaceAll("\n"+complete, "\n", "\n    "),
		"with its keys indented":                   strings.NewReplacer("\n    ", "\n        ", "\n", "\n    ").Replace(complete),
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
		if !strings.HasPrefix(strings.TrimSpace(s.Text), "[host1]\n") || !strings.HasSuffix(s.Text, "\n") || strings.Contains(s.Text, "\r") {
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
		"text":                  {"hello\n", "line 1: this line comes before the section's [NAME]"},
		"two sections":          {complete + strings.Replace(complete, "host1", "host2", 1), "line 8: a second section begins"},
		"defaults":              {"[DEFAULT]\n" + complete, "line 1: [DEFAULT] is no client"},
		"a name with an escape": {strings.Replace(complete, "[host1]", "[host\x1b1]", 1), "cannot be the name of a client"},
		"a name in blanks":      {strings.Replace(complete, "[host1]", "[ host1]", 1), "cannot be the name of a client"},
		"an empty name":         {strings.Replace(complete, "[host1]", "[]", 1), "a section begins with [NAME]"},
		"a key twice":           {complete + "Host = x\n", "line 8: this key is in line 2 already"},
		"a line without value":  {complete + "nonsense\n", "line 8: this line is not KEY = VALUE"},
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

// pieces are all pieces of that length of what may not be told, as they may come
// out of a parser that changes case.
func pieces(secret string, length int) (all []string) {
	for i := range len(secret) - length + 1 {
		all = append(all, strings.ToLower(secret[i:i+length]))
	}
	return all
}

func TestNoErrorHasAPieceOfTheSecret(t *testing.T) {
	const secret = "Zm9vYmFyYmF6cXV4cXV1eHRoaXNpc3RoZXNlY3JldG9maG9zdDE="
	lines := []string{"[host1]", "host = host1", "key_id = " + key, "fingerprint = " + fingerprint, "secret =", secret[:20], secret[20:40], secret[40:]}
	forbidden := append(pieces(secret, 8), pieces("foobarbazquxquuxthisisthesecretofhost1", 8)...)
	r := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 20000 {
		text := ""
		for i, line := range lines {
			indent := 4
			if i < 5 {
				indent = 0
			}
			switch r.IntN(12) {
			case 0:
				continue
			case 1:
				line = lines[r.IntN(len(lines))]
			case 2:
				line = strings.Map(func(c rune) rune {
					if c == '=' || c == '[' {
						return -1
					}
					return c
				}, line)
			case 3:
				line = []string{"[", "=", ":", "secret =", "key_id =", "fingerprint:", "\x1b", "%"}[r.IntN(8)] + line
			case 4:
				line += []string{"]", "=", ":", " secret", lines[r.IntN(len(lines))]}[r.IntN(5)]
			case 5:
				indent = r.IntN(6)
			}
			text += strings.Repeat(" ", indent) + line + "\n"
		}
		_, err := Parse(text)
		if err == nil {
			continue
		}
		refused++
		for _, piece := range forbidden {
			if strings.Contains(strings.ToLower(err.Error()), piece) {
				t.Fatalf("%q is in the error %q about:\n%s", piece, err, text)
			}
		}
	}
	if refused < 1000 {
		t.Errorf("only %d texts were refused", refused)
	}
}

func TestWhatBecomesACommandIsShown(t *testing.T) {
	for sentence, c := range map[string]struct {
		more string
		want []Setting
	}{
		"nothing":           {"approval_delay = PT5S\n", nil},
		"a checker":         {"checker = fping -q -- %%(host)s\n", []Setting{{"checker", "fping -q -- %%(host)s"}, {"host", "host1"}}},
		"what it refers to": {"Checker = a %(B)s %(c)s\nb = evil %(d)s\nd = deep\ne = unused\n", []Setting{{"checker", "a %(B)s %(c)s"}, {"b", "evil %(d)s"}, {"d", "deep"}}},
		"a circle":          {"checker = %(b)s\nb = %(checker)s\n", []Setting{{"checker", "%(b)s"}, {"b", "%(checker)s"}}},
		"one of many lines": {"checker = a\n  b\n", []Setting{{"checker", "a\nb"}}},
		"never the secret":  {"checker = x %(secret)s\n", []Setting{{"checker", "x %(secret)s"}}},
	} {
		s, err := Parse(complete + c.more)
		if err != nil || !slices.Equal(s.Command, c.want) {
			t.Errorf("%s: %+v, error %v", sentence, s, err)
		}
	}
}
