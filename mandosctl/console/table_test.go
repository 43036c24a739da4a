// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func red(s string) string { return "\x1b[31m" + s + "\x1b[0m" }

func TestPeopleSeeColumns(t *testing.T) {
	sample := &Table{Header: []string{"NAME", "STATE", "REASON"}, Rows: [][]Cell{
		{Same("a"), {Text: "failing", Paint: red}, Same("something long to say")},
		{Same("日本"), {Text: "ok", Paint: red}, Same("")},
		{Same("evil\x1b[2J\n"), Same("x"), Same("y")},
	}}
	for sentence, c := range map[string]struct {
		width int
		want  string
	}{
		"whole without a width": {0, "" +
			"NAME           STATE    REASON\n" +
			"a              " + red("failing") + "  something long to say\n" +
			"日本           " + red("ok") + "\n" +
			`evil\x1b[2J\n  x        y` + "\n"},
		"cut at the width": {32, "" +
			"NAME           STATE    REASON\n" +
			"a              " + red("failing") + "  somethi…\n" +
			"日本           " + red("ok") + "\n" +
			`evil\x1b[2J\n  x        y` + "\n"},
	} {
		var b strings.Builder
		if err := sample.Aligned(&b, c.width); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", sentence, got, c.want)
		}
	}
}

func TestRowsNeedNoHeader(t *testing.T) {
	sample := &Table{Rows: [][]Cell{{Same("a"), Same("b")}, {Same("long"), Same("c"), Same("d")}}}
	var b strings.Builder
	if err := sample.Aligned(&b, 0); err != nil {
		t.Fatal(err)
	}
	if want := "a     b\nlong  c  d\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestProgramsSeeTabs(t *testing.T) {
	sample := &Table{Header: []string{"NAME", "WHEN"}, Rows: [][]Cell{
		{Same("a\tb\nc"), {Text: "2m ago", Exact: "2026-11-23T04:05:06Z", Paint: red}},
		{Same("d"), {Text: "never"}},
	}}
	var b strings.Builder
	if err := sample.TSV(&b); err != nil {
		t.Fatal(err)
	}
	if want := "a\\tb\\nc\t2026-11-23T04:05:06Z\nd\t\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"plain", "\x1b]0;title\a", "a\tb\n", "\xff\xfe", "日本", "\u202e", "\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		printed := Printable(text)
		for _, r := range printed {
			if unprintable(r) {
				t.Fatalf("%q became %q, which has %q in it", text, printed, r)
			}
		}
		if again := Printable(printed); again != printed {
			t.Fatalf("%q became %q and then %q", text, printed, again)
		}
	})
}

func BenchmarkAligned(b *testing.B) {
	sample := &Table{Header: []string{"NAME", "STATE", "CHECKED OK", "EXPIRES", "REASON"}}
	for i := range 10_000 {
		sample.Rows = append(sample.Rows, []Cell{Same(fmt.Sprintf("host%d", i)), {Text: "enabled", Paint: red}, Same("2m 5s ago"), Same("in 2m 55s"), Same("")})
	}
	for b.Loop() {
		if err := sample.Aligned(io.Discard, 80); err != nil {
			b.Fatal(err)
		}
	}
}
