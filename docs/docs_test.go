// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"encoding/xml"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"mandos/dbusapi"
	"mandos/server/client"
	"mandos/server/config"
	"mandos/server/keytls"
	"mandos/server/keytls/priority"
	"mandos/server/statistics"
)

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// manPages are the sources of all manual pages.
func manPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("man/*")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no manual pages: %v", err)
	}
	return pages
}

// entries are the tagged items of a manual page, without their markup, each
// with the text that follows it.
func entries(t *testing.T, page string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	var tags []string
	for line := range strings.Lines(read(t, page)) {
		if tag, ok := strings.CutPrefix(line, ".It "); ok {
			tag = plain(tag)
			if found[tag] != "" {
				t.Errorf("%s has %q twice", page, tag)
			}
			tags = append(tags, tag)
			found[tag] = " "
			continue
		}
		if strings.HasPrefix(line, ".El") {
			tags = nil
		}
		if len(tags) > 0 {
			found[tags[len(tags)-1]] += line
		}
	}
	return found
}

var (
	longFlag  = regexp.MustCompile(`\bFl -`)
	shortFlag = regexp.MustCompile(`\bFl `)
	macro     = regexp.MustCompile(`\b(Ar|Cm|Ic|Li|Pa|Ev|Dv|No|Oo|Oc|Op) `)
)

// plain takes the markup from a line of mdoc(7) as far as the pages here use it.
func plain(s string) string {
	s = longFlag.ReplaceAllString(s, "--")
	s = shortFlag.ReplaceAllString(s, "-")
	s = macro.ReplaceAllString(s, "")
	s = strings.NewReplacer(" Ns ", "", " , ", ", ", `\&`, "").Replace(s)
	return strings.TrimSpace(s)
}

func TestManPagesRenderWithoutWarnings(t *testing.T) {
	for _, page := range manPages(t) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			output, err := exec.Command("groff", "-Tutf8", "-mdoc", "-ww", "-z", page).CombinedOutput()
			if err != nil || len(output) > 0 {
				t.Errorf("groff (package groff-base): %v\n%s", err, output)
			}
			man := exec.Command("man", "--warnings", "--local-file", page)
			man.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8")
			var warnings strings.Builder
			man.Stderr = &warnings
			text, err := man.Output()
			if err != nil || warnings.Len() > 0 {
				t.Errorf("man (package man-db): %v\n%s", err, warnings.String())
			}
			if !strings.Contains(string(text), "SEE ALSO") {
				t.Errorf("man shows no page, or one without SEE ALSO:\n%s", text)
			}
		})
	}
}

// TestReferencesBetweenManPages also checks the mandos pages that are not ours.
func TestReferencesBetweenManPages(t *testing.T) {
	others := []string{"mandos-client 8mandos", "mandos-ctl 8", "mandos-keygen 8", "mandos-monitor 8"}
	known := slices.Clone(others)
	for _, page := range manPages(t) {
		section := strings.TrimPrefix(filepath.Ext(page), ".")
		known = append(known, strings.TrimSuffix(filepath.Base(page), filepath.Ext(page))+" "+section)
	}
	reference := regexp.MustCompile(`(?m)^\.Xr (\S+ \S+)`)
	for _, page := range manPages(t) {
		for _, match := range reference.FindAllStringSubmatch(read(t, page), -1) {
			to := match[1]
			if (strings.HasPrefix(to, "mandos") || strings.HasPrefix(to, "intro")) && !slices.Contains(known, to) {
				t.Errorf("%s refers to the page %q, which there is not", page, to)
			}
		}
	}
}

func TestEveryOptionIsInMandos8(t *testing.T) {
	flags := pflag.NewFlagSet("mandos", pflag.ContinueOnError)
	config.AddFlags(flags)
	var want []string
	documented := optionEntries(t, "man/mandos.8")
	flags.VisitAll(func(f *pflag.Flag) {
		tag := "--" + f.Name
		if f.Shorthand != "" {
			tag = "-" + f.Shorthand + ", " + tag
		}
		if argument, _ := pflag.UnquoteUsage(f); f.Value.Type() != "bool" {
			tag += "=" + argument
		}
		want = append(want, tag)
		if f.Value.Type() != "bool" && f.DefValue != "" && !strings.Contains(documented[tag], f.DefValue) {
			t.Errorf("the text of %s does not tell its default, %s:\n%s", tag, f.DefValue, documented[tag])
		}
	})
	want = append(want, "-h, --help", "-v, --version")
	slices.Sort(want)
	got := slices.Sorted(maps.Keys(documented))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options that there are (-) and that are documented (+):\n%s", diff)
	}
}

// optionEntries are the entries that begin with a dash.
func optionEntries(t *testing.T, page string) map[string]string {
	t.Helper()
	options := entries(t, page)
	maps.DeleteFunc(options, func(tag, _ string) bool { return !strings.HasPrefix(tag, "-") })
	return options
}

// mandosctlHelp is what a command of mandosctl says of itself.
type mandosctlHelp struct {
	commands []string
	flags    []string // as they are documented; without those that all commands have
}

var (
	listed = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*)  +[A-Z]`) // a command and its sentence
	flag   = regexp.MustCompile(`(?m)^  +(-\w, )?(--[a-z-]+)( \w+)?  `)
)

// helpOf asks a program for its help.
func helpOf(t *testing.T, program string, args ...string) (help mandosctlHelp) {
	t.Helper()
	output, err := exec.Command(program, append(args, "--help")...).Output()
	if err != nil {
		t.Fatalf("%q --help: %v", args, err)
	}
	before, flags, ok := strings.Cut(string(output), "\nFlags:\n")
	if !ok {
		t.Fatalf("%q has no flags in its help:\n%s", args, output)
	}
	for _, match := range listed.FindAllStringSubmatch(before, -1) {
		help.commands = append(help.commands, match[1])
	}
	flags, _, _ = strings.Cut(flags, "\nGlobal Flags:\n")
	for _, match := range flag.FindAllStringSubmatch(flags, -1) {
		tag := match[1] + match[2]
		if argument := strings.TrimSpace(match[3]); argument != "" {
			tag += "=" // the manual page has a better name for the argument
		}
		if len(args) == 0 || tag != "-h, --help" {
			help.flags = append(help.flags, tag)
		}
	}
	slices.Sort(help.flags)
	return help
}

// documentedFlags are the options in the text of a page, without the names of
// their arguments.
func documentedFlags(text string) []string {
	var flags []string
	for line := range strings.Lines(text) {
		tag, isTag := strings.CutPrefix(line, ".It Fl ")
		if isTag {
			name, _, hasArgument := strings.Cut(plain("Fl "+tag), "=")
			if hasArgument {
				name += "="
			}
			flags = append(flags, name)
		}
	}
	slices.Sort(flags)
	return flags
}

func TestEveryCommandIsInMandosctl1(t *testing.T) {
	program := filepath.Join(t.TempDir(), "mandosctl")
	if output, err := exec.Command("go", "build", "-o", program, "../mandosctl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	page := read(t, "man/mandosctl.1")
	general, rest, _ := strings.Cut(page, "\n.Sh COMMANDS")
	root := helpOf(t, program)
	if diff := cmp.Diff(root.flags, documentedFlags(general)); diff != "" {
		t.Errorf("options of all commands that there are (-) and that are documented (+):\n%s", diff)
	}
	var documented []string
	for _, section := range strings.Split("\n"+rest, "\n.Ss ")[1:] {
		command := strings.Fields(section)[0]
		documented = append(documented, command)
		section, _, _ = strings.Cut(section, "\n.Sh ")
		if !slices.Contains(root.commands, command) {
			continue
		}
		if diff := cmp.Diff(helpOf(t, program, command).flags, documentedFlags(section)); diff != "" {
			t.Errorf("options of %s that there are (-) and that are documented (+):\n%s", command, diff)
		}
	}
	slices.Sort(documented)
	slices.Sort(root.commands)
	if diff := cmp.Diff(root.commands, documented); diff != "" {
		t.Errorf("commands that there are (-) and that are documented (+):\n%s", diff)
	}
}

// TestEveryFieldOfJSONIsInMandosctl1 looks for the fields in the source.
func TestEveryFieldOfJSONIsInMandosctl1(t *testing.T) {
	_, page, _ := strings.Cut(read(t, "man/mandosctl.1"), "\n.Sh JSON\n")
	files, err := filepath.Glob("../mandosctl/jsonoutput/*.go")
	if err != nil {
		t.Fatal(err)
	}
	field := regexp.MustCompile("`json:\"(\\w+)")
	found := 0
	for _, file := range files {
		for _, match := range field.FindAllStringSubmatch(read(t, file), -1) {
			found++
			if !strings.Contains(page, "\n.Ql "+match[1]+" ") && !strings.Contains(page, "\n.Ql "+match[1]+"\n") {
				t.Errorf("the field %s, in %s, is not documented", match[1], file)
			}
		}
	}
	if found < 30 {
		t.Errorf("found only %d fields in the source", found)
	}
}

// literals are the string literals in the declaration of a variable of a Go
// source file, of each composite literal by the names of its fields, or else by
// their positions.
func literals(t *testing.T, file, variable string) (found []map[string]string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declaration := parsed.Scope.Lookup(variable)
	if declaration == nil {
		t.Fatalf("%s declares no %s", file, variable)
	}
	ast.Inspect(declaration.Decl.(ast.Node), func(n ast.Node) bool {
		composite, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		fields := make(map[string]string)
		for i, element := range composite.Elts {
			name := strconv.Itoa(i)
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				name, element = fmt.Sprint(pair.Key), pair.Value
			}
			if literal, ok := element.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				fields[name], _ = strconv.Unquote(literal.Value)
			}
		}
		found = append(found, fields)
		return true
	})
	return found
}

func TestEveryKeyIsInItsManPage(t *testing.T) {
	serverKeys, clientKeys := make(map[string]string), make(map[string]string) // and their defaults
	for _, option := range literals(t, "../server/config/options.go", "options") {
		if key := option["key"]; key != "" {
			serverKeys[key] = option["byDefault"]
		}
	}
	for _, setting := range client.AllSettings {
		clientKeys[setting.Key] = setting.Default
	}
	clientKeys["enabled"] = "True"
	for _, list := range literals(t, "../server/config/clients.go", "knownClientKeys") {
		for _, key := range list {
			clientKeys[key] = ""
		}
	}
	for page, defaults := range map[string]map[string]string{
		"man/mandos.conf.5":         serverKeys,
		"man/mandos-clients.conf.5": clientKeys,
	} {
		t.Run(filepath.Base(page), func(t *testing.T) {
			if len(defaults) < 10 {
				t.Fatalf("found only these keys in the source: %v", defaults)
			}
			var documented []string
			for tag, text := range entries(t, page) {
				key, _, isKey := strings.Cut(tag, " = ")
				if !isKey {
					continue
				}
				documented = append(documented, key)
				if !strings.Contains(text, defaults[key]) {
					t.Errorf("the text of %s does not tell its default, %s", key, defaults[key])
				}
			}
			slices.Sort(documented)
			if diff := cmp.Diff(slices.Sorted(maps.Keys(defaults)), documented); diff != "" {
				t.Errorf("keys that there are (-) and that are documented (+):\n%s", diff)
			}
		})
	}
}

// examples are the literal blocks in a section of a manual page.
func examples(t *testing.T, page, section string) []string {
	t.Helper()
	_, text, ok := strings.Cut(read(t, page), "\n.Sh "+section+"\n")
	if !ok {
		t.Fatalf("%s has no section %s", page, section)
	}
	text, _, _ = strings.Cut(text, "\n.Sh ")
	var blocks []string
	for {
		_, rest, ok := strings.Cut(text, "\n.Bd -literal -offset indent\n")
		if !ok {
			return blocks
		}
		var block string
		block, text, _ = strings.Cut(rest, ".Ed\n")
		blocks = append(blocks, strings.ReplaceAll(block, `\&`, ""))
	}
}

func TestExamplesOfConfigurationAreRight(t *testing.T) {
	for page, file := range map[string]string{
		"man/mandos.conf.5":         "mandos.conf",
		"man/mandos-clients.conf.5": "clients.conf",
	} {
		tried := 0
		for _, example := range examples(t, page, "EXAMPLES") {
			if !strings.HasPrefix(example, "[DEFAULT]") {
				continue
			}
			tried++
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, file), []byte(example), 0o600); err != nil {
				t.Fatal(err)
			}
			flags := pflag.NewFlagSet("mandos", pflag.ContinueOnError)
			options := config.AddFlags(flags)
			if err := flags.Parse([]string{"--configdir", dir}); err != nil {
				t.Fatal(err)
			}
			read, err := options.Load()
			if err != nil {
				t.Errorf("%s:\n%s\n%v", page, example, err)
				continue
			}
			for _, warning := range read.Warnings {
				t.Errorf("%s:\n%s\n%v", page, example, warning)
			}
		}
		if tried == 0 {
			t.Errorf("%s has no example of a configuration", page)
		}
	}
}

// A member of an interface, as dbus.md writes it in the first cell of a table.
type (
	arg struct {
		Name      string `xml:"name,attr"`
		Type      string `xml:"type,attr"`
		Direction string `xml:"direction,attr"`
	}
	member struct {
		Name   string `xml:"name,attr"`
		Args   []arg  `xml:"arg"`
		Type   string `xml:"type,attr"`
		Access string `xml:"access,attr"`
	}
	dbusInterface struct {
		Name       string   `xml:"name,attr"`
		Methods    []member `xml:"method"`
		Signals    []member `xml:"signal"`
		Properties []member `xml:"property"`
	}
)

func (m member) call() string {
	var in, out []string
	for _, a := range m.Args {
		if text := a.Type + " " + a.Name; a.Direction == "out" {
			out = append(out, text)
		} else {
			in = append(in, text)
		}
	}
	call := fmt.Sprintf("`%s(%s)`", m.Name, strings.Join(in, ", "))
	if len(out) > 0 {
		call += fmt.Sprintf(" → `%s`", strings.Join(out, ", "))
	}
	return call
}

func (m member) property() string {
	access := map[string]string{"read": "read", "write": "write", "readwrite": "read, write"}
	return fmt.Sprintf("`%s` | `%s` | %s", m.Name, m.Type, access[m.Access])
}

func TestEveryMemberIsInDBusPage(t *testing.T) {
	page := read(t, "dbus.md")
	files, err := filepath.Glob("../dbusapi/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no introspection data: %v", err)
	}
	for _, file := range files {
		var described struct {
			Interfaces []dbusInterface `xml:"interface"`
		}
		if err := xml.Unmarshal([]byte(read(t, file)), &described); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, face := range described.Interfaces {
			t.Run(face.Name, func(t *testing.T) {
				var want []string
				for _, m := range slices.Concat(face.Methods, face.Signals) {
					want = append(want, m.call())
				}
				for _, m := range face.Properties {
					want = append(want, m.property())
				}
				_, section, ok := strings.Cut(page, "\n### "+face.Name+"\n")
				if !ok {
					t.Fatalf("there is no section %q", "### "+face.Name)
				}
				section, _, _ = strings.Cut(section, "\n## ")
				section, _, _ = strings.Cut(section, "\n### ")
				got := firstCells(section)
				slices.Sort(want)
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("members that there are (-) and that are documented (+):\n%s", diff)
				}
			})
		}
	}
	for _, name := range []string{dbusapi.BusName, dbusapi.ClientsPath} {
		if !strings.Contains(page, "`"+name) {
			t.Errorf("%s is not in dbus.md", name)
		}
	}
}

var row = regexp.MustCompile("(?m)^\\| (`.*) \\| [^|]*[^| ][^|]* \\|$")

// firstCells are the rows of tables that begin with code, without the text in
// their last cells.
func firstCells(section string) (cells []string) {
	for _, match := range row.FindAllStringSubmatch(section, -1) {
		cells = append(cells, match[1])
	}
	return cells
}

// pages are all Markdown files of the project.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"../*.md", "*.md", "*/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, files...)
	}
	return found
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	code    = regexp.MustCompile("(?s)```.*?```")
	notSlug = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are what the headings of a page can be referred to by.
func anchors(page string) []string {
	var found []string
	for _, match := range heading.FindAllStringSubmatch(code.ReplaceAllString(page, ""), -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(match[1]), "")
		found = append(found, strings.ReplaceAll(slug, " ", "-"))
	}
	return found
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, page), ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(match[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, match[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s: there is no heading for the link to %s", page, match[1])
			}
		}
	}
}

// TestIndexIsComplete checks that every page can be found from README.md beside it, or
// above.
func TestIndexIsComplete(t *testing.T) {
	for _, page := range slices.Concat(pages(t), manPages(t)) {
		index := "README.md"
		if strings.HasPrefix(page, "../") {
			index = "../README.md"
		}
		link := "(" + strings.TrimPrefix(page, "../") + ")"
		if page != index && !strings.Contains(read(t, index), link) {
			t.Errorf("%s has no link to %s", index, page)
		}
	}
}

// TestProtocolPageHasWhatIsOffered compares the lists of the ClientHello with what
// the default priority string makes of them, in their order.
func TestProtocolPageHasWhatIsOffered(t *testing.T) {
	flags := pflag.NewFlagSet("mandos", pflag.ContinueOnError)
	config.AddFlags(flags)
	byDefault, err := priority.Parse(flags.Lookup("priority").DefValue)
	if err != nil {
		t.Fatal(err)
	}
	offer := byDefault.Config(func() bool { return true })
	var want []string
	row := func(name fmt.Stringer, value uint16) {
		want = append(want, fmt.Sprintf("`%v` | `%04x`", name, value))
	}
	for _, version := range []keytls.Version{keytls.VersionTLS13, keytls.VersionTLS12} {
		for _, suite := range offer.CipherSuites {
			if suite.Version() == version {
				row(suite, uint16(suite))
			}
		}
		if version == keytls.VersionTLS13 {
			for _, group := range offer.Groups {
				row(group, uint16(group))
			}
		}
		for _, scheme := range offer.SignatureSchemes {
			if scheme.Version() == version {
				row(scheme, uint16(scheme))
			}
		}
	}
	offered := regexp.MustCompile("(?m)^\\| (`\\w+` \\| `[0-9a-f]{4}`) \\|$")
	var got []string
	for _, match := range offered.FindAllStringSubmatch(read(t, "protocol.md"), -1) {
		got = append(got, match[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("offered (-) and documented (+):\n%s", diff)
	}
}

// TestSentencesOfTheLogAreInTheSource looks for the sentences that an administrator
// is told to look for.
func TestSentencesOfTheLogAreInTheSource(t *testing.T) {
	var source strings.Builder
	err := filepath.WalkDir("../server", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			source.WriteString(read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var sentences []string
	_, diagnostics, _ := strings.Cut(read(t, "man/mandos.8"), "\n.Sh DIAGNOSTICS\n")
	for _, match := range regexp.MustCompile(`(?m)^\.It Li (.+)$`).FindAllStringSubmatch(diagnostics, -1) {
		sentences = append(sentences, match[1])
	}
	_, table, _ := strings.Cut(read(t, "differences.md"), "\n| Python server | here |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		here := line[strings.LastIndex(line, " | "):]
		for _, match := range regexp.MustCompile("`(.+?)`").FindAllStringSubmatch(here, -1) {
			sentences = append(sentences, match[1])
		}
	}
	if len(sentences) < 15 {
		t.Fatalf("found only these sentences: %q", sentences)
	}
	variable := regexp.MustCompile(`: |\bNAME\b|…|\w+=`)
	for _, sentence := range sentences {
		for _, part := range variable.Split(sentence, -1) {
			if part = strings.TrimSpace(part); len(part) > 3 && !strings.Contains(source.String(), part) {
				t.Errorf("nothing logs %q of %q", part, sentence)
			}
		}
	}
}

func TestEveryStatisticIsInDBusPage(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "dbus.md"), "\n## Statistics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var want []string
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\|$").FindAllStringSubmatch(section, -1)
	for _, s := range statistics.List() {
		name, kind, several := strings.Cut(s.Name, ".")
		if several {
			name += "." + strings.ToUpper(s.Label)
		}
		if !slices.Contains(want, name) {
			want = append(want, name)
		}
		of := slices.IndexFunc(rows, func(row []string) bool { return row[1] == name })
		switch {
		case of < 0:
		case several && s.Label != "code" && !strings.Contains(rows[of][2], "`"+kind+"`"):
			t.Errorf("what is said of %s lacks %s", name, kind)
		case (s.Type == dbusapi.Gauge) != strings.Contains(rows[of][2], "a gauge"):
			t.Errorf("what is said of %s is wrong about a gauge", name)
		}
	}
	var got []string
	for _, row := range rows {
		got = append(got, row[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statistics that there are (-) and that are documented (+):\n%s", diff)
	}
}

func TestEveryCodeIsDocumented(t *testing.T) {
	var codes []string
	for _, kind := range dbusapi.EventKinds {
		codes = append(codes, string(kind))
	}
	for _, why := range dbusapi.Reasons {
		codes = append(codes, string(why))
	}
	for _, why := range dbusapi.Refusals {
		codes = append(codes, string(why))
	}
	for _, kind := range dbusapi.KeyKinds {
		codes = append(codes, string(kind))
	}
	for _, who := range dbusapi.ActorKinds {
		codes = append(codes, string(who))
	}
	var ofTheBusAlone []string
	for _, rule := range dbusapi.Rules {
		ofTheBusAlone = append(ofTheBusAlone, string(rule))
	}
	for _, verdict := range dbusapi.Verdicts {
		ofTheBusAlone = append(ofTheBusAlone, string(verdict))
	}
	for _, remedy := range dbusapi.Remedies {
		ofTheBusAlone = append(ofTheBusAlone, string(remedy))
	}
	codes = append(codes, ofTheBusAlone...)
	ofTheWatchAlone := []string{string(dbusapi.ServerUp), string(dbusapi.ServerDown), string(dbusapi.BusLost)}
	for page, form := range map[string]string{"man/mandosctl.1": ".Ql %s\n", "dbus.md": "`%s`"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.ReplaceAll(string(text), " ,\n", "\n")
		plain = strings.ReplaceAll(plain, " .\n", "\n")
		for _, code := range codes {
			if page == "dbus.md" && slices.Contains(ofTheWatchAlone, code) || page != "dbus.md" && slices.Contains(ofTheBusAlone, code) {
				continue
			}
			if !strings.Contains(plain, fmt.Sprintf(form, code)) {
				t.Errorf("%s says nothing of %s", page, code)
			}
		}
	}
}
