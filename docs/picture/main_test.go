// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestTheScreenIsDrawnAsItLooks(t *testing.T) {
	screen := "plain \x1b[1;31mred & bold\x1b[0m\n" +
		"\x1b[7m all \x1b[27m\x1b[2mdim\x1b[22m \x1b[92mgreen\n" +
		"green\x1b[39m 日本 <x>\n\n"
	const want = `<svg xmlns="http://www.w3.org/2000/svg" width="166" height="104" font-family="monospace" font-size="14">
<rect width="100%" height="100%" rx="8" fill="#1d1f21"/>
<text x="16.0" y="29" xml:space="preserve" textLength="50.4" fill="#c5c8c6">plain </text>
<text x="66.4" y="29" xml:space="preserve" textLength="84.0" fill="#cc6666" font-weight="bold">red &amp; bold</text>
<rect x="16.0" y="34" width="42.0" height="18" fill="#c5c8c6"/>
<text x="16.0" y="47" xml:space="preserve" textLength="42.0" fill="#1d1f21"> all </text>
<text x="58.0" y="47" xml:space="preserve" textLength="25.2" fill="#c5c8c6" opacity="0.6">dim</text>
<text x="91.6" y="47" xml:space="preserve" textLength="42.0" fill="#b9e077">green</text>
<text x="16.0" y="65" xml:space="preserve" textLength="42.0" fill="#b9e077">green</text>
<text x="58.0" y="65" xml:space="preserve" textLength="75.6" fill="#c5c8c6"> 日本 &lt;x&gt;</text>
</svg>
`
	var out bytes.Buffer
	if err := draw(strings.NewReader(screen), &out); err != nil || out.String() != want {
		t.Errorf("it is\n%s, error %v, want\n%s", &out, err, want)
	}
	for decoder := xml.NewDecoder(&out); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestALineThatIsNoScreens(t *testing.T) {
	if err := draw(strings.NewReader(strings.Repeat("x", 1<<20)), io.Discard); err == nil {
		t.Error("a line of a megabyte is drawn")
	}
}
