// SPDX-License-Identifier: Apache-2.0

//go:build packages

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackageForRpm looks at the rpm: there is no system here that installs it with its
// scripts.
func TestPackageForRpm(t *testing.T) {
	file := filepath.Join(makeThere(t, "..", "packages", "1.2.3", "amd64"), "mandos-go-1.2.3-1.x86_64.rpm")
	rpm := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("rpm", args...).Output()
		if err != nil {
			t.Fatalf("rpm %v: %v", args, err)
		}
		return string(out)
	}
	scripts := rpm("--query", "--package", "--scripts", file)
	for name, heading := range map[string]string{"post": "postinstall", "preun": "preuninstall", "postun": "postuninstall"} {
		script, err := os.ReadFile("../etc/package/rpm/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(scripts, heading+" scriptlet (using /bin/sh):\n"+string(script)) {
			t.Errorf("%s is not its %s:\n%s", name, heading, scripts)
		}
	}
	if got, want := rpm("--query", "--package", "--configfiles", file), "/etc/default/mandos\n/etc/mandos/clients.conf\n/etc/mandos/mandos.conf\n"; got != want {
		t.Errorf("its configuration is\n%swant\n%s", got, want)
	}
	if got := rpm("--query", "--package", "--requires", file); !strings.Contains(got, "dbus\n") {
		t.Errorf("it requires %q", got)
	}
	files := rpm("--query", "--package", "--queryformat", "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILENAMES} %{FILEFLAGS:fflags}\n]", file)
	for _, line := range []string{"-rw------- root /etc/mandos/clients.conf cn", "-rwxr-xr-x root /usr/sbin/mandos ", "-rw-r--r-- root /usr/lib/systemd/system/mandos.service "} {
		if !strings.Contains(files, line+"\n") {
			t.Errorf("it does not have %q:\n%s", line, files)
		}
	}
	root := t.TempDir()
	rpm("--root", root, "--install", "--nodeps", "--noscripts", "--ignorearch", file)
	if out, err := exec.Command(filepath.Join(root, "usr/sbin/mandos"), "--version").Output(); string(out) != "mandos 1.2.3\n" {
		t.Errorf("what it installs is %q, error %v", out, err)
	}
}

// TestPackageForAlpine looks at the apk, which is two archives one after the other: what
// is said of it, with its scripts, and the files.
func TestPackageForAlpine(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(makeThere(t, "..", "packages", "1.2.3", "amd64"), "mandos-go_1.2.3-r1_x86_64.apk"))
	if err != nil {
		t.Fatal(err)
	}
	rest := bytes.NewReader(content)
	said := unpacked(t, rest)
	data := sha256.Sum256(content[len(content)-rest.Len():])
	files := unpacked(t, rest)
	for _, line := range []string{"pkgname = mandos-go", "pkgver = 1.2.3-r1", "arch = x86_64", "depend = dbus", fmt.Sprintf("datahash = %x", data)} {
		if !strings.Contains("\n"+string(said[".PKGINFO"].content), "\n"+line+"\n") {
			t.Errorf("it does not say %q:\n%s", line, said[".PKGINFO"].content)
		}
	}
	for _, name := range []string{"pre-install", "post-install", "post-upgrade", "pre-deinstall"} {
		script, err := os.ReadFile("../etc/package/apk/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := said["."+name]; !bytes.Equal(got.content, script) || got.mode != 0o755 {
			t.Errorf("its %s has mode %o and is\n%s", name, got.mode, got.content)
		}
	}
	for name, mode := range map[string]int64{"usr/sbin/mandos": 0o755, "usr/bin/mandosctl": 0o755, "etc/init.d/mandos": 0o755, "etc/mandos/clients.conf": 0o600, "etc/conf.d/mandos": 0o644} {
		if got, ok := files[name]; !ok || got.mode != mode {
			t.Errorf("%s has mode %o, there: %v", name, got.mode, ok)
		}
	}
}

// member is one of an archive.
type member struct {
	content []byte
	mode    int64
}

// unpacked reads one compressed archive, and not the one after it.
func unpacked(t *testing.T, r *bytes.Reader) map[string]member {
	t.Helper()
	compressed, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	compressed.Multistream(false)
	content, err := io.ReadAll(compressed)
	if err != nil {
		t.Fatal(err)
	}
	members := make(map[string]member)
	for archive := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return members
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		members[header.Name] = member{content, header.Mode}
	}
}
