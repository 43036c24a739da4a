// SPDX-License-Identifier: Apache-2.0

package bus

import "testing"

// LimitMessages has lists be refused that are longer than that, for one test.
func LimitMessages(t *testing.T, bytes int) {
	before := maxMessage
	maxMessage = bytes
	t.Cleanup(func() { maxMessage = before })
}
