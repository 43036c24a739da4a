// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// askPython gives Python's answers to texts, all from one process.
func askPython[T any](t *testing.T, function string, texts []string) []T {
	t.Helper()
	input, err := json.Marshal(map[string][]string{function: texts})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("python3", "testdata/oracle.py")
	command.Stdin = bytes.NewReader(input)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("python3 is needed as the standard to compare with: %v\n%s", err, stderr.String())
	}
	var answers map[string][]T
	if err := json.Unmarshal(output, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers[function]) != len(texts) {
		t.Fatalf("%d answers to %d questions", len(answers[function]), len(texts))
	}
	return answers[function]
}

// pick chooses one of the alternatives.
func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// generate makes n texts of the pieces, the same ones each time.
func generate(n, longest int, pieces ...string) []string {
	r := rand.New(rand.NewPCG(1, 2))
	texts := make([]string, n)
	for i := range texts {
		for range r.IntN(longest + 1) {
			texts[i] += pick(r, pieces...)
		}
	}
	return texts
}

func TestBase64IsReadAsPythonReadsIt(t *testing.T) {
	texts := generate(5000, 12, "A", "b", "Q==", "QUI=", "QUJD", "=", "==", "\n", " ", "!", "é", "-", "_", "+", "/", "/w", "x")
	// From Python 3.13 on the padding is not the end; nothing but a slip follows it.
	padded := regexp.MustCompile(`=[^=]*[A-Za-z0-9+/]`)
	goesOn := !slices.Equal(askPython[[]int](t, "base64", []string{"QUI=QUJD"})[0], []int{'A', 'B'})
	var decoded int
	for i, want := range askPython[[]int](t, "base64", texts) {
		got, _, err := decodeBase64(texts[i])
		if goesOn && padded.MatchString(texts[i]) {
			continue
		}
		if (err == nil) != (want != nil) {
			t.Errorf("%q: error %v, Python gives %v", texts[i], err, want)
		}
		if err == nil && !slices.Equal(got, toBytes(want)) {
			t.Errorf("%q: %v, Python gives %v", texts[i], got, want)
		}
		if err == nil {
			decoded++
		}
	}
	if decoded < len(texts)/20 || decoded > len(texts)*9/10 {
		t.Errorf("%d of %d texts are base64, which tests only half of it", decoded, len(texts))
	}
}

func toBytes(ints []int) []byte {
	b := make([]byte, len(ints))
	for i, n := range ints {
		b[i] = byte(n)
	}
	return b
}

func TestSkippedPartsOfBase64AreTold(t *testing.T) {
	for text, want := range map[string]bool{
		"QUJD":              false,
		"\n QUJD\n\tQUI=\n": false,
		"QUI=\nQUJD":        true,
		"QUI=#":             true,
		"QU!I=":             true,
		"=QUI=":             true,
		"!!!":               true,
		"QU=JD":             true,
		"":                  false,
	} {
		if _, skipped, err := decodeBase64(text); err != nil || skipped != want {
			t.Errorf("%q: skipped %v, error %v; want %v", text, skipped, err, want)
		}
	}
}

func TestPathsAreExpandedAsPythonExpandsThem(t *testing.T) {
	t.Setenv("HOME", "/home/someone/")
	t.Setenv("PLACE", "/some/$HOME")
	t.Setenv("EMPTY", "")
	texts := generate(2000, 5, "~", "~root", "~nobody-of-that-name", "/", "$PLACE", "${PLACE}", "$EMPTY", "${EMPTY}", "$", "${", "}", "{", "$UNSET_", "${UNSET}", "x", "ß", " ")
	// Pythons differ in what follows a brace that is never closed.
	unclosed := regexp.MustCompile(`\$\{[^}]*$`)
	texts = slices.DeleteFunc(texts, unclosed.MatchString)
	for i, want := range askPython[string](t, "path", texts) {
		if got := expandPath(texts[i]); got != want {
			t.Errorf("%q: %q, Python gives %q", texts[i], got, want)
		}
	}
}

// An answer is what Python makes of a file: null for an error, or the sections,
// each with its options, each with its expanded value or null for an error.
type answer [][2]json.RawMessage

// plain gives the answer in the form that sections gives ours.
func (a answer) plain(t *testing.T) map[string]map[string]*string {
	t.Helper()
	sections := map[string]map[string]*string{}
	for _, section := range a {
		var name string
		var options [][2]*string
		if err := json.Unmarshal(section[0], &name); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(section[1], &options); err != nil {
			t.Fatal(err)
		}
		sections[name] = map[string]*string{}
		for _, o := range options {
			sections[name][*o[0]] = o[1]
		}
	}
	return sections
}

// sections reads text as a document and expands it; it gives nil for errors.
func sections(text string) map[string]map[string]*string {
	f := newFindings()
	doc := parse(f, "file", text, nil)
	sections := map[string]map[string]*string{}
	for _, s := range doc.sections {
		if _, ok := sections[s.name]; ok {
			return nil
		}
		values := map[string]*string{}
		names := newScope(s, doc.defaults)
		names.each(func(key, raw string) {
			values[key] = nil
			if value, err := names.expand(raw); err == nil {
				values[key] = &value
			}
		})
		sections[s.name] = values
	}
	if f.err() != nil {
		return nil
	}
	return sections
}

// configFile writes something like a configuration file, seldom a wrong one.
func configFile(r *rand.Rand) string {
	newline := pick(r, "\n", "\n", "\n", "\r\n", "\r")
	var b strings.Builder
	seldom := func(percent int) bool { return r.IntN(100) < percent }
	value := func() string {
		var v strings.Builder
		for range r.IntN(4) {
			v.WriteString(pick(r, "one", "two", " ", "#", ";", "=", ":", `"`, `"""`, "`", "'", `\`, "[x]", "%%", "%%(a)s", "%(a)s", "%(A)s", "%(b)s", "%(c)s", "%%%(d)s", "\t", "\u00a0", "\x1c", "é"))
		}
		if seldom(2) {
			v.WriteString(pick(r, "%", "%x", "%(", "%(a)", "%()s", "%(none)s", "%(a)d"))
		}
		return v.String()
	}
	if !seldom(2) {
		b.WriteString(pick(r, "", "# first"+newline) + "[DEFAULT]" + newline)
	}
	for i := range r.IntN(12) {
		switch r.IntN(9) {
		case 0:
			b.WriteString(pick(r, "", "", " ") + pick(r, "[", "[ ", "[[") + pick(r, "x", "y", "default", "a.b", "é") + string(rune('a'+i)) + pick(r, "]", " ]", "]]", "] ; x", "] = x"))
		case 1:
			b.WriteString(pick(r, "[DEFAULT]", "[DEFAULT]", "[DEFAULT ]", "[default]"))
		case 2:
			b.WriteString(pick(r, "", "", " ", "\t", "\x0b"))
		case 3:
			b.WriteString(pick(r, "", " ", "   ") + pick(r, "#", ";") + value())
		case 4:
			b.WriteString(pick(r, " ", "  ", "\t", "    ", "\u2003\u2003", "\x1d\x1d") + "more " + value())
		default:
			key := pick(r, "a", "b", "c", "d", "A", "key", "\"q\"", "`k`", "-", "x y", "É")
			if !seldom(5) && i > 3 {
				key += string(rune('a' + i))
			}
			b.WriteString(pick(r, "", "", "", " ") + key + pick(r, "=", " = ", ":", " : ", "\t=\t", "= \u00a0") + value())
		}
		if seldom(2) {
			b.WriteString(newline + pick(r, "junk", "= x", ":", "[]", "[", "\x1c", "\u0085"))
		}
		b.WriteString(newline)
	}
	return b.String()
}

func TestFilesAreReadAsPythonReadsThem(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	texts := make([]string, 6000)
	for i := range texts {
		texts[i] = configFile(r)
	}
	var sound, expanded, wrong int
	for i, answer := range askPython[answer](t, "parse", texts) {
		got := sections(texts[i])
		if answer == nil {
			if got != nil {
				t.Errorf("%q: read, but Python gives an error", texts[i])
			}
			continue
		}
		sound++
		want := answer.plain(t)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: differs from what Python reads:\n%s", texts[i], diff)
		}
		for _, section := range want {
			for _, value := range section {
				if value == nil {
					wrong++
				} else {
					expanded++
				}
			}
		}
	}
	t.Logf("%d of %d files are sound, with %d values and %d that cannot be expanded", sound, len(texts), expanded, wrong)
	if sound < len(texts)/4 || wrong < 100 || expanded < 1000 {
		t.Errorf("only %d of %d files are sound, with %d values and %d that cannot be expanded", sound, len(texts), expanded, wrong)
	}
}

func TestDeepReferencesAreExpandedAsPythonExpandsThem(t *testing.T) {
	var texts []string
	for depth := range 14 {
		for _, end := range []string{"end", "%%", "%(k0)s"} {
			text := "[s]\n"
			for i := range depth {
				text += "k" + string(rune('a'+i)) + " = %(k" + string(rune('a'+i+1)) + ")s\n"
			}
			texts = append(texts, text+"k"+string(rune('a'+depth))+" = "+end+"\n")
		}
	}
	for i, answer := range askPython[answer](t, "parse", texts) {
		if diff := cmp.Diff(answer.plain(t), sections(texts[i])); diff != "" {
			t.Errorf("%q: differs from what Python reads:\n%s", texts[i], diff)
		}
	}
}

func FuzzBase64(f *testing.F) {
	for _, text := range []string{"", "QUJD", "QUI=", "QQ==", "Q=", "=", "QUI=QUI=", "é"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, skipped, err := decodeBase64(text)
		if err == nil && len(got) > len(text) {
			t.Errorf("%d bytes from %d characters", len(got), len(text))
		}
		want, stdErr := base64.StdEncoding.DecodeString(text)
		if stdErr == nil && (err != nil || skipped || !bytes.Equal(got, want)) {
			t.Errorf("sound base64 %q: %x, %v, %v", text, got, skipped, err)
		}
	})
}
