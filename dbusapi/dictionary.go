// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"reflect"
	"time"

	"github.com/godbus/dbus/v5"
)

// dictionary says how the bus carries a T: under which keys, and where each is in it.
type dictionary[T any] []struct {
	key string
	in  func(*T) any
}

// encode leaves out what is empty or 0.
func (d dictionary[T]) encode(of *T) map[string]dbus.Variant {
	fields := make(map[string]dbus.Variant)
	for _, f := range d {
		if value := onBus(f.in(of)); value != nil {
			fields[f.key] = dbus.MakeVariant(value)
		}
	}
	return fields
}

// decode passes over keys that it does not know.
func (d dictionary[T]) decode(fields map[string]dbus.Variant, into *T) error {
	return update(fields, func(key string) any {
		for _, f := range d {
			if f.key == key {
				return f.in(into)
			}
		}
		return nil
	})
}

// onBus is the value in a field as the bus has it, or nil for none.
func onBus(field any) any {
	if t, ok := field.(*time.Time); ok {
		text := FormatTime(*t)
		field = &text
	}
	value := reflect.ValueOf(field).Elem()
	switch {
	case value.IsZero():
		return nil
	case value.Kind() == reflect.String:
		return value.String()
	case value.Kind() == reflect.Int:
		return int32(value.Int())
	}
	return value.Interface()
}
