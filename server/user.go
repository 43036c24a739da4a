// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/user"
	"strconv"

	"mandos/server/config"
	"mandos/server/privileges"
)

// trusted is who may write what the server reads: the user that it becomes or is,
// and the group that is that user's alone, as it has the same name.
func trusted() *config.Trust {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if uid == 0 {
		server := privileges.Find()
		uid, gid = server.UID, server.GID
	}
	trust := &config.Trust{Users: []uint32{uid}}
	owner, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	group, groupErr := user.LookupGroupId(strconv.FormatUint(uint64(gid), 10))
	if err == nil && groupErr == nil && owner.Username == group.Name {
		trust.Groups = []uint32{gid}
	}
	return trust
}

// serverUser is the name of the user that the server becomes, or stays.
func serverUser() string {
	if os.Geteuid() == 0 {
		return privileges.Find().Name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Geteuid())
}

// makeshiftUser says how to have a user for the server.
func makeshiftUser(as privileges.User) string {
	return fmt.Sprintf("there is no user _mandos, so the server runs as %s, as others may, who can then read and write its state; "+
		"make one with systemd-sysusers, or with \"useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin _mandos\"", as.Name)
}
