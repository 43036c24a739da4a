// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Trust is who may write what the server reads, besides root and the present user.
type Trust struct{ Users, Groups []uint32 }

// writers looks for files and directories that others may write: whoever writes
// what the server reads can have commands run, and have secrets.
type writers struct {
	*findings
	trust  Trust
	looked map[string]bool
}

// warnOfWriters looks at everything that was read, at where it might have been,
// and at all directories on the way there.
func (c *Config) warnOfWriters(f *findings, trust Trust) {
	trust.Users = append([]uint32{0, uint32(os.Geteuid())}, trust.Users...)
	trust.Groups = append([]uint32{0}, trust.Groups...)
	w := writers{findings: f, trust: trust, looked: map[string]bool{}}
	for _, dir := range []string{c.ConfigDir, filepath.Join(c.ConfigDir, "clients.d")} {
		w.followed(dir, func(dir string) { w.look(Place{File: dir}, "this directory", dir, "root", false) })
	}
	const server = "the user that the server runs as"
	w.followed(c.StateDir, func(dir string) { w.look(Place{File: dir}, "this directory", dir, server, false) })
	w.followed(filepath.Join(c.StateDir, "state.db"), func(file string) { w.look(Place{File: file}, "this file", file, server, false) })
	for file, place := range f.files {
		what := "this file"
		if place.File != file {
			what = "the file named here"
		}
		w.followed(file, func(path string) { w.look(place, what, path, "root", false) })
	}
}

// followed looks at a path and, if it leads elsewhere, at where it leads, and at
// the directories above both.
func (w *writers) followed(path string, look func(string)) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return
	}
	paths := []string{absolute}
	if real, err := filepath.EvalSymlinks(absolute); err == nil && real != absolute {
		paths = append(paths, real)
	}
	for _, path := range paths {
		look(path)
		w.looked[path] = true
		for dir := filepath.Dir(path); !w.looked[dir]; dir = filepath.Dir(dir) {
			w.looked[dir] = true
			w.look(Place{File: dir}, "this directory", dir, "root", true)
		}
	}
}

// look warns of who may write there besides the owner that it should have. In a
// directory on the way everybody may, if it is sticky: what belongs to the trusted
// cannot be replaced there.
func (w *writers) look(place Place, what, path, owner string, onTheWay bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	mode := info.Mode()
	harmless := mode&fs.ModeSymlink != 0 || onTheWay && mode&fs.ModeSticky != 0
	switch {
	case !slices.Contains(w.trust.Users, stat.Uid):
		w.tell(place, what+" belongs to "+userName(stat.Uid), "chown it to "+owner)
	case harmless:
	case mode&0o002 != 0:
		w.tell(place, what+" can be written by every user of this machine", "chmod o-w it")
	case mode&0o020 != 0 && hasMoreRules(path):
		w.tell(place, what+" can be written by others than its owner", "see getfacl, and chmod g-w it")
	case mode&0o020 != 0 && !slices.Contains(w.trust.Groups, stat.Gid):
		w.tell(place, what+" can be written by the group "+groupName(stat.Gid), "chmod g-w it")
	}
}

func (w *writers) tell(place Place, problem, cure string) {
	w.warnf(place, "%s, and who writes there can have commands run and get secrets; %s", problem, cure)
}

// hasMoreRules reports whether a file has an access control list (acl(5)), whose
// mask the mode shows instead of the group's rights.
func hasMoreRules(path string) bool {
	size, err := unix.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && size > 0
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return fmt.Sprintf("the user %s", id)
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
