// SPDX-License-Identifier: Apache-2.0

package pickle

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// describe writes a value as testdata/generate.py does.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case bool:
		return fmt.Sprint(v)
	case int64:
		return fmt.Sprint("int:", v)
	case uint64:
		return fmt.Sprint("int:", v)
	case float64:
		return fmt.Sprintf("float:%016x", math.Float64bits(v))
	case string:
		return fmt.Sprintf("text:%x", v)
	case Bytes:
		return fmt.Sprintf("bytes:%x", string(v))
	case time.Time:
		return v.Format("time:2006-01-02 15:04:05.000000")
	case time.Duration:
		return fmt.Sprint("duration:", v.Microseconds())
	case *List:
		return "[" + strings.Join(describeAll(v.Items), " ") + "]"
	case Tuple:
		return "(" + strings.Join(describeAll(v), " ") + ")"
	case *Dict:
		var items []string
		for key, value := range v.Items {
			items = append(items, describe(key)+"="+describe(value))
		}
		slices.Sort(items)
		return "{" + strings.Join(items, " ") + "}"
	}
	return fmt.Sprintf("unknown type %T", v)
}

func describeAll(values []any) (all []string) {
	for _, v := range values {
		all = append(all, describe(v))
	}
	return all
}

func TestReadsWhatPythonWrites(t *testing.T) {
	const pickles = 3000
	seed := rand.N(1 << 30)
	out, err := exec.Command("python3", "testdata/generate.py", fmt.Sprint(pickles), fmt.Sprint(seed)).Output()
	if err != nil {
		t.Fatal("this test needs python3: ", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, len(out)+1)
	read := 0
	for ; lines.Scan(); read++ {
		program, want, _ := strings.Cut(lines.Text(), " ")
		b, err := hex.DecodeString(program)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("seed %d: %x: %v", seed, b, err)
		}
		if describe(got) != want {
			t.Fatalf("seed %d: %x:\ngot  %s\nwant %s", seed, b, describe(got), want)
		}
		cut := rand.N(len(b))
		if v, err := Read(bytes.NewReader(b[:cut])); err == nil {
			t.Fatalf("seed %d: the first %d bytes of %x were read as %s", seed, cut, b, describe(v))
		}
	}
	if read != pickles {
		t.Errorf("python wrote %d pickles instead of %d", read, pickles)
	}
}

// TestReadsWhatDBusPythonWrites takes the types that a value has which came over
// D-Bus, pickled by Debian's own Python.
func TestReadsWhatDBusPythonWrites(t *testing.T) {
	for expression, want := range map[string]string{
		"dbus.Boolean(True)":                                 "true",
		"dbus.Boolean(False)":                                "false",
		"dbus.Boolean(True, variant_level=1)":                "true",
		"dbus.Byte(255)":                                     "int:255",
		"dbus.Int16(-2)":                                     "int:-2",
		"dbus.UInt16(65535)":                                 "int:65535",
		"dbus.Int32(-2**31)":                                 "int:-2147483648",
		"dbus.UInt32(2**32 - 1)":                             "int:4294967295",
		"dbus.Int64(-2**63)":                                 "int:-9223372036854775808",
		"dbus.UInt64(300000)":                                "int:300000",
		"dbus.UInt64(2**64 - 1)":                             "int:18446744073709551615",
		"dbus.Double(1.5)":                                   "float:3ff8000000000000",
		`dbus.String("fping", variant_level=1)`:              "text:6670696e67",
		`dbus.ObjectPath("/clients/a")`:                      "text:2f636c69656e74732f61",
		`dbus.Signature("ay")`:                               "text:6179",
		`dbus.ByteArray(b"a\xff")`:                           "bytes:61ff",
		`dbus.Array([dbus.Byte(3)], signature="y")`:          "[int:3]",
		`dbus.Array([], signature="y")`:                      "[]",
		`dbus.Struct((dbus.Boolean(True), "a"))`:             "(true text:61)",
		`dbus.Dictionary({"a": dbus.Boolean(False)})`:        "{text:61=false}",
		"datetime.timedelta(0, 0, 0, dbus.UInt64(90061001))": "duration:90061001000",
	} {
		t.Run(expression, func(t *testing.T) {
			out, err := exec.Command("/usr/bin/python3", "-c", "import datetime, dbus, pickle, sys\nsys.stdout.buffer.write(pickle.dumps("+expression+", 2))").Output()
			if err != nil {
				t.Fatal("this test needs the Debian package python3-dbus: ", err)
			}
			got, err := Read(bytes.NewReader(out))
			if err != nil || describe(got) != want {
				t.Errorf("got %s, error %v, want %s", describe(got), err, want)
			}
		})
	}
}

func TestRead(t *testing.T) {
	for name, test := range map[string]struct{ program, want string }{
		"text of Python 2":              {"\x80\x02U\x02ab.", "bytes:6162"},
		"long text of Python 2":         {"\x80\x02T\x02\x00\x00\x00ab.", "bytes:6162"},
		"a time of Python 2":            {"\x80\x02cdatetime\ndatetime\nU\x0a\x07\xea\x0b\x17\x02\x29\x26\x0c\x5c\xda\x85R.", "time:2026-11-23 02:41:38.810202"},
		"bytes of Python 2 in a line":   {"S'a\\n\\r\\t\\\\\\'\\x00\\xff\"'\n.", "bytes:610a0d095c2700ff22"},
		"bytes in the other quotes":     {"S\"it's\"\np0\n.", "bytes:69742773"},
		"no bytes in a line":            {"S''\n.", "bytes:"},
		"a dict of Python 2 in lines":   {"(dp0\nS'a'\np1\nI01\nsS'b'\nI00\ns.", "{bytes:61=true bytes:62=false}"},
		"a time of Python 2 in a line":  {"cdatetime\ndatetime\n(S'\\x07\\xea\\x0b\\x17\\x02)&\\x0c\\\\\\xda'\ntR.", "time:2026-11-23 02:41:38.810202"},
		"a number that ends in an L":    {"L300L\n.", "int:300"},
		"text beyond 16 bits":           {"V\\U0001f600\xe4\n.", "text:f09f9880c3a4"},
		"a D-Bus path of Python 2":      {"\x80\x02cdbus\nObjectPath\nU\x02/a\x85\x81.", "bytes:2f61"},
		"a D-Bus text of Python 2":      {"\x80\x02cdbus\nUTF8String\nU\x02ab\x85\x81.", "bytes:6162"},
		"a D-Bus truth of Python 2":     {"\x80\x02cdbus\nBoolean\nK\x01\x85\x81.", "true"},
		"a long of Python 2":            {"\x80\x02\x8a\x02\xff\x00.", "int:255"},
		"a duration longer than Go's":   {"\x80\x02cdatetime\ntimedelta\nJ\xff\xff\xff\x0eK\x00K\x00\x87R.", "duration:9223372036854775"},
		"a negative one":                {"\x80\x02cdatetime\ntimedelta\nJ\x01\x00\x00\xf1K\x00K\x00\x87R.", "duration:-9223372036854775"},
		"a value that is used twice":    {"\x80\x02]q\x01(h\x01e.", "endless"},
		"a list grown after it is used": {"\x80\x02]]q\x01ah\x01K\x01a\x86.", "([[int:1]] [int:1])"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(strings.NewReader(test.program))
			if err != nil {
				t.Fatal(err)
			}
			if list, ok := got.(*List); ok && test.want == "endless" {
				if list.Items[0] != list {
					t.Error("the list does not contain itself")
				}
				return
			}
			if describe(got) != test.want {
				t.Errorf("got %s, want %s", describe(got), test.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	bomb := "\x80\x02X" + string(binary.LittleEndian.AppendUint32(nil, 1<<20)) + strings.Repeat("x", 1<<20) + "q\x01" +
		"X\x06\x00\x00\x00latin1q\x02" + strings.Repeat("c_codecs\nencode\nh\x01h\x02\x86R", 300) + "."
	for name, test := range map[string]struct{ program, want string }{
		"nothing":                          {"", "the pickle is empty"},
		"another file":                     {"hello", "bad pickle at byte 0: it refers to value 101"},
		"a newer protocol":                 {"\x80\x04N.", "a pickle of protocol 4, and 2 is the newest"},
		"half a header":                    {"\x80", "ends too early"},
		"a header alone":                   {"\x80\x02", "bad pickle at byte 2: it ends too early"},
		"no value":                         {"\x80\x02.", "ends with 0 values"},
		"two values":                       {"\x80\x02NN.", "ends with 2 values"},
		"a mark that is left":              {"\x80\x02(N.", "ends with 1 values"},
		"more after the end":               {"\x80\x02N.N", "something follows its end"},
		"a call of a function":             {"\x80\x02cos\nsystem\nU\x04true\x85R.", `uses "os system", which is not plain data`},
		"a function as a value":            {"\x80\x02cdatetime\ndatetime\n.", "it is a function"},
		"a function without an end":        {"\x80\x02cdatetime", "too long or incomplete"},
		"a function with a long name":      {"\x80\x02c" + strings.Repeat("x", 1000) + "\ny\n.", "too long or incomplete"},
		"a call of a value":                {"\x80\x02NN\x85R.", "calls something else"},
		"an object to build":               {"\x80\x02}}b.", "opcode 0x62 is not for plain data"},
		"an extension":                     {"\x80\x02\x82\x01.", "opcode 0x82"},
		"a persistent reference":           {"\x80\x02Pabc\n.", "opcode 0x50"},
		"a reference to nothing":           {"\x80\x02h\x05.", "refers to value 5"},
		"an append to nothing":             {"\x80\x02Na.", "a value is missing"},
		"an append to a dict":              {"\x80\x02}Na.", "something else than a list"},
		"an append without a mark":         {"\x80\x02]Ne.", "a mark is missing"},
		"an append across a mark":          {"\x80\x02](a.", "a value is missing"},
		"half an item":                     {"\x80\x02}(Nu.", "half an item"},
		"half an item of a new dict":       {"(Nd.", "half an item"},
		"a list as a key of a new dict":    {"(]Nd.", "neither text nor a number"},
		"a new dict without a mark":        {"d.", "a mark is missing"},
		"a new list without a mark":        {"l.", "a mark is missing"},
		"a line that does not end":         {"I1", "ends too early"},
		"a number that is a word":          {"Iabc\n.", `has the number "abc"`},
		"a number that is nothing":         {"L\n.", `has the number ""`},
		"a number of many digits":          {"L18446744073709551616L\n.", "beyond 64 bits"},
		"a negative one":                   {"L-9223372036854775809L\n.", "beyond 64 bits"},
		"a number that is a long line":     {"I" + strings.Repeat("0", 1000) + "\n.", "ends too early"},
		"a fraction that is a word":        {"Fabc\n.", `has the number "abc"`},
		"bytes without quotes":             {"Sab\n.", "bytes in an unknown form"},
		"bytes with one quote":             {"S'\n.", "bytes in an unknown form"},
		"bytes with different quotes":      {"S'a\"\n.", "bytes in an unknown form"},
		"bytes with an unknown escape":     {"S'\\q'\n.", "bytes in an unknown form"},
		"bytes with half an escape":        {"S'\\x0'\n.", "bytes in an unknown form"},
		"bytes with a wrong escape":        {"S'\\xzz'\n.", "bytes in an unknown form"},
		"bytes that end in an escape":      {"S'\\'\n.", "bytes in an unknown form"},
		"text with half an escape":         {"V\\u00\n.", "text that is not Unicode"},
		"text with a wrong escape":         {"V\\uzzzz\n.", "text that is not Unicode"},
		"text with half of a pair":         {"V\\ud800\n.", "text that is not Unicode"},
		"text beyond Unicode":              {"V\\U00110000\n.", "text that is not Unicode"},
		"a reference to a word":            {"gx\n.", `refers to value "x"`},
		"a reference to no value":          {"g7\n.", "refers to value 7"},
		"a note of nothing":                {"p0\n.", "a value is missing"},
		"an item of a list":                {"\x80\x02]NNs.", "something else than a dict"},
		"a list as a key":                  {"\x80\x02}]Ns.", "neither text nor a number"},
		"a tuple as a key":                 {"\x80\x02})Ns.", "neither text nor a number"},
		"text that is cut off":             {"\x80\x02X\x05\x00\x00\x00abc", "ends too early"},
		"text of 4 GiB":                    {"\x80\x02X\xff\xff\xff\xffabc", "ends too early"},
		"text that is not UTF-8":           {"\x80\x02X\x01\x00\x00\x00\xff.", "not UTF-8"},
		"a number of 2,040 bits":           {"\x80\x02\x8a\xff" + strings.Repeat("\x01", 255) + ".", "beyond 64 bits"},
		"a number of 65 bits":              {"\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", "beyond 64 bits"},
		"a negative number of 65 bits":     {"\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xff.", "beyond 64 bits"},
		"a D-Bus number made of text":      {"\x80\x02cdbus\nInt16\nU\x011\x85\x81.", "a D-Bus value in an unknown form"},
		"a D-Bus truth made of text":       {"\x80\x02cdbus\nBoolean\nU\x011\x85\x81.", "a D-Bus value in an unknown form"},
		"a D-Bus text made of nothing":     {"\x80\x02cdbus\nString\n)\x81.", "a D-Bus value in an unknown form"},
		"a D-Bus text made of two":         {"\x80\x02cdbus\nString\nX\x01\x00\x00\x00aN\x86\x81.", "a D-Bus value in an unknown form"},
		"a D-Bus list made of another":     {"\x80\x02cdbus\nArray\n]\x85\x81.", "a D-Bus value in an unknown form"},
		"another D-Bus class":              {"\x80\x02cdbus\nSystemBus\n)\x81.", `uses "dbus SystemBus", which is not plain data`},
		"a number with a negative length":  {"\x80\x02\x8b\xff\xff\xff\xff.", "beyond 64 bits"},
		"bytes beyond 255":                 {"\x80\x02c_codecs\nencode\nX\x03\x00\x00\x00\xe2\x82\xacX\x06\x00\x00\x00latin1\x86R.", "beyond 255"},
		"bytes in another encoding":        {"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.", "unknown encoding"},
		"bytes with content":               {"\x80\x02c__builtin__\nbytes\nK\x05\x85R.", "unknown form"},
		"a time with a zone":               {"\x80\x02cdatetime\ndatetime\nU\x0a\x07\xea\x0b\x17\x02\x29\x26\x0c\x5c\xdaN\x86R.", "time zone"},
		"a time that is too short":         {"\x80\x02cdatetime\ndatetime\nU\x09\x07\xea\x0b\x17\x02\x29\x26\x0c\x5c\x85R.", "a time in an unknown form"},
		"the 31st of February":             {"\x80\x02cdatetime\ndatetime\nU\x0a\x07\xea\x02\x1f\x02\x29\x26\x0c\x5c\xda\x85R.", "a time that does not exist"},
		"the year 0":                       {"\x80\x02cdatetime\ndatetime\nU\x0a\x00\x00\x02\x01\x02\x29\x26\x0c\x5c\xda\x85R.", "a time that does not exist"},
		"a duration of two parts":          {"\x80\x02cdatetime\ntimedelta\nK\x00K\x00\x86R.", "a duration in an unknown form"},
		"a duration of text":               {"\x80\x02cdatetime\ntimedelta\nK\x00K\x00U\x00\x87R.", "not made of whole numbers"},
		"a duration with too many seconds": {"\x80\x02cdatetime\ntimedelta\nK\x00J\xff\xff\xff\x0fK\x00\x87R.", "a duration that does not exist"},
		"a gigabyte made of a megabyte":    {bomb, "need more than 256 MiB"},
		"five million dicts":               {"\x80\x02(" + strings.Repeat("}", 5_000_000) + "t.", "need more than 256 MiB"},
		"a file that is too large":         {"\x80\x02" + strings.Repeat("N", MaxSize), "larger than 64 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := Read(strings.NewReader(test.program))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v and error %v, want error %q", v, err, test.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range []string{"../testdata/upstream/clients.pickle"} {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\x80\x02]q\x01(h\x01e."))
	f.Add([]byte("\x80\x02}(U\x01aK\x01NJ\x00\x00\x00\x80u."))
	f.Add([]byte("\x80\x02cdatetime\ntimedelta\nK\x00K\x00K\x00\x87R."))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Read(bytes.NewReader(b))
		if err != nil && v != nil {
			t.Errorf("both %v and %v", v, err)
		}
	})
}
