// SPDX-License-Identifier: Apache-2.0

package main

import (
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
