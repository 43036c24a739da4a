// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// aSecret is the text of a secret as mandos-keygen writes it, without repetitions.
var aSecret = func() string {
	bytes := make([]byte, 600)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(bytes)
	bytes[0], bytes[1] = 0x85, 0x01 // as an OpenPGP message begins
	return base64.StdEncoding.EncodeToString(bytes)
}()

// wrapped is the text in lines that begin with indent.
func wrapped(indent string) string {
	var lines []string
	for line := range slices.Chunk([]byte(aSecret), 64) {
		lines = append(lines, indent+string(line))
	}
	return strings.Join(lines, "\n")
}

// pieceOfSecret returns a piece of the secret that text shows. A piece is anything
// that is longer than what can be in there by chance.
func pieceOfSecret(text string) (piece string, shown bool) {
	const long = 8
	text = strings.ToLower(text) // keys are
	secret := strings.ToLower(aSecret)
	for i := range len(secret) - long + 1 {
		if strings.Contains(text, secret[i:i+long]) {
			return aSecret[i : i+long], true
		}
	}
	return "", false
}

func TestPieceOfSecret(t *testing.T) {
	for _, text := range []string{wrapped("   "), "x" + aSecret[700:708] + "x", strings.ToLower(aSecret)} {
		if _, shown := pieceOfSecret(text); !shown {
			t.Errorf("none is found in %.40q", text)
		}
	}
	if piece, shown := pieceOfSecret(aSecret[:7] + " " + aSecret[8:15]); shown {
		t.Errorf("%q is no piece", piece)
	}
}

// forms are configurations with something wrong, or at least odd, about the secret.
func forms() map[string]string {
	const head = "[host1]\nkey_id = " + keyID + "\n"
	forms := map[string]string{
		"as it should be":                  head + "secret =\n" + wrapped("   ") + "\n",
		"all keys indented":                "[host1]\n  key_id = " + keyID + "\n  secret = " + aSecret + "\n",
		"indented lines after the header":  "[host1]\n    secret = " + aSecret + "\n  key_id = " + keyID + "\n",
		"no section":                       "key_id = " + keyID + "\nsecret = " + aSecret + "\n",
		"no section, wrapped":              "secret =\n" + wrapped("   ") + "\n" + head,
		"an unfinished section":            "[host1\nkey_id = " + keyID + "\nsecret = " + aSecret + "\n",
		"the section and the key in one":   "[host1] secret = " + aSecret + "\n",
		"twice":                            head + "secret = " + aSecret + "\nsecret = " + aSecret + "\n",
		"twice, wrapped":                   head + "secret =\n" + wrapped("   ") + "\nsecret =\n" + wrapped(" ") + "\n",
		"the client twice":                 head + "secret = " + aSecret + "\n" + head + "secret = " + aSecret + "\n",
		"not indented":                     head + "secret =\n" + wrapped("") + "\n",
		"not indented from the second on":  head + "secret = " + strings.TrimLeft(wrapped(""), " ") + "\n",
		"without a delimiter":              head + "secret " + aSecret + "\n",
		"with another delimiter":           head + "secret: " + aSecret + "\nsecret:" + aSecret + "\n",
		"without the key":                  head + "= " + aSecret + "\n",
		"with a slip in the key":           head + "secrte = " + aSecret + "\n",
		"in quotes":                        head + "secret = \"" + aSecret + "\"\n",
		"in backquotes":                    head + "secret = `" + aSecret + "\n",
		"with a backslash at the end":      head + "secret = " + aSecret + "\\\n",
		"cut off":                          head + "secret = " + aSecret[:301] + "\n",
		"with too much":                    head + "secret = " + aSecret + "A\n",
		"with a percent sign":              head + "secret = " + aSecret[:100] + "%" + aSecret[100:] + "\n",
		"with a percent sign at the end":   head + "secret = " + aSecret + "%\n",
		"with half a reference":            head + "secret = %(" + aSecret + "\n",
		"with a reference without its s":   head + "secret = %(" + aSecret + ")\n",
		"with a reference to nothing":      head + "secret = %(" + aSecret + ")s\n",
		"with a reference to itself":       head + "secret = %(secret)s" + aSecret + "\n",
		"with a reference that goes wrong": "[DEFAULT]\nsecret = " + aSecret + "%(nothing)s\n" + head + "host = %(secret)s\n",
		"beyond the limit of growth":       head + "secret = " + strings.Repeat(aSecret, 6000) + "\n",
		"larger than a file may be":        head + "secret = " + strings.Repeat(aSecret, maxFile/len(aSecret)+1) + "\n",
		"in a comment":                     head + "# secret = " + aSecret + "\n",
		"with a NUL":                       head + "secret = " + aSecret[:50] + "\x00" + aSecret[50:] + "\n",
		"with something that is not UTF-8": head + "secret = " + aSecret[:50] + "\xff" + aSecret[50:] + "\n",
		"after a byte order mark":          byteOrderMark + head + "secret = " + aSecret + "\n",
		"with the line ends of a Mac":      strings.ReplaceAll(head+"secret =\n"+wrapped(" ")+"\n", "\n", "\r"),
		"with the line ends of Windows":    strings.ReplaceAll(head+"secret =\n"+wrapped("")+"\n", "\n", "\r\n"),
		"armoured": head + "secret = -----BEGIN PGP MESSAGE-----\nVersion: GnuPG v2\n\n" +
			wrapped("") + "\n-----END PGP MESSAGE-----\n",
	}
	for _, key := range knownClientKeys {
		if key != "secret" {
			forms["swallowed by "+key] = "[host1]\n" + key + " = PT5M\n  secret = " + aSecret + "\n"
			forms["swallowed by "+key+", wrapped"] = "[host1]\n" + key + " = PT5M\n  secret =\n" + wrapped("   ") + "\n"
			forms["swallowed by "+key+", after a percent sign"] = "[host1]\n" + key + " = PT5M %\n  secret: " + aSecret + "\n"
			forms["swallowed by "+key+", after a reference"] = "[host1]\n" + key + " = PT5M %%(\n  secret: " + aSecret + "\n)s"
			forms["swallowed by "+key+", in a reference"] = "[host1]\n" + key + " = PT5M %(\n  secret: " + aSecret + "\n)s"
			forms["as the value of "+key] = head + key + " = " + aSecret + "\n"
			forms["as the value of "+key+", wrapped"] = head + key + " =\n" + wrapped("   ") + "\n"
			forms["as a reference of "+key] = head + "secret = " + aSecret + "\n" + key + " = %(secret)s\n"
		}
	}
	return forms
}

func TestNoErrorShowsTheSecret(t *testing.T) {
	for sentence, conf := range forms() {
		for _, file := range []string{"clients.conf", "clients.d/host1.conf", "mandos.conf"} {
			dir := files(t, map[string]string{file: conf})
			if said, piece := saidOf(dir); piece != "" {
				t.Errorf("%s, in %s: %q is shown:\n%.1000s", sentence, file, piece, said)
			}
		}
	}
}

// TestNoErrorShowsTheSecretWhateverHappensToTheFile changes lines, spaces and marks
// at random.
func TestNoErrorShowsTheSecretWhateverHappensToTheFile(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var whole []string
	for i := range 3 {
		whole = append(whole, "[DEFAULT]", "timeout = PT5M", "# a comment", fmt.Sprintf("[host%d]", i), "host = %(timeout)s", "key_id = "+keyID,
			"secret =", "checker = fping -q -- %%(host)s", "enabled = yes", "")
		whole = slices.Insert(whole, len(whole)-3, strings.Split(wrapped("   "), "\n")...)
	}
	dir := files(t, nil)
	for range 1500 {
		lines := slices.Clone(whole)
		for range 1 + random.IntN(6) {
			at := random.IntN(len(lines))
			switch random.IntN(7) {
			case 0:
				lines[at] = strings.TrimLeft(lines[at], " ")
			case 1:
				lines[at] = strings.Repeat(" ", random.IntN(8)) + lines[at]
			case 2:
				lines = slices.Delete(lines, at, at+1)
			case 3:
				lines = slices.Insert(lines, at, lines[random.IntN(len(lines))])
			case 4:
				other := random.IntN(len(lines))
				lines[at], lines[other] = lines[other], lines[at]
			case 5:
				mark := []string{"%", "%(", ")s", "%%", "=", ":", "[", "]", "#", ";", "\t", "\r", "\x00", "\xff", `"`, "`", `\`}[random.IntN(17)]
				i := random.IntN(len(lines[at]) + 1)
				lines[at] = lines[at][:i] + mark + lines[at][i:]
			case 6:
				lines[at] = lines[at][:random.IntN(len(lines[at])+1)]
			}
		}
		conf := strings.Join(lines, "\n")
		if random.IntN(4) == 0 {
			conf = conf[:random.IntN(len(conf))]
		}
		if err := os.WriteFile(filepath.Join(dir, "clients.conf"), []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, piece := saidOf(dir); piece != "" {
			t.Fatalf("%q is shown:\n%s\n\nof\n\n%s", piece, said, conf)
		}
	}
}

// saidOf is everything that reading a configuration has to say, in every form that it
// is told in, and the first piece of the secret in it.
func saidOf(dir string) (said, piece string) {
	conf, err := run("--configdir", dir)
	said = fmt.Sprintf("%v\n%+v\n", err, err)
	if conf != nil {
		for _, warning := range conf.Warnings {
			said += warning.String() + "\n"
		}
	}
	piece, _ = pieceOfSecret(said)
	return said, piece
}

func TestKeysThatAreSwallowedAreTold(t *testing.T) {
	const head = "[foo]\nkey_id = " + keyID + "\nsecret = aGVsbG8=\n"
	for sentence, c := range map[string]struct {
		conf            string
		error, warnings []string
	}{
		"a secret that would be shown is an error": {
			conf:  "[foo]\nkey_id = " + keyID + "\nhost = foo\n  secret = aGVsbG8=\n",
			error: []string{"clients.conf:4: this line is indented, so that it is no key secret but a part of the value above; take the space at its beginning away"}},
		"any other key is a warning": {
			conf:     head + "checker = true\n  TIMEOUT: PT1M\n\n\tenabled=no\n",
			warnings: []string{"clients.conf:5: this line is indented, so that it is no key timeout but", "clients.conf:7: this line is indented, so that it is no key enabled but"}},
		"what is no key is what it should be": {conf: head + "checker = true;\n  x=1; export timeout=3\n  # secret = x\n"},
		"keys that are all indented are keys": {conf: "[foo]\n  key_id = " + keyID + "\n  secret = aGVsbG8=\n"},
	} {
		dir := files(t, map[string]string{"clients.conf": c.conf})
		conf, err := run("--configdir", dir)
		for _, want := range c.error {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v", sentence, err)
			}
		}
		if len(c.error) == 0 && err != nil {
			t.Errorf("%s: error %v", sentence, err)
		}
		var warnings []string
		for _, w := range conf.Warnings {
			warnings = append(warnings, w.String())
		}
		for i, want := range c.warnings {
			if len(warnings) <= i || !strings.Contains(warnings[i], want) {
				t.Errorf("%s: warnings %q, want %q", sentence, warnings, want)
			}
		}
		if len(warnings) != len(c.warnings) {
			t.Errorf("%s: warnings %q", sentence, warnings)
		}
	}
}

func TestQuotedInErrors(t *testing.T) {
	for value, want := range map[string]string{
		"":                      `""`,
		"5M":                    `"5M"`,
		strings.Repeat("x", 40): `"` + strings.Repeat("x", 40) + `"`,
		strings.Repeat("x", 41): "a value of 41 bytes",
		"5M\nx":                 "a value of 4 bytes",
		"5M\rx":                 "a value of 4 bytes",
	} {
		if got := quote(value); got != want {
			t.Errorf("%q is quoted as %s, want %s", value, got, want)
		}
	}
	dir := t.TempDir() + "/" + strings.Repeat("x", 60)
	for path, want := range map[string]string{
		dir:                     strconv.Quote(dir), // that is not there, in a place that is
		dir + "/y":              "the file named here",
		"/no/such/place":        `"/no/such/place"`,
		"secret":                "the file named here",
		"/" + aSecret[1:200]:    "the file named here",
		"/d2hhdCBhIGJlYXV0aWZ1": `"/d2hhdCBhIGJlYXV0aWZ1"`, // short enough to be a name
	} {
		if got := quotePath(path); got != want {
			t.Errorf("%q is quoted as %s, want %s", path, got, want)
		}
	}
}
