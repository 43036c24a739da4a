// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// readFile reads a regular file of at most limit bytes. It never waits, as
// opening a named pipe would. Its errors do not repeat the path.
func readFile(path string, limit int) ([]byte, fs.FileMode, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file; put one there")
	}
	data, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	if len(data) > limit {
		return nil, 0, fmt.Errorf("larger than %d bytes; make it smaller", limit)
	}
	return data, info.Mode(), nil
}

func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("cannot be read: %w", pathError.Err)
	}
	return err
}

// warnIfPublic tells of a file with secrets that everybody may read.
func warnIfPublic(f *findings, place Place, what string, mode fs.FileMode) {
	if mode&0o004 != 0 {
		f.warnf(place, "%s can be read by every user of this machine; chmod o-r it", what)
	}
}

// hiddenBySystemd completes an error about a file that may well be there, for a
// server that a systemd unit has started: units hide some directories.
func hiddenBySystemd(path string, err error) string {
	if os.Getenv("INVOCATION_ID") == "" || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return ""
	}
	for setting, dirs := range map[string][]string{"ProtectHome": {"/home/", "/root/", "/run/user/"}, "PrivateTmp": {"/tmp/", "/var/tmp/"}} {
		for _, dir := range dirs {
			if strings.HasPrefix(path, dir) {
				return fmt.Sprintf("; if it is there, the systemd unit does not show it to the server (%s): keep it elsewhere, as in /etc/mandos", setting)
			}
		}
	}
	return ""
}
