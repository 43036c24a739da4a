// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	inCode = regexp.MustCompile("`([^`\\s]+)`")
	// ourPath is what can only be a file or folder of ours; * stands for any name.
	ourPath = regexp.MustCompile(`^(server|mandosctl|dbusapi|docs|etc|\.ci|\.github)/[\w./*-]*$|^(Makefile|\.[a-z]+\.yml)$`)
)

func TestFilesThatPagesNameExist(t *testing.T) {
	named := 0
	for _, page := range pages(t) {
		for _, match := range inCode.FindAllStringSubmatch(read(t, page), -1) {
			if !ourPath.MatchString(match[1]) {
				continue
			}
			named++
			if found, err := filepath.Glob(filepath.Join("..", match[1])); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which there is not", page, match[1])
			}
		}
	}
	if named < 100 {
		t.Errorf("found only %d names of files", named)
	}
}

// contributing is what CONTRIBUTING.md has below a heading.
func contributing(t *testing.T, heading string) string {
	t.Helper()
	_, section, ok := strings.Cut(read(t, "../CONTRIBUTING.md"), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("CONTRIBUTING.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

func TestEveryPackageIsOnTheMap(t *testing.T) {
	output, err := exec.Command("go", "list", "mandos/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	chart := contributing(t, "The map")
	for _, path := range strings.Fields(string(output)) {
		dir := strings.TrimPrefix(path, "mandos/")
		if !strings.Contains(chart, "`"+dir+"`") && !strings.Contains(chart, "`"+dir+"/`") {
			t.Errorf("package %s is not on the map in CONTRIBUTING.md", dir)
		}
	}
}

func TestFunctionsOnTheWayOfAConnectionExist(t *testing.T) {
	step := regexp.MustCompile("(?m)^\\| `([\\w/.]+\\.go)` \\| (.+?) \\|")
	steps := step.FindAllStringSubmatch(contributing(t, "One connection, from end to end"), -1)
	if len(steps) < 15 {
		t.Fatalf("found only these steps: %q", steps)
	}
	for _, match := range steps {
		declared := functionsIn(t, filepath.Join("..", match[1]))
		for _, name := range inCode.FindAllStringSubmatch(match[2], -1) {
			if !slices.Contains(declared, name[1]) {
				t.Errorf("there is no function %s in %s", name[1], match[1])
			}
		}
	}
}

func functionsIn(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, declaration := range parsed.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok {
			names = append(names, function.Name.Name)
		}
	}
	return names
}
