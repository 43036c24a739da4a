// SPDX-License-Identifier: Apache-2.0

// Package keytlstest is the other side of keytls, for tests: a peer that owns a
// key, as a Mandos client does.
package keytlstest
