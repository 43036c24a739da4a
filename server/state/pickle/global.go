// SPDX-License-Identifier: Apache-2.0

package pickle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// global is a name that a pickle refers to: one of those that make a value.
type global string

// makers are the functions that pickles call, and the classes that they make
// objects of. Those of dbus-python are Python's own types with another name.
var makers = map[global]func(*machine, Tuple) (any, error){
	"_codecs encode":     makeBytes,
	"__builtin__ bytes":  makeEmptyBytes,
	"datetime datetime":  makeTime,
	"datetime timedelta": makeDuration,

	"dbus Boolean":    makeBool,
	"dbus Byte":       makeInteger,
	"dbus Int16":      makeInteger,
	"dbus UInt16":     makeInteger,
	"dbus Int32":      makeInteger,
	"dbus UInt32":     makeInteger,
	"dbus Int64":      makeInteger,
	"dbus UInt64":     makeInteger,
	"dbus Double":     makeSame[float64],
	"dbus String":     makeSame[string],
	"dbus ObjectPath": makePath,
	"dbus Signature":  makePath,
	"dbus UTF8String": makeSame[Bytes],
	"dbus ByteArray":  makeSame[Bytes],
	"dbus Struct":     makeSame[Tuple],
	"dbus Array":      makeEmpty[List],
	"dbus Dictionary": makeEmpty[Dict],
}

func (m *machine) global() (any, error) {
	var name [2][]byte
	for i := range name {
		rest := m.program[m.next:]
		end := bytes.IndexByte(rest[:min(len(rest), maxGlobalNameLen)], '\n')
		if end < 0 {
			return nil, errors.New("the name of a function is too long or incomplete")
		}
		name[i] = rest[:end]
		m.next += end + 1
	}
	g := global(name[0]) + " " + global(name[1])
	if _, known := makers[g]; !known {
		return nil, fmt.Errorf("it uses %q, which is not plain data", g)
	}
	return g, nil
}

// call makes a value, by what was a function or a class.
func (m *machine) call() error {
	values, err := m.popN(2)
	if err != nil {
		return err
	}
	g, isGlobal := values[0].(global)
	arguments, isTuple := values[1].(Tuple)
	if !isGlobal || !isTuple {
		return errors.New("it calls something else than a function")
	}
	return m.push(makers[g](m, arguments))
}

// makeSame is for a class whose objects are made of one value of the type that it
// derives from.
func makeSame[T any](_ *machine, arguments Tuple) (any, error) {
	if len(arguments) == 1 {
		if value, ok := arguments[0].(T); ok {
			return value, nil
		}
	}
	return nil, errors.New("it has a D-Bus value in an unknown form")
}

// makePath is for a class that derives from text, which is bytes in Python 2.
func makePath(m *machine, arguments Tuple) (any, error) {
	if value, err := makeSame[string](m, arguments); err == nil {
		return value, nil
	}
	return makeSame[Bytes](m, arguments)
}

func makeInteger(m *machine, arguments Tuple) (any, error) {
	if value, err := makeSame[int64](m, arguments); err == nil {
		return value, nil
	}
	return makeSame[uint64](m, arguments)
}

// makeBool is for a class that derives from int, as nothing can from bool.
func makeBool(m *machine, arguments Tuple) (any, error) {
	value, err := makeSame[int64](m, arguments)
	return value == int64(1), err
}

// makeEmpty is for a class whose objects are filled afterwards.
func makeEmpty[T List | Dict](_ *machine, arguments Tuple) (any, error) {
	if len(arguments) != 0 {
		return nil, errors.New("it has a D-Bus value in an unknown form")
	}
	return new(T), nil
}

// makeBytes follows Python 3's way to write bytes, as text of the same code points.
func makeBytes(m *machine, arguments Tuple) (any, error) {
	if len(arguments) != 2 || arguments[1] != "latin1" {
		return nil, errors.New("it has bytes in an unknown encoding")
	}
	text, ok := arguments[0].(string)
	if !ok {
		return nil, errors.New("it has bytes that are not text")
	}
	if err := m.spend(len(text)); err != nil {
		return nil, err
	}
	content := make([]byte, 0, len(text))
	for _, r := range text {
		if r > math.MaxUint8 {
			return nil, errors.New("it has a byte beyond 255")
		}
		content = append(content, byte(r))
	}
	return Bytes(content), nil
}

func makeEmptyBytes(_ *machine, arguments Tuple) (any, error) {
	if len(arguments) != 0 {
		return nil, errors.New("it has bytes in an unknown form")
	}
	return Bytes(""), nil
}

// makeTime takes the ten bytes that a datetime pickles to: the year in two, month,
// day, hour, minute, second, and the microseconds in three, all big-endian.
func makeTime(_ *machine, arguments Tuple) (any, error) {
	if len(arguments) != 1 {
		return nil, errors.New("it has a time with a time zone, or none at all")
	}
	b, ok := arguments[0].(Bytes)
	if !ok || len(b) != 10 {
		return nil, errors.New("it has a time in an unknown form")
	}
	year, micro := int(b[0])<<8|int(b[1]), int(b[7])<<16|int(b[8])<<8|int(b[9])
	t := time.Date(year, time.Month(b[2]), int(b[3]), int(b[4]), int(b[5]), int(b[6]), micro*1000, time.UTC)
	again := append(binary.BigEndian.AppendUint16(nil, uint16(t.Year())), byte(t.Month()), byte(t.Day()),
		byte(t.Hour()), byte(t.Minute()), byte(t.Second()), b[7], b[8], b[9])
	if string(again) != string(b) || micro >= 1e6 || year < 1 || year > 9999 {
		return nil, errors.New("it has a time that does not exist")
	}
	return t, nil
}

func makeDuration(_ *machine, arguments Tuple) (any, error) {
	var part [3]int64 // days, seconds, microseconds
	if len(arguments) != len(part) {
		return nil, errors.New("it has a duration in an unknown form")
	}
	for i, argument := range arguments {
		n, ok := argument.(int64)
		if !ok {
			return nil, errors.New("it has a duration that is not made of whole numbers")
		}
		part[i] = n
	}
	days, seconds, micro := part[0], part[1], part[2]
	const maxDays = 999_999_999 // timedelta.max
	if days < -maxDays || days > maxDays || seconds < 0 || seconds >= 86400 || micro < 0 || micro >= 1e6 {
		return nil, errors.New("it has a duration that does not exist")
	}
	const longest = int64(math.MaxInt64 / (24 * time.Hour)) // in days
	switch {
	case days >= longest:
		return time.Duration(math.MaxInt64), nil
	case days <= -longest:
		return time.Duration(math.MinInt64), nil
	}
	return time.Duration(days)*24*time.Hour + time.Duration(seconds)*time.Second + time.Duration(micro)*time.Microsecond, nil
}
