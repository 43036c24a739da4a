// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mandos/server/debiantest"
)

// configuration is a directory with a clients.conf of that owner.
func configuration(t *testing.T, uid, gid int) string {
	t.Helper()
	if uid != os.Getuid() || gid != os.Getgid() {
		debiantest.NeedRoot(t, "to give files away")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "clients.conf")
	if err := errors.Join(os.WriteFile(file, nil, 0o644), os.Chown(file, uid, gid)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func checkFile(t *testing.T, path, text string, uid, gid int) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if string(got) != text || info.Mode() != 0o600 || int(stat.Uid) != uid || int(stat.Gid) != gid {
		t.Errorf("%s is %q, mode %v, owner %d:%d", path, got, info.Mode(), stat.Uid, stat.Gid)
	}
}

func TestFileIsTheOwnersAlone(t *testing.T) {
	dir := configuration(t, 12, 34)
	for client, name := range map[string]string{
		"host1":      "host1.conf",
		"a b":        "a b.conf",
		"../../evil": "_.._.._evil.conf",
		".hidden":    "_.hidden.conf",
	} {
		f, err := Add(dir, client, "["+client+"]\n")
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, "clients.d", name); f.Path != want {
			t.Errorf("%s goes to %s, want %s", client, f.Path, want)
		}
		checkFile(t, f.Path, "["+client+"]\n", 12, 34)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "clients.d"))
	if err != nil || len(entries) != 4 {
		t.Errorf("there are %v, error %v", entries, err)
	}
}

func TestNothingIsWrittenOver(t *testing.T) {
	dir := configuration(t, os.Getuid(), os.Getgid())
	f, err := Add(dir, "host1", "first")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Add(dir, "host1", "second"); err == nil || !strings.Contains(err.Error(), "left as it is") {
		t.Errorf("the error is %v", err)
	}
	checkFile(t, f.Path, "first", os.Getuid(), os.Getgid())
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "clients.d"))
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind are %v, error %v", entries, err)
	}
}

func TestNoErrorHasAPieceOfTheSection(t *testing.T) {
	const text = "[host1]\nsecret = c2VjcmV0b2Zob3N0MQ==\n"
	taken := configuration(t, os.Getuid(), os.Getgid())
	if _, err := Add(taken, "host1", text); err != nil {
		t.Fatal(err)
	}
	noDirectory := configuration(t, os.Getuid(), os.Getgid())
	if err := os.WriteFile(filepath.Join(noDirectory, "clients.d"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{taken, "host1"}, {noDirectory, "host1"}, {"/nonexistent", "host1"}, {taken, strings.Repeat("x", 300)}} {
		if _, err := Add(c[0], c[1], text); err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s, %.10s: %v", c[0], c[1], err)
		}
	}
}

func TestDirectoryMustExist(t *testing.T) {
	if _, err := Add(filepath.Join(t.TempDir(), "nosuch"), "host1", "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
}
