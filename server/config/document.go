// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/ini.v1"
)

// document is one configuration file, read but not interpreted.
type document struct {
	defaults *section   // [DEFAULT]
	sections []*section // the others, in order
}

type section struct {
	file     string
	line     int
	name     string
	keys     []string // in order
	settings map[string]setting
}

func newSection(file string, line int, name string) *section {
	return &section{file: file, line: line, name: name, settings: map[string]setting{}}
}

// place is that of the section itself, or of what it lacks.
func (s *section) place(key string) Place {
	return Place{File: s.file, Line: s.line, Section: s.name, Key: key}
}

// setting is one key of a section, its value not expanded yet.
type setting struct {
	Place
	raw string
}

// readDocument reads a file that need not exist. What is wrong with it goes to
// f; known are the keys that may be named there. The mode is 0 for a missing file.
func readDocument(f *findings, file string, known []string) (*document, fs.FileMode) {
	f.files[file] = Place{File: file}
	data, mode, err := readFile(file, maxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.errorf(Place{File: file}, "%v", err)
	}
	return parse(f, file, string(data), known), mode
}

// parse reads as Python's configparser does: strict, = and : as delimiters,
// whole-line comments only. ini.v1 does the reading, of a text that canonical
// has prepared for it.
func parse(f *findings, file, text string, known []string) *document {
	doc := &document{defaults: newSection(file, 0, "DEFAULT")}
	if !checkEncoding(f, file, text) {
		return doc
	}
	read, err := ini.LoadSources(ini.LoadOptions{
		AllowNonUniqueSections:  true, // they are unique, and looking for others takes quadratic time
		IgnoreInlineComment:     true,
		IgnoreContinuation:      true,
		PreserveSurroundedQuote: true,
		KeyValueDelimiters:      "=",
	}, []byte(canonical(f, file, text, known)))
	if err != nil {
		// The error itself would quote the file.
		f.errorf(Place{File: file}, "the file cannot be read as an ini file")
		return doc
	}
	// The first section is ini.v1's own, for settings above all headers.
	for _, s := range read.Sections()[1:] {
		doc.add(f, file, s, known)
	}
	return doc
}

func (doc *document) add(f *findings, file string, read *ini.Section, known []string) {
	line, name := numbered(read.Name())
	into := doc.defaults
	if name == doc.defaults.name {
		into.line = line
	} else {
		into = newSection(file, line, name)
		doc.sections = append(doc.sections, into)
	}
	for _, key := range read.Keys() {
		line, name := numbered(key.Name())
		place := Place{File: file, Line: line, Section: into.name}
		if slices.Contains(known, name) {
			place.Key = name
		}
		if first, ok := into.settings[name]; ok {
			f.errorf(place, "this key is in line %d of the section already; remove one of the two", first.Line)
			continue
		}
		into.keys = append(into.keys, name)
		into.settings[name] = setting{place, originalValue(key.Value())}
	}
}

// numbered takes apart what canonical put together: a line number and a name.
func numbered(s string) (line int, name string) {
	digits, name, _ := strings.Cut(s, " ")
	line, _ = strconv.Atoi(digits)
	return line, name
}
