// SPDX-License-Identifier: Apache-2.0

// Package debiantest gives tests what they need of a Debian machine without
// installing it: root, the user _mandos, the programs of packages that are only
// unpacked, a host that Debian's mandos-keygen has made keys for, and a free port.
package debiantest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func init() {
	if !testing.Testing() {
		panic("debiantest is for tests only")
	}
}

// NeedRoot skips the test unless it runs as root, and says what for. Where all
// tests are to run, which the variable CI tells, it fails instead.
func NeedRoot(tb testing.TB, what string) {
	tb.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		tb.Fatalf("this test needs root, %s, and CI=true lets no test be skipped", what)
	default:
		tb.Skipf("this test needs root, %s", what)
	}
}

// Unpacked is the directory that the package is unpacked in, by .ci/unpack, which
// "make demo" and "make test" use as well.
func Unpacked(name string) (string, error) {
	packages.mu.Lock()
	defer packages.mu.Unlock()
	if dir, ok := packages.unpacked[name]; ok {
		return dir, nil
	}
	root, err := projectRoot()
	if err != nil {
		return "", err
	}
	out, err := exec.Command(filepath.Join(root, ".ci", "unpack"), name).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = errors.New(strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("this test needs the Debian package %s: %w", name, err)
	}
	packages.unpacked[name] = strings.TrimSpace(string(out))
	return packages.unpacked[name], nil
}

// packages are those that were asked for.
var packages = struct {
	mu       sync.Mutex
	unpacked map[string]string
}{unpacked: make(map[string]string)}

// projectRoot is the directory of the module that is tested.
func projectRoot() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if dir == "/" {
			err = errors.New("no go.mod here or above")
		}
	}
	return "", err
}

// Program is a program of the package, whose path may have stars in it for what
// depends on the machine.
func Program(tb testing.TB, name, path string) string {
	tb.Helper()
	program, err := find(name, path)
	if err != nil {
		tb.Fatal(err)
	}
	return program
}

func find(name, path string) (string, error) {
	dir, err := Unpacked(name)
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(dir, path))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("the Debian package %s has %d of %s", name, len(found), path)
	}
	return found[0], nil
}

// Mandos is Debian's Mandos server.
func Mandos(tb testing.TB) string { tb.Helper(); return Program(tb, "mandos", "usr/sbin/mandos") }

// MandosCtl is the control program of Debian's server.
func MandosCtl(tb testing.TB) string {
	tb.Helper()
	return Program(tb, "mandos", "usr/sbin/mandos-ctl")
}

// MandosMonitor is the monitor of Debian's server.
func MandosMonitor(tb testing.TB) string {
	tb.Helper()
	return Program(tb, "mandos", "usr/sbin/mandos-monitor")
}

// FreePort is a TCP port that nobody listens on. It is none of those that the kernel
// gives out by itself, to a connection or to a listener without a port, so that it
// stays free until the test's own server has it.
func FreePort(tb testing.TB) string {
	tb.Helper()
	for range 1000 {
		port := fmt.Sprint(10_000 + rand.N(22_000))
		listener, err := net.Listen("tcp", ":"+port)
		if err == nil {
			listener.Close()
			return port
		}
	}
	tb.Fatal("there is no free port")
	return ""
}

// User is the one that Debian's package mandos makes.
const User = "_mandos"

// avahiUser is the one that Debian's package avahi-daemon makes, without which its
// program does not start.
const avahiUser = "avahi"

const haveUsers = "MANDOS_TEST_HAS_USERS"

// HaveUsers is the first thing in a TestMain. If the machine has no user _mandos or
// avahi, it lets root start the tests anew where there are both: they and their
// children, and nobody else, see an /etc/passwd and an /etc/group that have them.
func HaveUsers() {
	var missing []string
	for _, name := range []string{User, avahiUser} {
		if _, err := user.Lookup(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 || os.Geteuid() != 0 || os.Getenv(haveUsers) != "" || exec.Command("unshare", "--mount", "true").Run() != nil {
		return
	}
	fmt.Fprintln(os.Stderr, "cannot have the users", missing, "for the tests:", startWithUsers(missing))
	os.Exit(1)
}

// startWithUsers starts this program anew in a mount namespace of its own.
func startWithUsers(missing []string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return err
	}
	const script = `set -e
dir=$(mktemp -d)
mount -t tmpfs -o mode=755 tmpfs "$dir"
for file in passwd group; do cp /etc/$file "$dir"; done
id=59642 # Debian gives numbers of this range to nobody
for name in $1; do
	echo "$name:x:$id:$id::/nonexistent:/usr/sbin/nologin" >>"$dir/passwd"
	echo "$name:x:$id:" >>"$dir/group"
	id=$((id + 1))
done
chmod 644 "$dir/passwd" "$dir/group"
for file in passwd group; do mount --bind "$dir/$file" /etc/$file; done
umount "$dir"
rmdir "$dir"
shift
exec "$@"`
	args := append([]string{"unshare", "--mount", "sh", "-c", script, "sh", strings.Join(missing, " "), program}, os.Args[1:]...)
	return syscall.Exec(unshare, args, append(os.Environ(), haveUsers+"=yes"))
}

// Host is one whose keys and section Debian's mandos-keygen has made.
type Host struct {
	Client  string // the program mandos-client
	Keys    string // the directory of its keys
	Section string // what mandos-keygen wrote for clients.conf
}

// NewHost makes a host called host1 with that password below the directory, which
// everybody can read, since mandos-client gives up root.
func NewHost(dir, password string) (*Host, error) {
	keygen, err := find("mandos-client", "usr/sbin/mandos-keygen")
	if err != nil {
		return nil, err
	}
	client, err := find("mandos-client", "usr/lib/*/mandos/plugins.d/mandos-client")
	if err != nil {
		return nil, err
	}
	h := &Host{Client: client, Keys: filepath.Join(dir, "keys")}
	const script = `set -e
mkdir -p "$2"
"$1" --dir "$2" --name host1 --length 2048 --sublength 2048 >"$2/said" 2>&1 || { cat "$2/said" >&2; exit 1; }
printf %s "$3" >"$2/password"
"$1" --dir "$2" --name host1 --no-ssh --passfile "$2/password"
chmod -R a+rX "$2"`
	var section, complaints strings.Builder
	cmd := exec.Command("sh", "-c", script, "sh", keygen, h.Keys, password)
	cmd.Stdout, cmd.Stderr = &section, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("mandos-keygen: %w\n%s", err, &complaints)
	}
	h.Section = section.String()
	return h, nil
}
