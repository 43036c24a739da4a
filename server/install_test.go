// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func runMake(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("make", append([]string{"--directory", "..", "--no-print-directory", "BUILD=" + t.TempDir()}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %v: %v\n%s", args, err, out)
	}
}

func filesBelow(t *testing.T, root string) map[string]fs.FileMode {
	t.Helper()
	files := make(map[string]fs.FileMode)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		files[strings.TrimPrefix(path, root)] = info.Mode().Perm()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestInstallAndUninstall(t *testing.T) {
	root := t.TempDir()
	runMake(t, "install", "DESTDIR="+root)
	installed := filesBelow(t, root)
	for path, mode := range map[string]fs.FileMode{
		"/usr/sbin/mandos":                                 0o755,
		"/usr/bin/mandosctl":                               0o755,
		"/etc/mandos/clients.conf":                         0o600,
		"/etc/mandos/mandos.conf":                          0o644,
		"/etc/dbus-1/system.d/mandos.conf":                 0o644,
		"/etc/init.d/mandos":                               0o755,
		"/usr/lib/systemd/system/mandos.service":           0o644,
		"/usr/share/man/man8/mandos.8":                     0o644,
		"/usr/share/bash-completion/completions/mandosctl": 0o644,
	} {
		if got, ok := installed[path]; !ok || got != mode {
			t.Errorf("%s has mode %o, want %o; installed: %v", path, got, mode, ok)
		}
	}
	t.Run("the unit is sound", func(t *testing.T) {
		unit := filepath.Join(root, "usr/lib/systemd/system/mandos.service")
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		// systemd looks whether the programs are there.
		here := strings.NewReplacer("/usr/sbin/", root+"/usr/sbin/", "/usr/bin/", root+"/usr/bin/").Replace(string(text))
		unit = filepath.Join(t.TempDir(), "mandos.service")
		if err := os.WriteFile(unit, []byte(here), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
		if err != nil || strings.Contains(string(out), "mandos.service") {
			t.Errorf("%v: %s", err, out)
		}
		security, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=30", unit).CombinedOutput()
		if err != nil {
			t.Errorf("exposed too much: %s", security[max(0, len(security)-200):])
		}
	})
	t.Run("the samples are sound", func(t *testing.T) {
		cmd := exec.Command(filepath.Join(root, "usr/sbin/mandos"), "--check", "--no-dbus", "--no-zeroconf", "--port", freePort(t),
			"--configdir", filepath.Join(root, "etc/mandos"), "--statedir", filepath.Join(root, "state"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})

	if err := os.WriteFile(filepath.Join(root, "etc/mandos/clients.conf"), []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runMake(t, "install", "DESTDIR="+root)
	if kept, err := os.ReadFile(filepath.Join(root, "etc/mandos/clients.conf")); string(kept) != "# mine\n" {
		t.Errorf("the configuration was overwritten: %q, %v", kept, err)
	}
	runMake(t, "uninstall", "DESTDIR="+root)
	for path := range filesBelow(t, root) {
		if !strings.HasPrefix(path, "/etc/mandos/") && path != "/etc/default/mandos" {
			t.Errorf("%s is left behind", path)
		}
	}
}

// service runs what "make install" has to do with the running system.
func service(t *testing.T, args ...string) (text string, err error) {
	t.Helper()
	out, err := exec.Command("../etc/install/service.sh", args...).CombinedOutput()
	return string(out), err
}

func TestFilesOfPackagesAreNotWrittenOver(t *testing.T) {
	ours := filepath.Join(t.TempDir(), "mandos")
	if text, err := service(t, "refuse-owned", ours, "/nonexistent/mandos"); err != nil || text != "" {
		t.Errorf("what no package has is answered %q, %v", text, err)
	}
	// dash is essential, so that every Debian has it.
	text, err := service(t, "refuse-owned", ours, "/usr/share/doc/dash/copyright")
	if want := "/usr/share/doc/dash/copyright belongs to the package dash, "; err == nil || !strings.HasPrefix(text, want) || !strings.Contains(text, "Remove that package first") {
		t.Errorf("what dash has is answered %q, %v", text, err)
	}
}

func TestAnInstallationSaysWhatIsLeft(t *testing.T) {
	text, err := service(t, "next")
	for _, command := range []string{"systemd-sysusers && systemd-tmpfiles --create", "systemctl daemon-reload && systemctl reload dbus", "systemctl enable --now mandos"} {
		if !strings.Contains(text, "\n  "+command+"\n") {
			t.Errorf("it does not say %q: %s", command, text)
		}
	}
	if err != nil {
		t.Error(err)
	}
}
