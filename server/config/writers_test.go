// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"mandos/server/debiantest"
)

// TestWhoeverElseMayWriteIsNoticed makes each thing that the server reads, and
// each directory on the way, one that others may write.
func TestWhoeverElseMayWriteIsNoticed(t *testing.T) {
	debiantest.NeedRoot(t, "to give files away")
	const stranger, server = 4711, 4712
	// As setfacl -m u:4711:rw does.
	acl := func(path string) error {
		rules := binary.LittleEndian.AppendUint32(nil, 2)
		const none = 0xffffffff
		for _, rule := range []struct {
			tag, rights uint16
			id          uint32
		}{{1, 6, none}, {2, 6, stranger}, {4, 0, none}, {16, 6, none}, {32, 0, none}} {
			rules = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(rules, rule.tag), rule.rights)
			rules = binary.LittleEndian.AppendUint32(rules, rule.id)
		}
		return unix.Setxattr(path, "system.posix_acl_access", rules, 0)
	}
	for name, test := range map[string]struct {
		spoil func(dir string) error
		want  []string // DIR stands for the directory
	}{
		"nobody else": {func(string) error { return nil }, nil},
		"the server itself": {func(dir string) error {
			return errors.Join(os.Chown(dir+"/state", server, server), os.Chown(dir+"/state/state.db", server, server),
				os.Chown(dir+"/etc/clients.conf", 0, server), os.Chmod(dir+"/etc/clients.conf", 0o660))
		}, nil},
		"every user, to the clients": {
			func(dir string) error { return os.Chmod(dir+"/etc/clients.conf", 0o622) },
			[]string{"DIR/etc/clients.conf: this file can be written by every user of this machine, and who writes there can have commands run and get secrets; chmod o-w it"}},
		"every user, to mandos.conf": {
			func(dir string) error { return os.Chmod(dir+"/etc/mandos.conf", 0o622) },
			[]string{"DIR/etc/mandos.conf: this file can be written by every user"}},
		"another user, who owns a file of clients.d": {
			func(dir string) error { return os.Chown(dir+"/etc/clients.d/a.conf", stranger, 0) },
			[]string{"DIR/etc/clients.d/a.conf: this file belongs to the user 4711, and who writes there can have commands run and get secrets; chown it to root"}},
		"a group, to clients.d": {
			func(dir string) error {
				return errors.Join(os.Chown(dir+"/etc/clients.d", 0, 4713), os.Chmod(dir+"/etc/clients.d", 0o770))
			},
			[]string{"DIR/etc/clients.d: this directory can be written by the group 4713"}},
		"every user, to a sticky clients.d": {
			func(dir string) error { return os.Chmod(dir+"/etc/clients.d", 0o777|os.ModeSticky) },
			[]string{"DIR/etc/clients.d: this directory can be written by every user"}},
		"every user, to the configuration directory": {
			func(dir string) error { return os.Chmod(dir+"/etc", 0o777) },
			[]string{"DIR/etc: this directory can be written by every user"}},
		"every user, to the directory above": {
			func(dir string) error { return os.Chmod(dir, 0o777) },
			[]string{"DIR: this directory can be written by every user"}},
		"every user, to a sticky directory above": {
			func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) }, nil},
		"another user, who owns the directory above": {
			func(dir string) error { return os.Chown(dir, stranger, 0) },
			[]string{"DIR: this directory belongs to the user 4711"}},
		"another user, who owns the state directory": {
			func(dir string) error { return os.Chown(dir+"/state", stranger, 0) },
			[]string{"DIR/state: this directory belongs to the user 4711, and who writes there can have commands run and get secrets; chown it to the user that the server runs as"}},
		"every user, to the state directory": {
			func(dir string) error { return os.Chmod(dir+"/state", 0o777) },
			[]string{"DIR/state: this directory can be written by every user"}},
		"another user, who owns the state": {
			func(dir string) error { return os.Chown(dir+"/state/state.db", stranger, 0) },
			[]string{"DIR/state/state.db: this file belongs to the user 4711"}},
		"every user, to a secfile": {
			func(dir string) error { return os.Chmod(dir+"/secrets/one", 0o602) },
			[]string{"DIR/etc/clients.conf:3: [one] secfile: the file named here can be written by every user"}},
		"every user, to the directory of a secfile": {
			func(dir string) error { return os.Chmod(dir+"/secrets", 0o777) },
			[]string{"DIR/secrets: this directory can be written by every user"}},
		"one more user, by an access control list": {
			func(dir string) error { return acl(dir + "/etc/clients.conf") },
			[]string{"DIR/etc/clients.conf: this file can be written by others than its owner"}},
		"every user, to where a link leads": {
			func(dir string) error {
				return errors.Join(os.Mkdir(dir+"/else", 0o755), os.Rename(dir+"/etc/clients.conf", dir+"/else/real"),
					os.Symlink(dir+"/else/real", dir+"/etc/clients.conf"), os.Chmod(dir+"/else", 0o777))
			},
			[]string{"DIR/else: this directory can be written by every user"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{
				"etc/mandos.conf":      "[DEFAULT]\nstatedir = " + dir + "/state\n",
				"etc/clients.conf":     "[one]\nkey_id = " + strings.Repeat("1", 64) + "\nsecfile = " + dir + "/secrets/one\n",
				"etc/clients.d/a.conf": "[two]\nkey_id = " + strings.Repeat("2", 64) + "\nsecret = c2VjcmV0\n",
				"secrets/one":          "secret",
				"state/state.db":       "",
			} {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, path, text)
			}
			if err := test.spoil(dir); err != nil {
				t.Fatal(err)
			}
			flags := pflag.NewFlagSet("mandos", pflag.ContinueOnError)
			options := AddFlags(flags)
			options.Trust = &Trust{Users: []uint32{server}, Groups: []uint32{server}}
			if err := flags.Parse([]string{"--configdir=" + dir + "/etc"}); err != nil {
				t.Fatal(err)
			}
			conf, err := options.Load()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, warning := range conf.Warnings {
				got = append(got, strings.ReplaceAll(warning.String(), dir, "DIR"))
			}
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("warned of\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}
