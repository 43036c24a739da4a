// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
)

// commonLicense is what Debian wants of a licence that it has the text of.
const commonLicense = `Licensed under the Apache License, Version 2.0. Debian has its text in
/usr/share/common-licenses/Apache-2.0; elsewhere it is in the file LICENSE beside
this one.`

// writeCopyright writes Debian's machine-readable copyright file, of which each
// paragraph is about a module and has its licence's whole text.
func (l linked) writeCopyright(out io.Writer, name string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: %s\n", name)
	fmt.Fprint(&b, "Comment: The programs are linked statically. What follows the first paragraph is about\n the Go modules that are linked into them, and about Go's own library.\n")
	fmt.Fprintf(&b, "\nFiles: *\nCopyright: the authors of %s\nLicense: Apache-2.0\n", name)
	for _, m := range l.modules {
		files := m.path + "@" + m.version + "/*"
		fmt.Fprintf(&b, "\nFiles: %s\nCopyright: %s\nLicense: %s\n", files, strings.Join(m.license.copyrights, "\n "), m.license.shortName())
		if m.license.id != "Apache-2.0" {
			fmt.Fprintln(&b, continued(m.license.text))
		}
		if m.license.notice != "" {
			fmt.Fprintf(&b, "Comment: its notice:\n%s\n", continued(m.license.notice))
		}
	}
	fmt.Fprintf(&b, "\nLicense: Apache-2.0\n%s\n", continued(commonLicense))
	_, err := io.WriteString(out, b.String())
	return err
}

func (l license) shortName() string {
	if l.id == "MIT" {
		return "Expat"
	}
	return l.id
}

// continued is a text as the lines of a field that follow its first.
func continued(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimRight(strings.TrimPrefix(line, "\ufeff"), " \t\r")
		if line == "" {
			line = "."
		}
		lines[i] = " " + line
	}
	return strings.Join(lines, "\n")
}
