// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mandos/server/debiantest"
)

// askPython gives Python's answers to texts, all from one process.
func askPython(t *testing.T, function string, texts []string, args ...string) []*int64 {
	t.Helper()
	input, err := json.Marshal(map[string][]string{function: texts})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("python3", append([]string{"testdata/oracle.py"}, args...)...)
	command.Stdin = bytes.NewReader(input)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("python3 is needed as the standard to compare with: %v\n%s", err, stderr.String())
	}
	var answers map[string][]*int64
	if err := json.Unmarshal(output, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers[function]) != len(texts) {
		t.Fatalf("%d answers to %d questions", len(answers[function]), len(texts))
	}
	return answers[function]
}

// generate makes n texts of the pieces, the same ones each time.
func generate(n, longest int, pieces ...string) []string {
	r := rand.New(rand.NewPCG(1, 2))
	texts := make([]string, n)
	for i := range texts {
		for range r.IntN(longest + 1) {
			texts[i] += pieces[r.IntN(len(pieces))]
		}
	}
	return texts
}

func TestIntegersAreReadAsPythonReadsThem(t *testing.T) {
	texts := generate(3000, 5, "0", "1", "7", "9", "_", "+", "-", "٣", "５", "𝟗", "²", "½", "a", ".")
	for i, want := range askPython(t, "integer", texts) {
		got, err := ParseInt(texts[i])
		if (err == nil) != (want != nil) || err == nil && got != *want {
			t.Errorf("%q: %d, %v, Python gives %v", texts[i], got, err, want)
		}
	}
}

// What the Python server takes for a duration we take for the same one. Only a
// negative one is refused here, and what is longer than our durations can be.
func TestDurationsAreReadAsTheDebianServerReadsThem(t *testing.T) {
	texts := generate(20000, 7, "P", "P", "T", "1", "2", "30", "Y", "M", "D", "W", "H", "M", "S", "1D", "5M", "3S",
		"1h", "30m", "5s", "2d", "1w", "1h 30m", " ", "-", "+", "_", "٥", "m", "s")
	texts = append(texts, "", "P1Y1D", "1h30m", "1m 1h", "P1YT1S", "PT1H1S", "P1Y2M3DT4H5M6S", "PT5M", "5M", "1.5h", "500ms", "P1W2D", "pt5m")
	read := 0
	for i, want := range askPython(t, "duration", texts, debiantest.Mandos(t)) {
		got, err := ParseDuration(texts[i])
		switch {
		case want == nil && err == nil:
			t.Errorf("%q: %v, and the Python server refuses it", texts[i], got)
		case want == nil, *want < 0, *want > maxSeconds*1e6:
			if err == nil {
				t.Errorf("%q: %v, which cannot be", texts[i], got)
			}
		case err != nil:
			t.Errorf("%q: %v, and the Python server reads %d microseconds", texts[i], err, *want)
		case got != time.Duration(*want)*time.Microsecond:
			t.Errorf("%q: %v, and the Python server reads %d microseconds", texts[i], got, *want)
		default:
			read++
		}
	}
	if read < len(texts)/50 || read > len(texts)*49/50 {
		t.Errorf("%d of %d texts are durations, which tests only half of it", read, len(texts))
	}
	t.Logf("%d of %d texts are durations", read, len(texts))
}
