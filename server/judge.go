// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os/exec"
	"strings"

	"mandos/dbusapi/notation"
	"mandos/dbusapi/openpgpblob"
	"mandos/server/client"
	"mandos/server/config"
)

// newJudge makes what looks at each client's settings for what is allowed but
// would go wrong.
func newJudge() func(client.Settings) []config.Remark {
	installed := make(map[string]bool)
	return func(c client.Settings) (remarks []config.Remark) {
		remark := func(key, format string, args ...any) {
			remarks = append(remarks, config.Remark{Key: key, Problem: fmt.Sprintf(format, args...)})
		}
		if c.Timeout > 0 && c.Timeout <= c.Interval {
			remark("timeout", "%s is not longer than the interval of %s, so that the client is disabled before its second check; raise it", notation.FormatDuration(c.Timeout), notation.FormatDuration(c.Interval))
		}
		if c.Secret.Len() > 0 {
			judgeSecret(c.Secret.Bytes(), remark)
		}
		if program := plainProgram(c.Checker); program != "" {
			if _, looked := installed[program]; !looked {
				installed[program] = isInstalled(program)
			}
			if !installed[program] {
				remark("checker", "there is no program %q on this machine; install it", program)
			}
		}
		return remarks
	}
}

func judgeSecret(secret []byte, remark func(key, format string, args ...any)) {
	blob, err := openpgpblob.Judge(secret)
	if err != nil {
		remark("secret", "%v; %s", err, openpgpblob.Advice)
		return
	}
	for _, recipient := range blob.Weak() {
		remark("secret", "it is encrypted to a weak key, %v; make new keys with mandos-keygen", &recipient)
	}
}

// plainProgram is the program that a checker begins with, if it is written there
// as it is.
func plainProgram(checker string) string {
	program, _, _ := strings.Cut(strings.TrimSpace(checker), " ")
	if strings.ContainsAny(program, "%$'\"`=;&|<>(){}") {
		return ""
	}
	return program
}

func isInstalled(program string) bool {
	return exec.Command("/bin/sh", "-c", `command -v -- "$1"`, "sh", program).Run() == nil
}
