// SPDX-License-Identifier: Apache-2.0

package client

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// codesIn are the constants of a type, as they stand in the source.
func codesIn(t *testing.T, file, ofType string) (codes []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == ofType {
			codes = append(codes, strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`))
		}
		return true
	})
	return codes
}

func texts[T ~string](codes []T) (all []string) {
	for _, code := range codes {
		all = append(all, string(code))
	}
	return all
}

func TestTheListsOfCodesHaveAllOfThem(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for what, c := range map[string]struct {
		file string
		list []string
	}{
		"EventKind": {"event.go", texts(EventKinds)},
		"Reason":    {"reason.go", texts(Reasons)},
		"Refusal":   {"reason.go", texts(Refusals)},
		"ActorKind": {"actor.go", texts(ActorKinds)},
		"KeyKind":   {"identity.go", texts(KeyKinds)},
		"Rule":      {"rule.go", texts(Rules)},
		"Verdict":   {"rule.go", texts(Verdicts)},
		"Remedy":    {"rule.go", texts(Remedies)},
	} {
		codes := codesIn(t, c.file, what)
		if !slices.Equal(codes, c.list) {
			t.Errorf("of %s there are %q, and listed are %q", what, codes, c.list)
		}
		for _, code := range codes {
			if !form.MatchString(code) {
				t.Errorf("the %s %q is no code", what, code)
			}
		}
	}
}
