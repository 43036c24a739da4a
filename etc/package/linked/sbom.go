// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
)

// sbom is a bill of materials as CycloneDX 1.5 has it. It has no time and no serial
// number, so that it is the same for the same programs.
type sbom struct {
	BOMFormat   string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string          `json:"type"`
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	PURL       string          `json:"purl,omitempty"`
	Licenses   []licenseChoice `json:"licenses"`
	Properties []property      `json:"properties,omitempty"`
}

type licenseChoice struct {
	License licenseID `json:"license"`
}

type licenseID struct {
	ID string `json:"id"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (l linked) writeSBOM(out io.Writer, name, version string) error {
	ours := component{Type: "application", Name: name, Version: version, Licenses: under("Apache-2.0")}
	bom := sbom{BOMFormat: "CycloneDX", SpecVersion: "1.5", Version: 1, Metadata: metadata{ours}}
	for _, m := range l.modules {
		c := component{
			Type: "library", Name: m.path, Version: m.version,
			PURL: "pkg:golang/" + m.path + "@" + m.version, Licenses: under(m.license.id),
		}
		if m.sum != "" { // as go.sum has it: a sum of the sums of all files, and so none of CycloneDX's "hashes"
			c.Properties = []property{{"go.sum", m.sum}}
		}
		bom.Components = append(bom.Components, c)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(bom)
}

func under(id string) []licenseChoice { return []licenseChoice{{licenseID{id}}} }
