// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestModulesThatEachProgramLinks shows a new dependency to whoever reviews the
// change that brings it: the golden files are what may be linked, on any platform.
func TestModulesThatEachProgramLinks(t *testing.T) {
	for program, dir := range map[string]string{"mandos": "../server", "mandosctl": "../mandosctl"} {
		t.Run(program, func(t *testing.T) {
			linked := modulesOf(t, dir)
			golden := filepath.Join("testdata", "modules", program+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(strings.Join(linked, "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			may, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Fields(string(may)), linked); diff != "" {
				t.Errorf("modules in %s (-) and linked (+); if they are wanted, write the list anew with -update:\n%s", golden, diff)
			}
		})
	}
}

// modulesOf are the modules of other people's that a program links, sorted.
func modulesOf(t *testing.T, dir string) []string {
	t.Helper()
	modules := make(map[string]bool)
	for _, architecture := range architectures(t) {
		list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", dir)
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
		output, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range strings.Fields(string(output)) {
			modules[module] = true
		}
	}
	return slices.Sorted(maps.Keys(modules))
}

// architectures are those of the platforms that the Makefile builds for.
func architectures(t *testing.T) (found []string) {
	t.Helper()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`\blinux/(\w+)`).FindAllStringSubmatch(string(makefile), -1) {
		found = append(found, match[1])
	}
	if !slices.Contains(found, "amd64") || !slices.Contains(found, "arm64") {
		t.Fatalf("found only these platforms in the Makefile: %q", found)
	}
	return found
}
