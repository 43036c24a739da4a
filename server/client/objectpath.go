// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// objectPath gives the D-Bus object path for a client's name: as upstream's
// where that is valid ("." and "-" become "_"), with any other character's
// bytes written in hex. Checkers may refer to it, which is why it is known here.
func objectPath(name string) string {
	segments := strings.Split(name, "/")
	for i, segment := range segments {
		segments[i] = pathElement(segment)
		if segment == "" {
			return "/clients/" + pathElement(strings.ReplaceAll(name, "/", "\x00"))
		}
	}
	return "/clients/" + strings.Join(segments, "/")
}

func pathElement(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_':
			b.WriteByte(c)
		case c == '.', c == '-':
			b.WriteByte('_')
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// freeObjectPath is objectPath, made unique with a piece of the name's hash
// where another client has that path already ("a.b" and "a-b").
func (r *Registry) freeObjectPath(name string) string {
	path := objectPath(name)
	if _, taken := r.byPath[path]; !taken {
		return path
	}
	return fmt.Sprintf("%s_%x", path, sha256.Sum256([]byte(name)))[:len(path)+1+16]
}
