// SPDX-License-Identifier: Apache-2.0

// Command linked tells what is linked into programs, for those who get them in a
// package: the licences, as Debian's machine-readable copyright file, or all modules
// with their sums, as an SBOM in the JSON of CycloneDX. It must run in the module that
// the programs were built from.
//
//	linked copyright|sbom NAME VERSION PROGRAM...
package main

import (
	"cmp"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "linked: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) < 4 {
		return errors.New("usage: linked copyright|sbom NAME VERSION PROGRAM")
	}
	l, err := linkedInto(args[3:])
	if err != nil {
		return err
	}
	switch args[0] {
	case "copyright":
		return l.writeCopyright(out, args[1])
	case "sbom":
		return l.writeSBOM(out, args[1], args[2])
	default:
		return fmt.Errorf("%q is neither copyright nor sbom", args[0])
	}
}

// linked is what the programs were made from.
type linked struct {
	goVersion string
	modules   []module // without our own, by path
}

type module struct {
	path, version, sum string
	license            license
}

// linkedInto reads what the linker has written into the programs.
func linkedInto(programs []string) (l linked, err error) {
	found := make(map[string]*debug.Module)
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return linked{}, err
		}
		l.goVersion = strings.TrimPrefix(info.GoVersion, "go")
		for _, dep := range info.Deps {
			if dep.Replace != nil {
				dep = dep.Replace
			}
			found[dep.Path] = dep
		}
	}
	for _, dep := range slices.SortedFunc(maps.Values(found), func(a, b *debug.Module) int { return cmp.Compare(a.Path, b.Path) }) {
		dir, err := goCommand("list", "-m", "-f", "{{.Dir}}", dep.Path)
		if err != nil {
			return linked{}, err
		}
		license, err := licenseIn(dir)
		if err != nil {
			return linked{}, err
		}
		l.modules = append(l.modules, module{path: dep.Path, version: dep.Version, sum: dep.Sum, license: license})
	}
	root, err := goCommand("env", "GOROOT")
	if err != nil {
		return linked{}, err
	}
	standard, err := licenseIn(root)
	l.modules = append(l.modules, module{path: "std", version: "v" + l.goVersion, license: standard})
	return l, err
}

func goCommand(args ...string) (string, error) {
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
