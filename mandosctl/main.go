// SPDX-License-Identifier: Apache-2.0

// Command mandosctl watches and steers the Mandos server over D-Bus. See
// mandosctl(1).
//
// Each command has a file of its own, with its options, its flags and its work.
// What several of them do is in the packages below and in:
//
//	command.go   the program, its exit statuses, its connection to the server
//	usage.go     what is wrong with a command line
//	duration.go  durations on it
//	act.go       choosing clients, and doing something to each of them
//	gone.go      clients that are not there
package main

import (
	"os"

	"mandos/mandosctl/console"
)

// version is what --version shows. The Makefile sets it.
var version = "devel"

func main() { os.Exit(run(os.Args[1:], console.Std())) }
