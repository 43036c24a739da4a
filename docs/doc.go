// SPDX-License-Identifier: Apache-2.0

// Package docs holds the documents of the project, for those who run it, and the
// tests that keep them complete and true. It has no code of its own.
package docs
