// SPDX-License-Identifier: Apache-2.0

package jsonoutput

// Findings is the document of "lint".
type Findings struct {
	SchemaVersion int       `json:"schemaVersion"`
	Findings      []Finding `json:"findings"`
}

// Finding is something that is wrong with the configuration.
type Finding struct {
	Severity string `json:"severity"` // "error" or "warning"
	File     string `json:"file"`
	Line     int    `json:"line"` // 0 for the file as a whole
	Section  string `json:"section"`
	Key      string `json:"key"`
	Problem  string `json:"problem"` // and what to do
}

// OfFindings makes the document.
func OfFindings(findings []Finding) Findings {
	if findings == nil {
		findings = []Finding{}
	}
	return Findings{SchemaVersion, findings}
}
