// SPDX-License-Identifier: Apache-2.0

package main

// version is what --version shows. The Makefile sets it.
var version = "devel"
