// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"mandos/server/debiantest"
)

// scratch is a directory for what all tests share.
var scratch string

func TestMain(m *testing.M) {
	if os.Getenv(otherKernel) != "" {
		fmt.Fprintln(os.Stderr, becomeOnOtherKernel(os.Args[1:]))
		os.Exit(1)
	}
	debiantest.HaveUsers()
	var err error
	if scratch, err = os.MkdirTemp("", "mandos-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := os.Chmod(scratch, 0o755); err != nil { // for the server, which gives root up
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(scratch)
	os.Exit(status)
}

var built = sync.OnceValues(func() (string, error) {
	program := filepath.Join(scratch, "mandos")
	// The program is not part of the test. Go answers from its cache unless a test has
	// looked at what has changed since.
	for _, sources := range []string{".", "../dbusapi"} {
		if err := filepath.WalkDir(sources, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			return "", err
		}
	}
	// Built as make builds it, so that the one finds in Go's cache what the other left.
	build := exec.Command("go", "build", "-trimpath", "-o", program, "mandos/server")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

// mandos is the real program, built from this package.
func mandos(t testing.TB) string {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return program
}
