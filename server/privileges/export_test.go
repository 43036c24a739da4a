// SPDX-License-Identifier: Apache-2.0

package privileges

// What the tests reach besides the exported names.
var (
	FindWith     = find
	VerifyStatus = verifyStatus
	Overflow     = overflow
)
