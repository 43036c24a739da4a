// SPDX-License-Identifier: Apache-2.0

package bus_test

import (
	"os"
	"testing"

	"mandos/server/debiantest"
)

func TestMain(m *testing.M) {
	debiantest.HaveUsers()
	os.Exit(m.Run())
}
