// SPDX-License-Identifier: Apache-2.0

package pickle

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Marshal makes a pickle, of the protocol 2, that Python 3 reads as the same. It takes
// nil, bool, int64 that fit into 32 bits, string, [Bytes], [Tuple], *[Dict] with keys
// that are strings, *[List], and [time.Time] and [time.Duration] with microseconds.
func Marshal(value any) ([]byte, error) {
	w := &writer{}
	w.Write([]byte{opProtocol, protocol})
	if err := w.put(value); err != nil {
		return nil, err
	}
	w.WriteByte(opStop)
	return w.Bytes(), nil
}

type writer struct{ bytes.Buffer }

func (w *writer) put(value any) error {
	switch value := value.(type) {
	case nil:
		w.WriteByte(opNone)
	case bool:
		w.WriteByte(map[bool]byte{true: opTrue, false: opFalse}[value])
	case int64:
		return w.putInt(value)
	case string:
		w.putText(value)
	case Bytes:
		w.putBytes(value)
	case Tuple:
		return w.putSequence(opMark, value, opTuple)
	case *List:
		w.WriteByte(opEmptyList)
		return w.putSequence(opMark, value.Items, opAppends)
	case *Dict:
		return w.putDict(value)
	case time.Time:
		w.putTime(value)
	case time.Duration:
		return w.putDuration(value)
	default:
		return fmt.Errorf("a %T cannot be pickled", value)
	}
	return nil
}

func (w *writer) putInt(n int64) error {
	if n < math.MinInt32 || n > math.MaxInt32 {
		return fmt.Errorf("the number %d is too large", n)
	}
	w.WriteByte(opInt4)
	w.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	return nil
}

func (w *writer) putText(text string) {
	w.WriteByte(opUnicode)
	w.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(text))))
	w.WriteString(text)
}

// putBytes writes what Python 3 does, as the protocol has no bytes: a text of the same
// octets, and how to make bytes of it.
func (w *writer) putBytes(octets Bytes) {
	runes := make([]rune, len(octets))
	for i, octet := range []byte(octets) {
		runes[i] = rune(octet)
	}
	w.putGlobal("_codecs encode")
	w.putText(string(runes))
	w.putText("latin1")
	w.WriteByte(opTuple2)
	w.WriteByte(opReduce)
}

func (w *writer) putGlobal(name string) {
	module, name, _ := strings.Cut(name, " ")
	fmt.Fprintf(w, "%c%s\n%s\n", opGlobal, module, name)
}

func (w *writer) putSequence(before byte, items []any, after byte) error {
	w.WriteByte(before)
	for _, item := range items {
		if err := w.put(item); err != nil {
			return err
		}
	}
	w.WriteByte(after)
	return nil
}

func (w *writer) putDict(dict *Dict) error {
	w.WriteByte(opEmptyDict)
	var items []any
	for _, key := range slices.SortedFunc(maps.Keys(dict.Items), func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
		items = append(items, key, dict.Items[key])
	}
	return w.putSequence(opMark, items, opSetItems)
}

// putTime writes ten octets, as makeTime reads them.
func (w *writer) putTime(t time.Time) {
	t = t.UTC().Truncate(time.Microsecond)
	micro := t.Nanosecond() / 1000
	w.putGlobal("datetime datetime")
	w.putBytes(Bytes([]byte{
		byte(t.Year() >> 8), byte(t.Year()), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()),
		byte(micro >> 16), byte(micro >> 8), byte(micro),
	}))
	w.WriteByte(opTuple1)
	w.WriteByte(opReduce)
}

func (w *writer) putDuration(d time.Duration) error {
	w.putGlobal("datetime timedelta")
	const day = 24 * time.Hour
	for _, part := range []time.Duration{d / day, d % day / time.Second, d % time.Second / time.Microsecond} {
		if err := w.putInt(int64(part)); err != nil {
			return err
		}
	}
	w.WriteByte(opTuple3)
	w.WriteByte(opReduce)
	return nil
}
