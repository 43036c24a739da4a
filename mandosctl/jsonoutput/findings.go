// SPDX-License-Identifier: Apache-2.0

package jsonoutput

import "mandos/dbusapi"

// Findings is the document of "lint".
type Findings struct {
	SchemaVersion int               `json:"schemaVersion"`
	Findings      []dbusapi.Finding `json:"findings"`
}

// OfFindings makes the document.
func OfFindings(findings []dbusapi.Finding) Findings {
	if findings == nil {
		findings = []dbusapi.Finding{}
	}
	return Findings{SchemaVersion, findings}
}
