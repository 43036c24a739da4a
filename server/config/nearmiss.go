// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"

	"mandos/dbusapi/notation"
)

// warnOfNearMisses tells of keys that look like slips of known ones. Other
// unknown keys are the administrator's own, as are those that are referred to.
func warnOfNearMisses(f *findings, s *section, known []string, referred map[string]bool) {
	for _, key := range s.keys {
		if slices.Contains(known, key) || referred[key] {
			continue
		}
		for _, meant := range known {
			if notation.IsSlip(key, meant) {
				f.warnf(s.settings[key].Place, "the key %q is unknown and ignored; was %q meant?", key, meant)
			}
		}
	}
}
