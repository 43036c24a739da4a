// SPDX-License-Identifier: Apache-2.0

package systemd

// Extend is what ExtendStart does at each tick.
var Extend = extend
