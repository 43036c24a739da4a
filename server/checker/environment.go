// SPDX-License-Identifier: Apache-2.0

package checker

import (
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// The variables that a checker does not have from the server: what the service
// manager says to the server alone (systemd.exec(5), sd_notify(3),
// sd_listen_fds(3), sd_watchdog_enabled(3)), and who the server was started as.
var (
	private = []string{
		"NOTIFY_SOCKET", "JOURNAL_STREAM", "INVOCATION_ID", "SYSTEMD_EXEC_PID", "MAINPID", "MANAGERPID",
		"CREDENTIALS_DIRECTORY", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", "FDSTORE",
		"USER", "LOGNAME", "HOME", "SHELL", "MAIL",
	}
	privatePrefixes = []string{"LISTEN_", "WATCHDOG_"}
)

// environment is that of checkers: the server's with what is the server's alone
// left out, and the variables of a login (environ(7)) those of the user with that
// ID. The shell is the one that runs the checker, as that user's own may be
// nologin(8).
func environment(server []string, uid int) []string {
	env := slices.DeleteFunc(slices.Clone(server), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(private, name) ||
			slices.ContainsFunc(privatePrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
	home := "/"
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		env = append(env, "USER="+u.Username, "LOGNAME="+u.Username)
		if u.HomeDir != "" {
			home = u.HomeDir
		}
	}
	return append(env, "HOME="+home, "SHELL=/bin/sh")
}
