// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAllThatIsLinkedIsTold compares with what "go version" says of the same program.
func TestAllThatIsLinkedIsTold(t *testing.T) {
	program := filepath.Join(t.TempDir(), "mandosctl")
	if out, err := exec.Command("go", "build", "-o", program, "mandos/mandosctl").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	modules, err := exec.Command("go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	var copyright, bill strings.Builder
	if err := run([]string{"copyright", "name", "1.2.3", program}, &copyright); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"sbom", "name", "1.2.3", program}, &bill); err != nil {
		t.Fatal(err)
	}
	var decoded sbom
	if err := json.Unmarshal([]byte(bill.String()), &decoded); err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]string)
	for _, c := range decoded.Components {
		if len(c.Properties) == 1 {
			sums[c.Name+" "+c.Version] = c.Properties[0].Value
		}
	}
	linked := 0
	for line := range strings.Lines(string(modules)) {
		words := strings.Fields(line)
		if words[0] != "dep" {
			continue
		}
		linked++
		path, version, sum := words[1], words[2], words[3]
		if sums[path+" "+version] != sum {
			t.Errorf("the bill says that %s %s has the sum %q, want %q", path, version, sums[path+" "+version], sum)
		}
		if !strings.Contains(copyright.String(), "\nFiles: "+path+"@"+version+"/*\nCopyright: ") {
			t.Errorf("the licence of %s %s is not told", path, version)
		}
	}
	if linked == 0 || len(decoded.Components) != linked+1 {
		t.Errorf("there are %d modules and Go's own library linked in, and the bill has %d", linked, len(decoded.Components))
	}
	for _, want := range []string{"\nFiles: std@v", "\nLicense: Expat\n MIT License\n .\n", "\nLicense: BSD-3-Clause\n", "\nLicense: Apache-2.0\n Licensed under"} {
		if !strings.Contains(copyright.String(), want) {
			t.Errorf("the copyright file has no %q", want)
		}
	}
}

func TestUnknownLicencesAreRefused(t *testing.T) {
	const mit = "Copyright (c) 2026 Somebody\n\nPermission is hereby granted, free of charge, to any person obtaining\na copy of this"
	for name, c := range map[string]struct{ text, refusal string }{
		"known":                 {mit, ""},
		"nobody's":              {strings.TrimPrefix(mit, "Copyright (c) 2026 Somebody\n"), "does not say who holds the copyright"},
		"not to be linked with": {"Copyright (c) 2026 Somebody\n\nAll rights reserved.", "read whether it may be linked with"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			l, err := licenseIn(dir)
			switch {
			case c.refusal == "" && (err != nil || l.shortName() != "Expat" || len(l.copyrights) != 1 || l.copyrights[0] != "2026 Somebody"):
				t.Errorf("got %+v, error %v", l, err)
			case c.refusal != "" && (err == nil || !strings.Contains(err.Error(), c.refusal)):
				t.Errorf("error %v, want %q", err, c.refusal)
			}
		})
	}
	if _, err := licenseIn(t.TempDir()); err == nil {
		t.Error("a module without a licence is taken")
	}
}
