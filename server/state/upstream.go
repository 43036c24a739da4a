// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"mandos/server/client"
	"mandos/server/state/pickle"
)

// readUpstream converts the state file of the Python server: a pair of dicts by
// client name. The first has what became of each client; the second has what
// the configuration said when the server was started, also of clients that were
// removed at run time since. Secrets stay encrypted, as they are saved alike.
func readUpstream(path string) (map[string]*record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	content, err := pickle.Read(f)
	if err != nil {
		return nil, err
	}
	pair, ok := content.(pickle.Tuple)
	if !ok || len(pair) != 2 {
		return nil, errors.New("it is a pickle of something else than clients and their settings")
	}
	clients, err := attributesByName(pair[0])
	if err != nil {
		return nil, err
	}
	configured, err := attributesByName(pair[1])
	if err != nil {
		return nil, err
	}
	records := make(map[string]*record, len(configured))
	now := time.Now().UTC()
	for name, attributes := range configured {
		var r record
		attributes.settings(&r.Configured.Settings)
		attributes.truth("enabled", &r.Configured.Enabled)
		r.Configured.Word = client.UnknownWord
		r.Settings = r.Configured.Settings
		r.State.LastCheckerStatus = client.NeverChecked
		if attributes.err != nil {
			return nil, fmt.Errorf("the settings of client %q: %w", name, attributes.err)
		}
		records[name] = &r
	}
	for name, attributes := range clients {
		r := records[name]
		if r == nil {
			r = &record{Configured: configuration{Enabled: true}} // as it is by default
			records[name] = r
		}
		attributes.settings(&r.Settings)
		attributes.progress(name, r, now)
		attributes.decision(r, info.ModTime())
		if attributes.err != nil {
			return nil, fmt.Errorf("client %q: %w", name, attributes.err)
		}
	}
	for name, r := range records {
		if clients[name] == nil {
			r.lower(name, client.RemovedByAdministrator, now)
		}
	}
	return records, nil
}

// lower notes what became of a client before its state was taken over.
func (r *record) lower(name string, why client.Reason, at time.Time) {
	l := loweringOf(client.NewLowering(why, client.ByFormerServer, at, name, client.Key(r.key())))
	r.Standing.Lowerings = append(r.Standing.Lowerings, l)
}

func (r *record) key() key { return key{r.Settings.KeyID, r.Settings.Fingerprint} }

// attributes are a client's, by name. The first that has the wrong type is kept
// as an error.
type attributes struct {
	values map[string]any
	err    error
}

func attributesByName(value any) (map[string]*attributes, error) {
	outer, err := byText(value)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*attributes, len(outer))
	for name, value := range outer {
		inner, err := byText(value)
		if err != nil {
			return nil, fmt.Errorf("client %q: %w", name, err)
		}
		all[name] = &attributes{values: inner}
	}
	return all, nil
}

// byText makes text of a dict's keys, which are bytes in files of Python 2.
func byText(value any) (map[string]any, error) {
	dict, ok := value.(*pickle.Dict)
	if !ok {
		return nil, fmt.Errorf("there is a %T where a dict should be", value)
	}
	items := make(map[string]any, len(dict.Items))
	for key, value := range dict.Items {
		text, ok := asText(key)
		if !ok {
			return nil, fmt.Errorf("a dict has the key %v instead of a name", key)
		}
		items[text] = value
	}
	return items, nil
}

func asText(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case pickle.Bytes:
		return strings.ToValidUTF8(string(value), "\ufffd"), true
	}
	return "", false
}

// get leaves *to as it is if the attribute is missing or None: the settings of
// today's configuration then count as changed, and are in force.
func get[T any](a *attributes, name string, to *T) {
	value := a.values[name]
	switch typed := value.(type) {
	case nil:
	case T:
		*to = typed
	default:
		a.err = errors.Join(a.err, fmt.Errorf("%s is a %T", name, value))
	}
}

func (a *attributes) text(name string, to *string) {
	value, ok := asText(a.values[name])
	if !ok {
		get(a, name, to)
		return
	}
	*to = value
}

// decision follows a denial that was in force when the state was saved. The file
// does not say how much of its time was left, so that it begins anew. An approval
// ends with the server that it was given to.
func (a *attributes) decision(r *record, saved time.Time) {
	approved := true
	a.truth("approved", &approved)
	if !approved {
		r.State.DeniedUntil = saved.Add(r.Settings.ApprovalDuration).UTC()
		r.State.DeniedFor, r.State.DeniedKey = r.Settings.ApprovalDuration, r.key()
	}
}

// truth takes a number for what Python would take it for.
func (a *attributes) truth(name string, to *bool) {
	if n, ok := a.values[name].(int64); ok {
		*to = n != 0
		return
	}
	get(a, name, to)
}

// upstreamKey is what the Python server calls a setting.
func upstreamKey(s *client.Setting) string {
	if s.Property == client.PropChecker {
		return "checker_command"
	}
	return s.Key
}

func (a *attributes) settings(s *settings) {
	for i := range client.AllSettings {
		setting := &client.AllSettings[i]
		if setting.Ours {
			continue
		}
		switch field := setting.Field((*client.Settings)(s)).(type) {
		case *string:
			a.text(upstreamKey(setting), field)
		case *time.Duration:
			get(a, upstreamKey(setting), field)
		case *bool:
			a.truth(upstreamKey(setting), field)
		}
	}
}

func (a *attributes) progress(name string, r *record, now time.Time) {
	p := &r.State
	get(a, "created", &p.Created)
	get(a, "last_enabled", &p.LastEnabled)
	get(a, "expires", &p.Expires)
	get(a, "last_checked_ok", &p.LastCheckedOK)
	get(a, "last_approval_request", &p.LastApprovalRequest)
	status := int64(client.NeverChecked)
	get(a, "last_checker_status", &status)
	if status < client.NeverChecked || status > 255 {
		status = client.CheckerCrashed
	}
	p.LastCheckerStatus = int(status)
	enabled := false
	a.truth("enabled", &enabled)
	switch {
	case !enabled && r.Configured.Enabled:
		r.lower(name, client.BeforeTakeOver, now)
	case !enabled:
		r.lower(name, client.ByConfiguration, now)
	case p.Expires.IsZero():
		// The Python server may lose track of a client that it cannot check.
		// Its time is over, unless the last check that there was succeeded.
		p.Expires = time.Unix(0, 0).UTC()
	}
	var secret pickle.Bytes
	get(a, "encrypted_secret", &secret)
	r.Secret = []byte(secret)
}
