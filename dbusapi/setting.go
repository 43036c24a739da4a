// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi/notation"
)

// Setting is one of a client's settings, as a server has it.
type Setting struct {
	Key       string // in clients.conf
	Property  string // of the client
	Interface string // that has the property
	// Type is the property's: "s" a text, "t" a duration in milliseconds, "b" a
	// boolean, "u" a number from 1 on, "ay" the secret.
	Type string
	// Writable says that it can be changed at run time.
	Writable bool
	// Default is as it would be written in clients.conf; empty if it is not known.
	Default string
}

// Settings asks a server for all its settings. Those of one that does not tell are the
// ones that every Mandos server has.
func (conn *Connection) Settings(ctx context.Context) ([]Setting, error) {
	var columns []string
	var rows [][]string
	err := conn.call(ctx, ServerPath, ServerInterface1+".ListSettings", nil, &columns, &rows)
	switch {
	case errors.Is(err, ErrNotSupported):
		return upstreamSettings, nil
	case err != nil:
		return nil, err
	}
	settings := make([]Setting, len(rows))
	for i, row := range rows {
		if len(row) != len(columns) {
			return nil, errors.New("the server's list of settings cannot be understood")
		}
		for j, column := range columns {
			if err := setText(settings[i].field(column), row[j]); err != nil {
				return nil, fmt.Errorf("a setting's %s: %w", column, err)
			}
		}
	}
	return settings, nil
}

func (s *Setting) field(column string) any {
	switch column {
	case "Key":
		return &s.Key
	case "Property":
		return &s.Property
	case "Interface":
		return &s.Interface
	case "Type":
		return &s.Type
	case "Writable":
		return &s.Writable
	case "Default":
		return &s.Default
	}
	return nil
}

// upstreamSettings are those of se.recompile.Mandos.Client, by its description.
var upstreamSettings = func() (settings []Setting) {
	for _, p := range described(ClientInterface) {
		switch p.Name {
		case "Enabled", "CheckerRunning", "LastCheckedOK": // which are written to do something
			continue
		}
		if p.Access != "read" {
			settings = append(settings, Setting{Key: keyOf(p.Name), Property: p.Name, Interface: ClientInterface, Type: p.Type, Writable: true})
		}
	}
	return settings
}()

// keyOf turns a property's name into that of the setting: ApprovalDelay into
// approval_delay.
func keyOf(property string) string {
	var b strings.Builder
	for i, r := range property {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// settingsIn are the settings among the changed properties of a server that does not tell
// its events.
func settingsIn(values map[string]dbus.Variant, withoutValue []string) (map[string]string, error) {
	changes := make(map[string]string)
	for _, s := range upstreamSettings {
		if value, changed := values[s.Property]; changed {
			text, err := s.text(value.Value())
			if err != nil {
				return nil, err
			}
			changes[s.Key] = text
		}
		for _, property := range withoutValue {
			if property == s.Property {
				changes[s.Key] = ""
			}
		}
	}
	return changes, nil
}

// text writes a value from the bus as clients.conf has it.
func (s *Setting) text(value any) (string, error) {
	switch value := value.(type) {
	case string:
		return value, nil
	case bool:
		return notation.FormatBool(value), nil
	case uint32:
		return strconv.FormatUint(uint64(value), 10), nil
	case uint64:
		return notation.FormatDuration(time.Duration(value) * time.Millisecond), nil
	case []byte:
		return "", nil
	}
	return "", fmt.Errorf("property %s is a %T", s.Property, value)
}

// fromText writes a value, as lists of clients have it, as clients.conf does.
func (s *Setting) fromText(text string) (string, error) {
	switch s.Type {
	case "t":
		var d time.Duration
		err := setText(&d, text)
		return notation.FormatDuration(d), err
	case "b":
		var b bool
		err := setText(&b, text)
		return notation.FormatBool(b), err
	}
	return text, nil
}

// isDefault reports whether a value, as fromText writes it, is what there is without a line.
func (s *Setting) isDefault(text string) bool {
	switch s.Type {
	case "t":
		d, err := notation.ParseDuration(s.Default)
		return err == nil && text == notation.FormatDuration(d)
	case "b":
		b, err := notation.ParseBool(s.Default)
		return err == nil && text == notation.FormatBool(b)
	}
	return text == s.Default
}

// Set changes a setting of a client's at run time: to a string, a bool, a uint32 or a
// [time.Duration], of which the bus carries whole milliseconds, as the setting's type
// is.
func (conn *Connection) Set(ctx context.Context, c Client, s Setting, value any) error {
	if d, ok := value.(time.Duration); ok {
		if d < 0 {
			return &Error{Reason: ErrInvalid, Message: s.Key + " cannot be negative"}
		}
		value = uint64(d.Round(time.Millisecond) / time.Millisecond)
	}
	return conn.call(ctx, c.Path, PropertiesInterface+".Set", []any{s.Interface, s.Property, dbus.MakeVariant(value)})
}
