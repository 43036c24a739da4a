// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"reflect"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// fullEvent has a value of its own in every field that the bus carries.
func fullEvent() Event {
	e := Event{Changes: map[string]string{"timeout": "5m", "secret": ""}}
	for i, f := range eventFields {
		switch field := reflect.ValueOf(f.in(&e)).Elem(); field.Kind() {
		case reflect.String:
			field.SetString(f.key)
		case reflect.Int:
			field.SetInt(int64(-1 - i))
		case reflect.Uint32:
			field.SetUint(uint64(1000 + i))
		}
	}
	e.Time, _ = ParseTime("2026-11-26T03:04:05.000006")
	return e
}

func TestAnEventIsReadAsItIsWritten(t *testing.T) {
	want := fullEvent()
	fields := want.Encode()
	if len(fields) != len(eventFields) {
		t.Errorf("%d of %d fields are carried: %v", len(fields), len(eventFields), fields)
	}
	fields["of-a-later-server"] = dbus.MakeVariant([]string{"something"})
	if got, err := DecodeEvent(fields); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is\n%+v, error %v, want\n%+v", got, err, want)
	}
	var nothing Event
	if fields := nothing.Encode(); len(fields) > 0 {
		t.Errorf("of nothing is carried %v", fields)
	}
}

func TestAnEventThatCannotBeUnderstood(t *testing.T) {
	for key, wrong := range map[string]any{
		"kind": 7, "time": "yesterday", "uid": "root", "status": "good", "changes": []string{"timeout"}, "by": true,
	} {
		if e, err := DecodeEvent(map[string]dbus.Variant{key: dbus.MakeVariant(wrong)}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s as %v is %+v, error %v", key, wrong, e, err)
		}
	}
}
