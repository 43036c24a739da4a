// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// goPackage is what "go list" tells of one of our packages.
type goPackage struct {
	ImportPath string
	Name       string
	Doc        string
	Imports    []string
}

func ourPackages(t *testing.T) (packages []goPackage) {
	t.Helper()
	list, err := exec.Command("go", "list", "-json=ImportPath,Name,Doc,Imports", "mandos/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(list))); ; {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// TestWhoMayImportWhom keeps the house in order: the leaves are the vocabulary
// that all others may use, and know themselves only how values are written; the other
// packages of the server meet in main alone; mandosctl knows only the D-Bus contract
// and what is below it. What it shows things with knows nothing of clients.
func TestWhoMayImportWhom(t *testing.T) {
	leaves := []string{"mandos/server/client", "mandos/server/keytls", "mandos/dbusapi", "mandos/dbusapi/notation", "mandos/server/openpgpblob"}
	plain := []string{"mandos/mandosctl/console", "mandos/mandosctl/humantime"}
	for _, p := range ourPackages(t) {
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, "mandos/") {
				continue
			}
			if strings.HasSuffix(p.ImportPath, "test") && strings.HasSuffix(imported, "test") {
				continue // what tests need they may share
			}
			below := strings.HasPrefix(imported, p.ImportPath+"/") || strings.HasPrefix(p.ImportPath, imported+"/")
			var allowed bool
			switch {
			case p.ImportPath == "mandos/server", p.ImportPath == "mandos/server/load":
				allowed = strings.HasPrefix(imported, "mandos/server/") || slices.Contains(leaves, imported)
			case slices.Contains(leaves, p.ImportPath), slices.Contains(plain, p.ImportPath):
				allowed = imported == "mandos/dbusapi/notation"
			case strings.HasPrefix(p.ImportPath, "mandos/mandosctl"):
				allowed = slices.Contains(leaves, imported) && strings.HasPrefix(imported, "mandos/dbusapi") || strings.HasPrefix(imported, "mandos/mandosctl/")
			default:
				allowed = slices.Contains(leaves, imported) || below
			}
			if !allowed {
				t.Errorf("%s must not import %s", p.ImportPath, imported)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range ourPackages(t) {
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + p.ImportPath[strings.LastIndex(p.ImportPath, "/")+1:] + " "
			if p.ImportPath == "mandos/server" {
				want = "Command mandos "
			}
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("the doc comment of %s must begin with %q: %.40q", p.ImportPath, want, p.Doc)
		}
	}
}

var (
	// fileInComment is a name that says by its ending that it is one of our files.
	fileInComment = regexp.MustCompile(`(?:^|[\s"(` + "`" + `])([\w./-]*\w\.(?:go|md|xml|txtar|sh|py))\b`)
	// pathInComment is one that says so by its beginning.
	pathInComment = regexp.MustCompile(`(?:^|[\s"(` + "`" + `])((?:server|mandosctl|dbusapi|docs|etc|\.ci)/[\w./-]*\w)`)
)

// TestFilesThatCommentsNameExist looks beside the file with the comment, in its
// testdata, and from the top of the project.
func TestFilesThatCommentsNameExist(t *testing.T) {
	named := 0
	for _, file := range goFiles(t) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, comment := range parsed.Comments {
			for _, name := range filesNamedIn(comment.Text()) {
				named++
				if !exists(filepath.Join(filepath.Dir(file), name), filepath.Join(filepath.Dir(file), "testdata", name), filepath.Join("..", name)) {
					t.Errorf("%s: a comment names %s, which there is not", file, name)
				}
			}
		}
	}
	if named < 20 {
		t.Errorf("found only %d names of files in comments", named)
	}
}

func goFiles(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(file string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(file, ".go") {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func filesNamedIn(comment string) (names []string) {
	for _, kind := range []*regexp.Regexp{fileInComment, pathInComment} {
		for _, match := range kind.FindAllStringSubmatch(comment, -1) {
			names = append(names, match[1])
		}
	}
	return names
}

// exists reports whether there is any of the paths.
func exists(paths ...string) bool {
	return slices.ContainsFunc(paths, func(one string) bool {
		_, err := os.Stat(one)
		return err == nil
	})
}

// TestOnlyProgramsKnowCobra keeps the command line out of what works behind it.
func TestOnlyProgramsKnowCobra(t *testing.T) {
	for _, p := range ourPackages(t) {
		if p.Name != "main" && slices.Contains(p.Imports, "github.com/spf13/cobra") {
			t.Errorf("%s must not import cobra", p.ImportPath)
		}
	}
}

// TestNoNameHidesAPackage lets nothing be called like a package that the file
// imports, or like the package that it is in.
func TestNoNameHidesAPackage(t *testing.T) {
	for _, file := range goFiles(t) {
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		packages := packagesNamedIn(parsed)
		for _, name := range namesGivenIn(parsed) {
			if packages[name.Name] {
				t.Errorf("%s: %s hides the package of that name", files.Position(name.Pos()), name.Name)
			}
		}
	}
}

// majorVersion ends the path of a module, and is no part of its name.
var majorVersion = regexp.MustCompile(`/v\d+$`)

func packagesNamedIn(file *ast.File) map[string]bool {
	packages := map[string]bool{strings.TrimSuffix(file.Name.Name, "_test"): true}
	delete(packages, "main") // which is a function, too
	for _, imported := range file.Imports {
		from := strings.Trim(imported.Path.Value, `"`)
		name := path.Base(majorVersion.ReplaceAllString(from, ""))
		if imported.Name != nil {
			name = imported.Name.Name
		}
		packages[name] = true
	}
	return packages
}

// namesGivenIn are the names of variables, constants, parameters and functions.
func namesGivenIn(file *ast.File) (names []*ast.Ident) {
	give := func(expressions ...ast.Expr) {
		for _, e := range expressions {
			if name, ok := e.(*ast.Ident); ok {
				names = append(names, name)
			}
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.AssignStmt:
			if node.Tok == token.DEFINE {
				give(node.Lhs...)
			}
		case *ast.RangeStmt:
			give(node.Key, node.Value)
		case *ast.ValueSpec:
			names = append(names, node.Names...)
		case *ast.FuncDecl:
			if node.Recv == nil {
				give(node.Name)
			} else {
				names = append(names, namesOf(node.Recv)...)
			}
		case *ast.FuncType:
			names = append(append(names, namesOf(node.Params)...), namesOf(node.Results)...)
		}
		return true
	})
	return names
}

func namesOf(list *ast.FieldList) (names []*ast.Ident) {
	if list == nil {
		return nil
	}
	for _, field := range list.List {
		names = append(names, field.Names...)
	}
	return names
}
