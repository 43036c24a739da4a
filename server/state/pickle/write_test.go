// SPDX-License-Identifier: Apache-2.0

package pickle

import (
	"bytes"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"
)

// everything has a value of each type, also with octets of all kinds.
func everything() any {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return Tuple{
		nil, true, false, int64(0), int64(-2), int64(70000), "", "grün €", Bytes(""), Bytes(all), Tuple{}, &List{Items: []any{"a", int64(1)}},
		time.Date(2026, 11, 26, 23, 59, 58, 999999000, time.UTC), time.Duration(0), 49*24*time.Hour + 3*time.Second + 5*time.Microsecond,
		&Dict{Items: map[any]any{"b": Tuple{"x"}, "a": &Dict{Items: map[any]any{}}}},
	}
}

func TestWhatIsPickledIsReadAsItWas(t *testing.T) {
	content, err := Marshal(everything())
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(content))
	if want := everything(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is\n%#v, error %v, want\n%#v", got, err, want)
	}
	if again, err := Marshal(everything()); err != nil || !bytes.Equal(again, content) {
		t.Errorf("twice it is not the same, error %v", err)
	}
}

func TestPythonReadsWhatIsPickled(t *testing.T) {
	content, err := Marshal(everything())
	if err != nil {
		t.Fatal(err)
	}
	const want = `(None, True, False, 0, -2, 70000, '', 'grün €', b'', bytes(range(256)), (), ['a', 1], ` +
		`datetime.datetime(2026, 11, 26, 23, 59, 58, 999999), datetime.timedelta(0), datetime.timedelta(49, 3, 5), {'a': {}, 'b': ('x',)})`
	cmd := exec.Command("/usr/bin/python3", "-c", "import datetime, pickle, sys\nvalue = pickle.load(sys.stdin.buffer, encoding='bytes')\nprint(value == "+want+", value)")
	cmd.Stdin = bytes.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "True ") {
		t.Errorf("Python has %s, error %v", out, err)
	}
}

func TestWhatCannotBePickled(t *testing.T) {
	for want, value := range map[string]any{
		"a uint8 cannot be pickled":           uint8(7),
		"the number 2147483648 is too large":  Tuple{int64(1 << 31)},
		"the number -2147483649 is too large": &Dict{Items: map[any]any{"a": int64(-1<<31 - 1)}},
		"a struct {} cannot be pickled":       &List{Items: []any{struct{}{}}},
	} {
		if content, err := Marshal(value); err == nil || err.Error() != want {
			t.Errorf("%v is %q, error %v", value, content, err)
		}
	}
}
