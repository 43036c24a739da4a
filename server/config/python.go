// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/base64"
	"errors"
	"os"
	"os/user"
	"regexp"
	"strings"

	"mandos/dbusapi/notation"
)

// The functions here read as their namesakes in Python do, because the files
// they read were written for a server that uses those.

var errPadding = errors.New("is not base64: it is cut off, or has characters too many; copy it anew")

// decodeBase64 is binascii.a2b_base64: it skips what is not base64 and stops
// after a complete padding. Skipped says that it did so to more than white
// space.
func decodeBase64(s string) (decoded []byte, skipped bool, err error) {
	data := make([]byte, 0, len(s))
	pads := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '=':
			pads++
			if used := len(data) % 4; used >= 2 && used+pads >= 4 {
				skipped = skipped || strings.TrimSpace(s[i+1:]) != ""
				decoded, err = base64.RawStdEncoding.DecodeString(string(data))
				return decoded, skipped, err
			}
			if len(data)%4 < 2 {
				pads, skipped = 0, true
			}
		case isBase64(c):
			data = append(data, c)
			skipped = skipped || pads > 0
			pads = 0
		default:
			skipped = skipped || !notation.IsSpace(rune(c))
		}
	}
	if len(data)%4 != 0 {
		return nil, skipped, errPadding
	}
	decoded, err = base64.StdEncoding.DecodeString(string(data))
	return decoded, skipped, err
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

var pathVariable = regexp.MustCompile(`\$([A-Za-z0-9_]+|\{[^}]*\})`)

// expandPath is os.path.expandvars and then os.path.expanduser. Unknown
// variables and users stay as they are written.
func expandPath(path string) string {
	path = pathVariable.ReplaceAllStringFunc(path, func(variable string) string {
		name := variable[1:]
		if name[0] == '{' {
			name = name[1 : len(name)-1]
		}
		value, ok := os.LookupEnv(name)
		if !ok {
			return variable
		}
		return value
	})
	if !strings.HasPrefix(path, "~") {
		return path
	}
	name, below, slash := strings.Cut(path[1:], "/")
	home, ok := homeOf(name)
	if !ok {
		return path
	}
	home = strings.TrimRight(home, "/")
	if slash {
		return home + "/" + below
	}
	if home == "" {
		return "/"
	}
	return home
}

// homeOf gives a user's home directory, one's own for the empty name.
func homeOf(name string) (home string, ok bool) {
	if name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			return "", false
		}
		return u.HomeDir, true
	}
	if home, ok := os.LookupEnv("HOME"); ok {
		return home, true
	}
	u, err := user.Current()
	if err != nil {
		return "", false
	}
	return u.HomeDir, true
}
