// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os/exec"
	"strings"

	"mandos/dbusapi/notation"
	"mandos/server/client"
	"mandos/server/config"
	"mandos/server/openpgpblob"
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
			_, doubts := judgeSecret(c.Secret.Bytes())
			remarks = append(remarks, doubts...)
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

// judgeSecret looks at what is to be a client's secret, and says to whom it is encrypted
// if it is.
func judgeSecret(secret []byte) (keys string, remarks []config.Remark) {
	blob, err := openpgpblob.Judge(secret)
	if err != nil {
		return "", []config.Remark{{Key: "secret", Problem: fmt.Sprintf("%v; %s", err, openpgpblob.Advice), Unfit: true}}
	}
	for _, recipient := range blob.Weak() {
		remarks = append(remarks, config.Remark{Key: "secret", Problem: fmt.Sprintf("it is encrypted to a weak key, %v; make new keys with mandos-keygen", &recipient)})
	}
	return blob.Keys(), remarks
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
