// SPDX-License-Identifier: Apache-2.0

package notation

// IsSlip reports whether one insertion, deletion or substitution of a character,
// or the swap of two neighbours, turns what was written into what was meant.
func IsSlip(written, meant string) bool {
	a, b := written, meant
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
