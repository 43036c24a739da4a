// SPDX-License-Identifier: Apache-2.0

// Command mandos is the Mandos server: it hands each client on the network that
// proves its key the client's own encrypted secret, and keeps checking that every
// client is still alive. See mandos(8).
package main

import (
	"os"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
