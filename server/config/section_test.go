// SPDX-License-Identifier: Apache-2.0

package config

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mandos/server/client"
)

const (
	newKeyID       = "0b500cce59ef4e343f6312a9d793adb67c0a24052752940f95b68d064b92eef8"
	newFingerprint = "E75F22159C6873B47DA3AE32919202BCD0F13BAA"
	complete       = "[host1]\nhost = host1\nkey_id = " + newKeyID + "\nfingerprint = " + newFingerprint + "\nsecret =\n    c2Vj\n    cmV0\n"
)

// satisfied finds nothing wrong with any client.
func satisfied(client.Settings) []Remark { return nil }

func TestWhatKeygenPrintsIsRead(t *testing.T) {
	for sentence, text := range map[string]string{
		"as it is":                                 complete,
		"with what a shell prints before":          "# Debian\n\n; another\n" + complete,
		"with the line ends of another system":     strings.ReplaceAll(complete, "\n", "\r\n"),
		"with settings that only the server knows": complete + "ssh_fingerprint = x = %%y\nchecker : ping -- %%(host)s\n",
		"indented as a whole":                      strings.ReplaceAll("\n"+complete, "\n", "\n    "),
		"with its keys indented":                   strings.NewReplacer("\n    ", "\n        ", "\n", "\n    ").Replace(complete),
		"with a key in groups":                     strings.Replace(complete, newKeyID, newKeyID[:32]+" "+strings.ToUpper(newKeyID[32:]), 1),
	} {
		s, err := ReadSection(text, satisfied)
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
			continue
		}
		if s.Settings.Name != "host1" || s.Settings.KeyID != strings.ToUpper(newKeyID) || s.Settings.Fingerprint != newFingerprint || string(s.Settings.Secret.Bytes()) != "secret" || s.Settings.Host != "host1" {
			t.Errorf("%s: %+v", sentence, s)
		}
		if !strings.HasPrefix(strings.TrimSpace(s.Text), "[host1]\n") || !strings.HasSuffix(s.Text, "\n") || strings.Contains(s.Text, "\r") {
			t.Errorf("%s: the text is %q", sentence, s.Text)
		}
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	const text = "# mandos-keygen\n[host1]\ntimeout = soon\ninterval = 5\nkey_id = 00\nsecfile = /etc/shadow\nchecker = 100%\n"
	_, err := ReadSection(text, satisfied)
	want := ":3: [host1] timeout: \"soon\" is not a duration\n:4: [host1] interval: \"5\" is not a duration\n:5: [host1] key_id: this is not 64 hex digits\n" +
		":6: [host1] secfile: it names a file\n:7: [host1] checker: a percent sign must be doubled"
	var got []string
	for i, line := range strings.Split(err.Error(), "\n") {
		if wanted := strings.Split(want, "\n"); i < len(wanted) {
			line = line[:min(len(line), len(wanted[i]))]
		}
		got = append(got, line)
	}
	if strings.Join(got, "\n") != want {
		t.Errorf("the errors are\n%v\nwant\n%s", err, want)
	}
}

func TestWhatDefaultsMaySayIsLeftAlone(t *testing.T) {
	s, err := ReadSection(complete+"timeout = %(long)s\nchecker = ping %(target)s\n", satisfied)
	if err != nil || len(s.Command) != 1 || !strings.HasSuffix(s.Text, "timeout = %(long)s\nchecker = ping %(target)s\n") {
		t.Errorf("%+v, error %v", s, err)
	}
}

func TestRemarksThatMakeAClientUselessAreErrors(t *testing.T) {
	remarks := []Remark{{Key: "secret", Problem: "not encrypted", Unfit: true}, {Key: "secret", Problem: "a weak key"}}
	s, err := ReadSection(complete, func(client.Settings) []Remark { return remarks })
	if err == nil || err.Error() != ":5: [host1] secret: not encrypted" {
		t.Errorf("error %v", err)
	}
	if len(s.Warnings) != 1 || s.Warnings[0].Problem != "a weak key" {
		t.Errorf("warnings %v", s.Warnings)
	}
}

// TestASectionMeansTheSameAloneAndInAFile has both readers read the same texts.
func TestASectionMeansTheSameAloneAndInAFile(t *testing.T) {
	lines := []string{
		"timeout = P1Y1D", "timeout = 1h30m", "timeout = 1m 1h", "  timeout = PT5M", "interval = PT1M30S", "interval = 0s", "timeout = 5", "approval_delay = 1d 2h",
		"fingerprint = " + strings.Repeat("ab", 32), "fingerprint = " + newFingerprint, "approved_by_default = maybe", "enabled = no", "checker : a\n  b",
		"checker = %%(host)s %(host)s", "host = %%", "Host = twice", "secret = b3RoZXI=", "nonsense", "key_id = 0", "\ttimeout=PT1H", "extended_timeout = P7W", "timeout = ",
	}
	r := rand.New(rand.NewPCG(3, 4))
	agreed, refused := 0, 0
	for range 2000 {
		text := complete
		for range r.IntN(4) {
			text += lines[r.IntN(len(lines))] + "\n"
		}
		alone, errAlone := ReadSection(text, satisfied)
		dir := t.TempDir()
		write(t, filepath.Join(dir, "clients.conf"), text)
		inFile, errInFile := run("--configdir", dir)
		// What is but doubtful in a file is an error alone.
		doubts := inFile != nil && slices.ContainsFunc(inFile.Warnings, func(w Warning) bool {
			return strings.Contains(w.Problem, "can never match") || strings.Contains(w.Problem, "not base64")
		})
		switch {
		case doubts && errAlone == nil, !doubts && (errAlone == nil) != (errInFile == nil):
			t.Fatalf("alone: %v\nin a file: %v\nof\n%s", errAlone, errInFile, text)
		case errAlone != nil:
			refused++
		case alone.Settings != inFile.Clients[0]:
			t.Fatalf("alone: %+v\nin a file: %+v\nof\n%s", alone.Settings, inFile.Clients[0], text)
		default:
			agreed++
		}
	}
	if agreed < 100 || refused < 100 {
		t.Errorf("%d were taken and %d refused", agreed, refused)
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
		"binary data":           {"\x85\x01\x0c\x03", "not valid UTF-8"},
		"a NUL":                 {"[host1]\x00", "a NUL character"},
		"text":                  {"hello\n", "this line stands above the first section"},
		"two sections":          {complete + strings.Replace(complete, "host1", "host2", 1), "a second section begins"},
		"defaults":              {"[DEFAULT]\n" + complete, "[DEFAULT] is no client"},
		"a name with an escape": {strings.Replace(complete, "[host1]", "[host\x1b1]", 1), "a character that cannot be printed"},
		"a name in blanks":      {strings.Replace(complete, "[host1]", "[ host1]", 1), "the name has blanks around it"},
		"an empty name":         {strings.Replace(complete, "[host1]", "[]", 1), "this line stands above the first section"},
		"a key twice":           {complete + "Host = x\n", "this key is in line 2 of the section already"},
		"a line without value":  {complete + "nonsense\n", "neither [section] nor key = value"},
		"no key":                {strings.ReplaceAll(strings.ReplaceAll(complete, "key_id = "+newKeyID+"\n", ""), "fingerprint = "+newFingerprint+"\n", ""), "neither key_id nor fingerprint"},
		"a short key":           {strings.Replace(complete, newKeyID, newKeyID[1:], 1), "this is not 64 hex digits"},
		"a key that is none":    {strings.Replace(complete, newKeyID, strings.Repeat("x", 64), 1), "this is not 64 hex digits"},
		"the key of nothing":    {strings.Replace(complete, newKeyID, strings.ToLower(emptyKeyID), 1), "the key ID of an empty key"},
		"a short fingerprint":   {strings.Replace(complete, newFingerprint, newFingerprint[2:], 1), "this is not 40 hex digits"},
		"no secret":             {without("secret =")[:strings.Index(complete, "secret =")], "neither secret nor secfile"},
		"half a secret":         {strings.Replace(complete, "cmV0", "cmV", 1), "the secret "},
		"a secret elsewhere":    {complete + "secfile = /etc/secret\n", "names a file, which was not sent along"},
	} {
		if s, err := ReadSection(c.text, satisfied); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, error %v, want one with %q", sentence, s, err, c.want)
		}
	}
}

func FuzzReadSection(f *testing.F) {
	f.Add(complete)
	f.Add("[a]b]\nkey_id:" + newKeyID + "\nsecret:\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSection(text, satisfied)
		if err != nil {
			return
		}
		again, err := ReadSection(s.Text, satisfied)
		if err != nil || again.Text != s.Text || again.Settings != s.Settings {
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
	lines := []string{"[host1]", "host = host1", "key_id = " + newKeyID, "fingerprint = " + newFingerprint, "secret =", secret[:20], secret[20:40], secret[40:]}
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
		_, err := ReadSection(text, satisfied)
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
		more  string
		want  []Assignment
		wrong bool
	}{
		"nothing":           {"approval_delay = PT5S\n", nil, false},
		"a checker":         {"checker = fping -q -- %%(host)s\n", []Assignment{{"checker", "fping -q -- %%(host)s"}, {"host", "host1"}}, false},
		"what it refers to": {"Checker = a %(B)s %(c)s\nb = evil %(d)s\nd = deep\ne = unused\n", []Assignment{{"checker", "a %(B)s %(c)s"}, {"b", "evil %(d)s"}, {"d", "deep"}}, false},
		"a circle":          {"checker = %(b)s\nb = %(checker)s\n", []Assignment{{"checker", "%(b)s"}, {"b", "%(checker)s"}}, true},
		"one of many lines": {"checker = a\n  b\n", []Assignment{{"checker", "a\nb"}}, false},
		"never the secret":  {"checker = x %(secret)s\n", []Assignment{{"checker", "x %(secret)s"}}, true},
	} {
		s, err := ReadSection(complete+c.more, satisfied)
		if c.wrong != (err != nil) || !slices.Equal(s.Command, c.want) {
			t.Errorf("%s: %+v, error %v", sentence, s, err)
		}
	}
}
