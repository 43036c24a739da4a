// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mandos/server/client"
	"mandos/server/state/pickle"
)

// GivenBack says what the Python server will find, by the numbers of clients.
type GivenBack struct {
	Path              string
	Clients, Disabled int // the disabled are among the clients
	Lockdown          bool
}

// GiveBack writes the state in dir as the Python server reads it, in place of what that
// server may have left there itself: the clients that have a section, as they are in
// force. Those that are lowered are disabled, and so are those that were removed, which
// that server would not know otherwise. In a lockdown, which it does not know either, all
// are disabled. It fails with [ErrInUse] while a server runs.
func GiveBack(dir string) (given GivenBack, err error) {
	path := filepath.Join(dir, fileName)
	saved := make(map[string]*record)
	server, err := tryFile(path, saved)
	if err != nil {
		return given, err
	}
	clients, configured := dictOf(), dictOf()
	for name, r := range saved {
		if !r.Gone.IsZero() {
			continue
		}
		record := r.of(name, client.Secret{})
		record.ConvertAbsence(time.Now())
		if server.Lockdown != nil {
			record.Enabled, record.Expires = false, time.Time{}
		}
		clients.Items[name] = attributesOf(&record, r.Secret)
		configured.Items[name] = settingsOf(&record.Configured)
		given.Clients++
		if !record.Enabled {
			given.Disabled++
		}
	}
	content, err := pickle.Marshal(pickle.Tuple{clients, configured})
	if err != nil {
		return given, err
	}
	given.Lockdown = server.Lockdown != nil
	given.Path = filepath.Join(dir, upstreamName)
	return given, replaceFile(given.Path, content, path)
}

func dictOf(pairs ...any) *pickle.Dict {
	items := make(map[any]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		items[pairs[i]] = pairs[i+1]
	}
	return &pickle.Dict{Items: items}
}

// settingsOf are what the Python server keeps of the configuration: with it, it finds
// out what has changed there since.
func settingsOf(s *client.Settings) *pickle.Dict {
	dict := dictOf("enabled", s.Enabled, "expires", nil, "last_approval_request", nil, "last_checked_ok", nil, "last_checker_status", int64(client.NeverChecked))
	for i := range client.AllSettings {
		if setting := &client.AllSettings[i]; setting.Property != client.PropSecret && !setting.Ours {
			dict.Items[upstreamKey(setting)] = setting.Value(s)
		}
	}
	return dict
}

// attributesOf are all that the Python server keeps of a client. Without a secret that was
// set at run time, it takes the configured one.
func attributesOf(r *client.Record, message []byte) *pickle.Dict {
	attributes := settingsOf(&r.Settings)
	for name, value := range map[string]any{
		"name": r.Settings.Name, "encrypted_secret": pickle.Bytes(message), "client_structure": &pickle.List{},
		"created": timeOrNone(r.Created), "last_enabled": timeOrNone(r.LastEnabled), "expires": timeOrNone(r.Expires),
		"last_checked_ok": timeOrNone(r.LastCheckedOK), "last_approval_request": timeOrNone(r.LastApprovalRequest),
		"last_checker_status": int64(r.LastCheckerStatus), "approved": nil, "approvals_pending": int64(0), "current_checker_command": nil,
	} {
		attributes.Items[name] = value
	}
	return attributes
}

func timeOrNone(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// replaceFile writes a file under another name and then gives it its own, for the owner
// of the file that it is like.
func replaceFile(path string, content []byte, like string) error {
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), upstreamName+".*") // with the mode 0600
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chown(int(owner.Uid), int(owner.Gid)), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return syncDirectory(filepath.Dir(path))
}
