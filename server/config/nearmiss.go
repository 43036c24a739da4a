// SPDX-License-Identifier: Apache-2.0

package config

import "slices"

// warnOfNearMisses tells of keys that look like slips of known ones. Other
// unknown keys are the administrator's own, as are those that are referred to.
func warnOfNearMisses(f *findings, s *section, known []string, referred map[string]bool) {
	for _, key := range s.keys {
		if slices.Contains(known, key) || referred[key] {
			continue
		}
		for _, meant := range known {
			if oneEditApart(key, meant) {
				f.warnf(s.settings[key].Place, "the key %q is unknown and ignored; was %q meant?", key, meant)
			}
		}
	}
}

// oneEditApart says whether one insertion, deletion or substitution of a
// character, or the swap of two neighbours, turns a into b.
func oneEditApart(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if i == len(b) {
		return false // the same
	}
	switch len(b) - len(a) {
	case 0:
		swapped := i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		return swapped || a[i+1:] == b[i+1:]
	case 1:
		return a[i:] == b[i+1:]
	}
	return false
}
