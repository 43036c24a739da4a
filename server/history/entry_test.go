// SPDX-License-Identifier: Apache-2.0

package history

import (
	"testing"

	"mandos/server/client"
)

func TestOfEachKindOfEventIsSaidWhetherItIsKept(t *testing.T) {
	for _, kind := range client.EventKinds {
		if _, said := kept[kind]; !said {
			t.Errorf("nothing is said of %s", kind)
		}
	}
}
