// SPDX-License-Identifier: Apache-2.0

package jsonoutput

import (
	"time"

	"mandos/dbusapi"
)

// AllGone is the document of "list --gone".
type AllGone struct {
	SchemaVersion int    `json:"schemaVersion"`
	Gone          []Gone `json:"gone"`
}

// Gone is one client that is not there.
type Gone struct {
	Name        string         `json:"name"`
	KeyID       string         `json:"keyID"`
	Fingerprint string         `json:"fingerprint"`
	GoneSince   *time.Time     `json:"goneSince"` // null while its section stands
	Because     dbusapi.Reason `json:"because"`   // what is against it, or empty
	By          *Actor         `json:"by"`        // null for nobody
	Since       *time.Time     `json:"since"`
	DeniedUntil *time.Time     `json:"deniedUntil"`
}

// OfGone makes the document.
func OfGone(gone []dbusapi.Gone) AllGone {
	document := AllGone{SchemaVersion: SchemaVersion, Gone: make([]Gone, len(gone))}
	for i, g := range gone {
		document.Gone[i] = Gone{
			Name: g.Name, KeyID: g.KeyID, Fingerprint: g.Fingerprint, GoneSince: orNull(g.GoneSince),
			Because: g.Because, By: actorOrNull(g.By), Since: orNull(g.Since), DeniedUntil: orNull(g.DeniedUntil),
		}
	}
	return document
}
