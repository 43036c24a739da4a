// SPDX-License-Identifier: Apache-2.0

// Package pickle reads Python's pickles of the protocols 0 to 2 that are made of
// plain data, and makes such: nothing in them is ever called. The format is that of
// the opcodes' documentation in Python's pickletools module.
//
// A pickle is a program for a machine with a stack and a memo. [Read] runs it
// with bounds on its length and on the memory that its values take, and builds
//
//	None                  nil
//	bool                  bool
//	int                   int64; uint64 where it is too large for that
//	float                 float64
//	str                   string, of UTF-8
//	bytes                 Bytes; also Python 2's str
//	list, tuple           *List, Tuple
//	dict                  *Dict
//	datetime.datetime     time.Time in UTC; only naive ones
//	datetime.timedelta    time.Duration, at most the longest that there is
//	types of dbus-python  as the plain types that they derive from
//
// and refuses everything else.
package pickle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"
)

// MaxSize is the size of the largest pickle that is read, in bytes.
const MaxSize = 64 << 20

// maxMemory bounds what the values of a pickle may take, roughly, in bytes.
const maxMemory = 256 << 20

// Bytes is a Python bytes object, or a str of Python 2.
type Bytes string

// Tuple is a Python tuple.
type Tuple []any

// List is a Python list. It may contain itself.
type List struct{ Items []any }

// Dict is a Python dict. It may contain itself. Its keys are of the types nil,
// bool, int64, string and Bytes.
type Dict struct{ Items map[any]any }

// Read reads the one pickle that r consists of.
func Read(r io.Reader) (any, error) {
	program, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(program) == 0:
		return nil, errors.New("the pickle is empty")
	case len(program) > MaxSize:
		return nil, fmt.Errorf("the pickle is larger than %d MiB", MaxSize>>20)
	}
	m := &machine{program: program, memo: make(map[uint32]any), memory: maxMemory}
	value, err := m.run()
	if err != nil {
		return nil, fmt.Errorf("bad pickle at byte %d: %w", m.at, err)
	}
	return value, nil
}

var errTruncated = errors.New("it ends too early")

// machine runs a pickle.
type machine struct {
	program []byte
	at      int // of the current opcode
	next    int // of what follows
	stack   []any
	marks   []int // heights of the stack
	memo    map[uint32]any
	memory  int // what is left of it
}

// The opcodes that plain data needs.
const (
	opMark           = '('
	opStop           = '.'
	opNone           = 'N'
	opTrue           = 0x88
	opFalse          = 0x89
	opInt4           = 'J'
	opInt1           = 'K'
	opInt2           = 'M'
	opLong1          = 0x8a
	opLong4          = 0x8b
	opFloat          = 'G'
	opUnicode        = 'X'
	opBytes1         = 'U'
	opBytes4         = 'T'
	opEmptyList      = ']'
	opAppend         = 'a'
	opAppends        = 'e'
	opEmptyTuple     = ')'
	opTuple          = 't'
	opTuple1         = 0x85
	opTuple2         = 0x86
	opTuple3         = 0x87
	opEmptyDict      = '}'
	opSetItem        = 's'
	opSetItems       = 'u'
	opPut1           = 'q'
	opPut4           = 'r'
	opGet1           = 'h'
	opGet4           = 'j'
	opGlobal         = 'c'
	opReduce         = 'R'
	opNewObject      = 0x81
	opProtocol       = 0x80
	protocol         = 2
	costOfValue      = 64 // bytes that any value takes at most, besides its content
	maxGlobalNameLen = 64
)

func (m *machine) run() (any, error) {
	if m.program[0] == opProtocol { // the older ones do not say theirs
		header, err := m.take(2)
		if err != nil {
			return nil, err
		}
		if header[1] > protocol {
			return nil, fmt.Errorf("it is a pickle of protocol %d, and %d is the newest that is known", header[1], protocol)
		}
	}
	for {
		m.at = m.next
		op, err := m.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == opStop {
			return m.result()
		}
		if err := m.step(op[0]); err != nil {
			return nil, err
		}
	}
}

func (m *machine) result() (any, error) {
	if len(m.marks) > 0 || len(m.stack) != 1 {
		return nil, fmt.Errorf("it ends with %d values instead of one", len(m.stack))
	}
	if m.next != len(m.program) {
		return nil, errors.New("something follows its end")
	}
	if _, ok := m.stack[0].(global); ok {
		return nil, errors.New("it is a function")
	}
	return m.stack[0], nil
}

func (m *machine) step(op byte) error {
	switch op {
	case opMark:
		m.marks = append(m.marks, len(m.stack))
		return m.spend(8)
	case opNone:
		return m.push(nil, nil)
	case opTrue:
		return m.push(true, nil)
	case opFalse:
		return m.push(false, nil)
	case opInt1, opInt2, opInt4, opLong1, opLong4:
		return m.push(m.integer(op))
	case opFloat:
		b, err := m.take(8)
		if err != nil {
			return err
		}
		return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)), nil)
	case opUnicode, opBytes1, opBytes4:
		return m.push(m.text(op))
	case opEmptyList:
		return m.push(new(List), nil)
	case opAppend, opAppends:
		return m.appendTo(op == opAppends)
	case opEmptyTuple, opTuple1, opTuple2, opTuple3, opTuple:
		return m.push(m.tuple(op))
	case opEmptyDict:
		return m.push(new(Dict), nil)
	case opSetItem, opSetItems:
		return m.setItems(op == opSetItems)
	case opPut1, opPut4:
		return m.put(op)
	case opGet1, opGet4:
		return m.get(op)
	case opGlobal:
		return m.push(m.global())
	case opReduce, opNewObject:
		return m.call()
	}
	return m.stepText(op)
}

func (m *machine) take(n int) ([]byte, error) {
	if n < 0 || n > len(m.program)-m.next {
		return nil, errTruncated
	}
	b := m.program[m.next : m.next+n]
	m.next += n
	return b, nil
}

// spend accounts for memory.
func (m *machine) spend(n int) error {
	m.memory -= n
	if m.memory < 0 {
		return fmt.Errorf("its values would need more than %d MiB", maxMemory>>20)
	}
	return nil
}

// push takes what makes a value, and its error if that failed.
func (m *machine) push(value any, err error) error {
	if err != nil {
		return err
	}
	m.stack = append(m.stack, value)
	return m.spend(costOfValue)
}

func (m *machine) pop() (any, error) {
	floor := 0
	if len(m.marks) > 0 {
		floor = m.marks[len(m.marks)-1]
	}
	if len(m.stack) <= floor {
		return nil, errors.New("a value is missing")
	}
	top := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return top, nil
}

// popN takes the n topmost values, in the order in which they were pushed.
func (m *machine) popN(n int) ([]any, error) {
	values := make([]any, n)
	for i := range values {
		var err error
		if values[n-1-i], err = m.pop(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// popMarked takes all values above the topmost mark, and the mark.
func (m *machine) popMarked() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("a mark is missing")
	}
	mark := m.marks[len(m.marks)-1]
	values, err := m.popN(len(m.stack) - mark)
	m.marks = m.marks[:len(m.marks)-1]
	return values, err
}

// number reads a little-endian number without sign.
func (m *machine) number(size int) (uint32, error) {
	b, err := m.take(size)
	if err != nil {
		return 0, err
	}
	var wide [4]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint32(wide[:]), nil
}

func (m *machine) integer(op byte) (any, error) {
	size := map[byte]int{opInt1: 1, opInt2: 2, opInt4: 4, opLong1: 1, opLong4: 4}[op]
	n, err := m.number(size)
	if err != nil {
		return nil, err
	}
	switch op {
	case opInt1, opInt2:
		return int64(n), nil
	case opInt4:
		return int64(int32(n)), nil
	}
	if n > 9 {
		return nil, errors.New("it has a number beyond 64 bits")
	}
	b, err := m.take(int(n))
	switch {
	case err != nil:
		return nil, err
	case n == 9 && b[8] != 0:
		return nil, errors.New("it has a number beyond 64 bits")
	case n == 9:
		return binary.LittleEndian.Uint64(b), nil
	}
	var wide [8]byte
	if n > 0 && b[n-1]&0x80 != 0 {
		wide = [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	copy(wide[:], b)
	return int64(binary.LittleEndian.Uint64(wide[:])), nil
}

func (m *machine) text(op byte) (any, error) {
	size := 4
	if op == opBytes1 {
		size = 1
	}
	n, err := m.number(size)
	if err != nil {
		return nil, err
	}
	if n > math.MaxInt32 {
		return nil, errTruncated
	}
	b, err := m.take(int(n))
	if err != nil {
		return nil, err
	}
	if err := m.spend(len(b)); err != nil {
		return nil, err
	}
	if op != opUnicode {
		return Bytes(b), nil
	}
	if !utf8.Valid(b) {
		return nil, errors.New("it has text that is not UTF-8")
	}
	return string(b), nil
}

func (m *machine) tuple(op byte) (any, error) {
	if op == opTuple {
		values, err := m.popMarked()
		return Tuple(values), err
	}
	size := map[byte]int{opEmptyTuple: 0, opTuple1: 1, opTuple2: 2, opTuple3: 3}[op]
	if err := m.spend(16 * size); err != nil {
		return nil, err
	}
	values, err := m.popN(size)
	return Tuple(values), err
}

func (m *machine) values(marked bool, n int) ([]any, error) {
	if marked {
		return m.popMarked()
	}
	return m.popN(n)
}

func (m *machine) appendTo(marked bool) error {
	values, err := m.values(marked, 1)
	if err != nil {
		return err
	}
	target, err := m.pop()
	if err != nil {
		return err
	}
	list, ok := target.(*List)
	if !ok {
		return errors.New("it appends to something else than a list")
	}
	list.Items = append(list.Items, values...)
	return m.push(list, nil)
}

func (m *machine) setItems(marked bool) error {
	values, err := m.values(marked, 2)
	if err != nil {
		return err
	}
	target, err := m.pop()
	if err != nil {
		return err
	}
	dict, ok := target.(*Dict)
	if !ok {
		return errors.New("it sets items of something else than a dict")
	}
	if err := dict.set(values); err != nil {
		return err
	}
	return m.push(dict, nil)
}

// set takes keys, each with its value behind it.
func (d *Dict) set(values []any) error {
	if len(values)%2 != 0 {
		return errors.New("it sets half an item")
	}
	if d.Items == nil {
		d.Items = make(map[any]any)
	}
	for i := 0; i < len(values); i += 2 {
		switch values[i].(type) {
		case nil, bool, int64, string, Bytes:
			d.Items[values[i]] = values[i+1]
		default:
			return errors.New("it has a dict key that is neither text nor a number")
		}
	}
	return nil
}

func (m *machine) memoIndex(op byte) (uint32, error) {
	if op == opPut1 || op == opGet1 {
		return m.number(1)
	}
	return m.number(4)
}

func (m *machine) put(op byte) error {
	index, err := m.memoIndex(op)
	if err != nil {
		return err
	}
	return m.keep(index)
}

// keep notes the topmost value under a number.
func (m *machine) keep(index uint32) error {
	top, err := m.pop()
	if err != nil {
		return err
	}
	m.memo[index] = top
	return m.push(top, nil)
}

func (m *machine) get(op byte) error {
	index, err := m.memoIndex(op)
	if err != nil {
		return err
	}
	return m.recall(index)
}

// recall pushes the value of that number.
func (m *machine) recall(index uint32) error {
	value, ok := m.memo[index]
	if !ok {
		return fmt.Errorf("it refers to value %d, which it does not have", index)
	}
	return m.push(value, nil)
}
