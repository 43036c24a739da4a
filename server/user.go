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

// trusted is who may write what the server reads: the user that it is or becomes
// when root starts it, which an ordinary user who only looks cannot know, and the
// groups that are those users' alone, as they have the same names.
func trusted() *config.Trust {
	users := []privileges.User{{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}}
	if server := privileges.Find(); users[0].UID == 0 {
		users[0] = server
	} else if !server.Makeshift() {
		users = append(users, server)
	}
	trust := &config.Trust{}
	for _, u := range users {
		trust.Users = append(trust.Users, u.UID)
		owner, err := user.LookupId(strconv.FormatUint(uint64(u.UID), 10))
		group, groupErr := user.LookupGroupId(strconv.FormatUint(uint64(u.GID), 10))
		if err == nil && groupErr == nil && owner.Username == group.Name {
			trust.Groups = append(trust.Groups, u.GID)
		}
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
