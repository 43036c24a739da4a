// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// license is what a module may be used under.
type license struct {
	id         string   // as SPDX writes it
	copyrights []string // who holds the rights, and since when
	text       string
	notice     string // what the module wants to be passed on with it
}

// licenses are those that are known, by a sentence that no other has. Debian's
// machine-readable format has the same short names for them as SPDX but for MIT, which
// it calls Expat.
var licenses = []struct{ id, sentence string }{
	{"Apache-2.0", "Apache License Version 2.0, January 2004"},
	{"BSD-3-Clause", "Neither the name of"},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce the above copyright notice"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
}

var copyrightLine = regexp.MustCompile(`(?m)^[ \t]*Copyright (?:\(c\) )?(\d{4}.*)$`)

// licenseIn reads the licence of the module in the directory. One that is not known
// is an error: somebody must read it first.
func licenseIn(dir string) (l license, err error) {
	found, err := filepath.Glob(filepath.Join(dir, "LICENSE*"))
	if err != nil || len(found) != 1 {
		return license{}, fmt.Errorf("%s has %d files LICENSE, and must have one", dir, len(found))
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		return license{}, err
	}
	l.text = strings.TrimSpace(string(text))
	words := strings.Join(strings.Fields(l.text), " ")
	known := slices.IndexFunc(licenses, func(known struct{ id, sentence string }) bool { return strings.Contains(words, known.sentence) })
	if known < 0 {
		return license{}, fmt.Errorf("%s is no licence that is known here: read whether it may be linked with, and add it to the list", found[0])
	}
	l.id = licenses[known].id
	notice, err := os.ReadFile(filepath.Join(dir, "NOTICE"))
	if err != nil && !os.IsNotExist(err) {
		return license{}, err
	}
	l.notice = strings.TrimSpace(string(notice))
	for _, line := range copyrightLine.FindAllStringSubmatch(l.text+"\n"+l.notice, -1) {
		l.copyrights = append(l.copyrights, strings.TrimSpace(line[1]))
	}
	if l.id == "Apache-2.0" && len(l.copyrights) == 0 {
		l.copyrights = []string{"the authors of the module"} // who need not be named in the licence
	}
	if len(l.copyrights) == 0 {
		return license{}, fmt.Errorf("%s does not say who holds the copyright", found[0])
	}
	return l, nil
}
