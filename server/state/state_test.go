// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mandos/server/client"
)

var quiet = slog.New(slog.DiscardHandler)

func open(tb testing.TB, dir string) *Store {
	tb.Helper()
	s, err := Open(dir, quiet)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func reopen(tb testing.TB, s *Store) *Store {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
	return open(tb, filepath.Dir(s.path))
}

func save(tb testing.TB, s *Store, records ...client.Record) {
	tb.Helper()
	if err := s.Save(records); err != nil {
		tb.Fatal(err)
	}
}

func recordsOf(tb testing.TB, s *Store, configured ...client.Settings) map[string]client.Record {
	tb.Helper()
	all, err := s.Records(configured)
	if err != nil {
		tb.Fatal(err)
	}
	byName := make(map[string]client.Record)
	for _, r := range all {
		r.Settings.Secret = r.Settings.Secret.Settled()
		byName[r.Settings.Name] = r
	}
	return byName
}

func secret(s string) client.Secret { return client.NewSecret([]byte(s)) }

// fill gives every field of a struct a value of its own.
func fill(v reflect.Value, n *int64) { fillAll(v.NumField(), v.Field, n) }

// fillAll gives each of some values one of its own.
func fillAll(number int, at func(int) reflect.Value, n *int64) {
	for i := range number {
		*n++
		field := at(i)
		if !field.CanSet() { // it is the registry's own
			continue
		}
		switch field.Interface().(type) {
		case time.Time:
			field.Set(reflect.ValueOf(time.Date(2026, 11, 23, 5, 0, int(*n), 123456789, time.UTC)))
		case time.Duration:
			field.SetInt(*n * int64(time.Second))
		case netip.AddrPort:
			field.Set(reflect.ValueOf(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(*n)}), uint16(*n))))
		case netip.Prefix:
			field.Set(reflect.ValueOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(*n)}), 32)))
		case client.Secret:
			field.Set(reflect.ValueOf(secret(fmt.Sprint("secret ", *n))))
		default:
			switch field.Kind() {
			case reflect.String:
				field.SetString(fmt.Sprint("text ", *n, " ä"))
			case reflect.Bool:
				field.SetBool(true)
			case reflect.Int, reflect.Int64:
				field.SetInt(*n)
			case reflect.Uint32, reflect.Uint64:
				field.SetUint(uint64(*n))
			case reflect.Struct:
				fill(field, n)
			case reflect.Slice:
				field.Set(reflect.MakeSlice(field.Type(), 2, 2))
				fillAll(field.Len(), field.Index, n)
			case reflect.Pointer:
				field.Set(reflect.New(field.Type().Elem()))
				fill(field.Elem(), n)
			default:
				panic("what is a " + field.Kind().String())
			}
		}
	}
}

// full is a record in which every field has a value of its own, but for those that
// follow from its being disabled.
func full(name string) (r client.Record) {
	var n int64
	fill(reflect.ValueOf(&r).Elem(), &n)
	r.Settings.Name, r.Configured.Name = name, name
	r.Settings.AllowFrom, r.Configured.AllowFrom = "192.0.2.7", "192.0.2.8"
	r.Settings.ApprovalsNeeded, r.Configured.ApprovalsNeeded = 2, 3
	r.Settings.HandoutLimit, r.Configured.HandoutLimit = "3/PT1H", "4/PT1H"
	r.Settings.Handouts, r.Configured.Handouts = "free", "granted"
	r.Settings.EnabledOwn, r.Dropped = false, false
	return r.Judged()
}

// equal compares records in all that they have.
func equal(a, b map[string]client.Record) bool { return reflect.DeepEqual(a, b) }

func TestEverythingIsKept(t *testing.T) {
	s := open(t, t.TempDir())
	with := full("with everything")
	nothing := client.Record{Settings: client.Settings{Name: "nothing", Enabled: true}, Configured: client.Settings{Name: "nothing"}}
	valid := nothing // which alone has a time at which it expires
	valid.Settings.Name, valid.Configured.Name, valid.Expires = "valid", "valid", time.Date(2026, 11, 23, 5, 0, 0, 1, time.UTC)
	save(t, s, with, nothing, valid)
	s = reopen(t, s)
	got := recordsOf(t, s, with.Configured, nothing.Configured, valid.Configured)
	want := map[string]client.Record{"with everything": with, "nothing": nothing, "valid": valid}
	if !equal(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestTimesAreSavedInUTC(t *testing.T) {
	s := open(t, t.TempDir())
	at := time.Date(2026, 11, 23, 5, 0, 0, 0, time.FixedZone("elsewhere", 3600))
	lowering := client.Lowering{ID: "1", At: at}
	save(t, s, client.Record{
		Settings: client.Settings{Name: "c"}, Gone: at,
		State: client.State{
			Created: at, LastEnabled: at, LastCheckedOK: at, LastApprovalRequest: at, LastHandout: at,
			DisabledSince: at, DisabledBecause: client.ByAdministrator, DeniedUntil: at,
		},
		Standing: client.Standing{Lowerings: []client.Lowering{lowering}, Life: client.Life{Expiry: &lowering}},
	}, client.Record{Settings: client.Settings{Name: "valid"}, State: client.State{Expires: at}})
	got := recordsOf(t, reopen(t, s))
	r := got["c"]
	for what, got := range map[string]time.Time{
		"Created": r.Created, "LastEnabled": r.LastEnabled, "LastCheckedOK": r.LastCheckedOK, "LastApprovalRequest": r.LastApprovalRequest,
		"LastHandout": r.LastHandout, "DisabledSince": r.DisabledSince, "DeniedUntil": r.DeniedUntil, "Gone": r.Gone,
		"a lowering": r.Lowerings[0].At, "an expiry": r.Life.Expiry.At, "Expires": got["valid"].Expires,
	} {
		if !got.Equal(at) || got.Location() != time.UTC {
			t.Errorf("%s is %v, want %v", what, got, at.UTC())
		}
	}
}

func TestWhichRecordsAreReadAndWhichSumsTheyHave(t *testing.T) {
	for content, good := range map[string]bool{
		`{}`: true, ` {"Gone":"2026-11-23T05:00:00Z"} `: true,
		``: false, `{`: false, `{"Unknown":1}`: false, `{} {}`: false, `{}x`: false, `[]`: false,
	} {
		if _, err := decode([]byte(content)); (err == nil) != good {
			t.Errorf("%q: %v", content, err)
		}
	}
	// Sums are saved, and must be the same in every version.
	if sum := sumOf([]byte("ab"), []byte("c")); sum != 0x3dc693fb05f87048 {
		t.Errorf("the sum is %#x", sum)
	}
	if sumOf([]byte("ab"), []byte("c")) == sumOf([]byte("a"), []byte("bc")) {
		t.Error("a longer name is taken for the beginning of the record")
	}
}

func TestSave(t *testing.T) {
	s := open(t, t.TempDir())
	a, b, c := full("a"), full("b"), full("c")
	save(t, s, a, b, c)
	a.State.LastCheckerStatus = 99
	save(t, s, a, client.Record{Settings: client.Settings{Name: "b"}, Dropped: true}, client.Record{Settings: client.Settings{Name: "never saved"}, Dropped: true})
	save(t, s)
	for range 2 {
		got := recordsOf(t, s, a.Configured, b.Configured, c.Configured)
		if want := map[string]client.Record{"a": a, "c": c}; !equal(got, want) {
			t.Errorf("got\n%+v\nwant\n%+v", got, want)
		}
		s = reopen(t, s)
	}
}

// TestStartsAtTheSameTime has servers race for a new directory, and for one that
// a server begins anew.
func TestWhatWasSavedSinceTheFileWasOpenedIsRead(t *testing.T) {
	s := open(t, t.TempDir())
	save(t, s, full("before"), full("dropped since"))
	s = reopen(t, s)
	dropped := full("dropped since")
	dropped.Dropped = true
	save(t, s, full("since"), dropped)
	got := recordsOf(t, s)
	if _, ok := got["since"]; !ok || len(got) != 2 {
		t.Errorf("got %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestStartsAtTheSameTime(t *testing.T) {
	for range 5 {
		dir := t.TempDir()
		var running atomic.Int32
		var servers sync.WaitGroup
		for _, start := range []func(string, *slog.Logger) (*Store, error){Open, Open, OpenAnew, OpenAnew} {
			servers.Go(func() {
				s, err := start(dir, quiet)
				if err != nil {
					return
				}
				if running.Add(1) > 1 {
					t.Error("two servers have the state")
				}
				err = s.Save([]client.Record{full("a")})
				running.Add(-1)
				if err := errors.Join(err, s.Close()); err != nil {
					t.Error(err)
				}
			})
		}
		servers.Wait()
		if got := recordsOf(t, open(t, dir)); len(got) != 1 {
			t.Errorf("got %v", got)
		}
	}
}

func TestSaveIsAllOrNothing(t *testing.T) {
	s := open(t, t.TempDir())
	a := full("a")
	save(t, s, a)
	changed := a
	changed.State.LastCheckerStatus = 99
	s.db.Close() // what a disk does that fails
	if err := s.Save([]client.Record{changed, full("b")}); err == nil {
		t.Error("it is told to be saved")
	}
	if got := recordsOf(t, s, a.Configured); len(got) != 1 || !reflect.DeepEqual(got["a"], a) {
		t.Errorf("got %+v", got)
	}
}

func TestARecordThatCannotBeSavedKeepsNoOtherFromIt(t *testing.T) {
	s := open(t, t.TempDir())
	a, long := full("a"), strings.Repeat("x", 40_000)
	err := s.Save([]client.Record{full(long), a, full("")})
	unsavable, ok := err.(client.UnsavableError)
	if !ok || len(unsavable) != 2 || unsavable[long].Error() != "its name is longer than 32768 bytes" || unsavable[""].Error() != "it has no name" {
		t.Errorf("got %v", err)
	}
	if got := recordsOf(t, reopen(t, s), a.Configured); len(got) != 1 || !reflect.DeepEqual(got["a"], a) {
		t.Errorf("got %+v", got)
	}
}

func TestASavedSettingThatCannotBeInForceLocksNobodyOut(t *testing.T) {
	var told bytes.Buffer
	s, err := Open(t.TempDir(), slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	configured := full("a").Configured
	saved := full("a")
	saved.Configured = configured
	saved.Settings.Checker, saved.Settings.Host = strings.Repeat("x", client.MaxCommand+1), strings.Repeat("y", client.MaxHost+1)
	saved.Settings.Interval, saved.Settings.Timeout = 0, 147*364*24*time.Hour
	gone := saved
	gone.Settings.Name, gone.Configured.Name = "gone", "gone"
	save(t, s, saved, gone)
	configured.Host = "another by now"
	got := recordsOf(t, s, configured)
	want := saved
	want.Settings.Checker, want.Settings.Host = configured.Checker, configured.Host
	want.Settings.Interval, want.Settings.Timeout = configured.Interval, configured.Timeout
	if !reflect.DeepEqual(got["a"], want) {
		t.Errorf("got %+v, want %+v", got["a"], want)
	}
	if faults := got["gone"]; len(faults.Settings.Faults()) > 0 {
		t.Errorf("of one that is not configured: %v", faults.Settings.Faults())
	}
	for _, setting := range []string{"checker", "host", "interval", "timeout"} {
		if !strings.Contains(told.String(), "client=a setting="+setting) {
			t.Errorf("nothing is told of its %s:\n%.2000s", setting, &told)
		}
	}
}

func TestSecrets(t *testing.T) {
	configured, changed, runtime := "the configured secret", "another configured secret", "set at run time, très secret"
	for name, test := range map[string]struct{ inForce, now, want string }{
		"the configured one":                    {configured, configured, configured},
		"the configured one, then changed":      {configured, changed, changed},
		"one set at run time":                   {runtime, configured, runtime},
		"one set at run time, then changed":     {runtime, changed, changed},
		"an empty one set at run time":          {"", configured, ""},
		"a long one set at run time":            {strings.Repeat(runtime, 10_000), configured, strings.Repeat(runtime, 10_000)},
		"one set at run time, then all is gone": {runtime, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			r := full("c")
			r.Settings.Secret, r.Configured.Secret = secret(test.inForce), secret(configured)
			save(t, s, r)
			s = reopen(t, s)
			now := r.Configured
			now.Secret = secret(test.now)
			got := recordsOf(t, s, now)["c"]
			if got.Settings.Secret != secret(test.want) || got.Configured.Secret != secret(test.now) {
				t.Errorf("got %.50q and %.50q, want %.50q", got.Settings.Secret.Bytes(), got.Configured.Secret.Bytes(), test.want)
			}
			file, err := os.ReadFile(s.path)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{configured, changed, "très secret"} {
				if bytes.Contains(file, []byte(part)) {
					t.Errorf("the file contains %q", part)
				}
			}
		})
	}
	t.Run("of a client that is not configured", func(t *testing.T) {
		s := open(t, t.TempDir())
		save(t, s, full("c"))
		got := recordsOf(t, s)["c"]
		if got.Settings.Secret.Len() != 0 || got.Configured.Secret.Len() != 0 || got.Settings.Host != full("c").Settings.Host {
			t.Errorf("got %+v", got)
		}
	})
}

func savedMessage(t *testing.T, s *Store, name string) []byte {
	t.Helper()
	saved, err := readAll(s.db)
	if err != nil {
		t.Fatal(err)
	}
	return saved[name].Secret
}

func TestASecretIsEncryptedOnce(t *testing.T) {
	s := open(t, t.TempDir())
	r := full("c")
	save(t, s, r)
	first := savedMessage(t, s, "c")
	r.State.LastCheckerStatus = 5
	save(t, s, r)
	if !bytes.Equal(first, savedMessage(t, s, "c")) {
		t.Error("encrypted again by the next save")
	}
	s = reopen(t, s)
	save(t, s, recordsOf(t, s, r.Configured)["c"])
	if !bytes.Equal(first, savedMessage(t, s, "c")) {
		t.Error("encrypted again after a restart")
	}
	r.Configured.Secret = secret("changed")
	save(t, s, r)
	if bytes.Equal(first, savedMessage(t, s, "c")) {
		t.Error("not encrypted again for another configured secret")
	}
	r.Settings.Secret = r.Configured.Secret
	save(t, s, r)
	if _, ok := s.sealed["c"]; ok || savedMessage(t, s, "c") != nil {
		t.Error("the configured secret was saved, or the former one is still in memory")
	}
}

// TestGPG encrypts and decrypts as the Python server does, with gpg.
func TestGPG(t *testing.T) {
	for name, key := range map[string]string{
		"a short key":              "key",
		"a key of the most hex":    strings.Repeat("k", 1021),
		"a key that is not in hex": strings.Repeat("k", 1000) + "\\\n\x00\xff" + strings.Repeat("k", 100),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := func(name string, content []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			gpg := func(input []byte, arguments ...string) []byte {
				t.Helper()
				cmd := exec.Command("gpg", append([]string{"--batch", "--quiet", "--no-options", "--homedir", dir, "--pinentry-mode", "loopback",
					"--passphrase-file", file("passphrase", passphrase(secret(key)))}, arguments...)...)
				cmd.Stdin = bytes.NewReader(input)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("this test needs gpg: %v: %s", err, stderr.String())
				}
				return out
			}
			defer exec.Command("gpgconf", "--homedir", dir, "--kill", "gpg-agent").Run()
			content := []byte("some \x00 secret\n")
			ours, err := encrypt(client.NewSecret(content), secret(key))
			if err != nil {
				t.Fatal(err)
			}
			if got := gpg(ours, "--decrypt"); !bytes.Equal(got, content) {
				t.Errorf("gpg reads %q", got)
			}
			theirs := gpg(content, "--symmetric", "--force-mdc")
			got, err := decrypt(theirs, secret(key))
			if err != nil || got != client.NewSecret(content) {
				t.Errorf("we read %q, %v", got.Bytes(), err)
			}
			theirs[len(theirs)-1] ^= 1
			if got, err := decrypt(theirs, secret(key)); err == nil {
				t.Errorf("we read %q of a changed message", got.Bytes())
			}
			if got, err := decrypt(ours, secret(key+"x")); err == nil {
				t.Errorf("we read %q with another key", got.Bytes())
			}
		})
	}
}

func FuzzDecrypt(f *testing.F) {
	message, err := encrypt(secret("s"), secret("k"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message)
	f.Fuzz(func(t *testing.T, message []byte) {
		got, err := decrypt(message, secret("k"))
		if err == nil && got != secret("s") {
			t.Errorf("forged %q", got.Bytes())
		}
	})
}

func TestAMissingParentIsNotMade(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "missing")
	for name, open := range map[string]func(string, *slog.Logger) (*Store, error){"Open": Open, "OpenAnew": OpenAnew} {
		if _, err := open(filepath.Join(parent, "mandos"), quiet); err == nil || !strings.Contains(err.Error(), "there is no "+parent+"; make that directory") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := os.Stat(parent); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there, or %v", parent, err)
	}
}

func TestFileAndDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	s := open(t, dir)
	for path, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, s.path: 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	if names := ls(t, dir); !slices.Equal(names, []string{"state.db"}) {
		t.Errorf("the directory has %v", names)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func ls(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestASecondServerIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	save(t, s, full("a"))
	var others sync.WaitGroup
	for name, try := range map[string]func(string, *slog.Logger) (*Store, error){"Open": Open, "OpenAnew": OpenAnew} {
		others.Go(func() {
			_, err := try(filepath.Dir(s.path), quiet)
			if err == nil || !strings.Contains(err.Error(), s.path+" is in use") {
				t.Errorf("%s: got %v", name, err)
			}
		})
	}
	others.Wait()
	save(t, s, full("b"))
	if got := recordsOf(t, reopen(t, s)); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

func TestAfterAStartThatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, newName), bytes.Repeat([]byte("half written"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	save(t, s, full("a"))
	if names := ls(t, dir); !slices.Equal(names, []string{"state.db"}) {
		t.Errorf("the directory has %v", names)
	}
}

func TestOpenAnew(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, full("a"))
	damage(t, s, 0)
	for i := range keptAside + 2 {
		anew, err := OpenAnew(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if got := recordsOf(t, anew); len(got) != 0 {
			t.Errorf("it is not empty: %v", got)
		}
		save(t, anew, full(fmt.Sprint("b", i)))
		if err := anew.Close(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			aside, err := filepath.Glob(s.path + ".2*")
			if err != nil || len(aside) != 1 {
				t.Fatalf("set aside: %v, %v", aside, err)
			}
			open(t, dir).Close()
		}
	}
	if names := ls(t, dir); len(names) != keptAside+1 {
		t.Errorf("the directory has %v", names)
	}
}

func damage(t *testing.T, s *Store, at int64) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 4096)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0xff
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func TestUnusableFiles(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(t *testing.T, path string) error
		want  string
	}{
		"empty":   {func(_ *testing.T, path string) error { return os.Truncate(path, 0) }, "it is too short"},
		"cut off": {func(_ *testing.T, path string) error { return os.Truncate(path, 12<<10) }, "it is cut off"},
		"text": {func(_ *testing.T, path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte("text"), 9999), 0o600)
		}, "another kind of file"},
		"zeros":            {func(_ *testing.T, path string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) }, "another kind of file"},
		"another database": {another, "another program has written to it"},
		"a newer version's": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error { return putSummary(tx, summary{Schema: schema + 1}) })
		}, "a newer version of mandos wrote it (schema 5; this version knows 4)"},
		"from before the first release": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error { return putSummary(tx, summary{Schema: 2}) })
		}, "a version of mandos from before the first release wrote it (schema 2; this version knows 4): note who is disabled"},
		"a record less": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error { return tx.Bucket(clientsBucket).Delete([]byte("client 7")) })
		}, "it has 99 and should have 100"},
		"a record of another client": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error {
				b := tx.Bucket(clientsBucket)
				return b.Put([]byte("client 7"), bytes.Clone(b.Get([]byte("client 8"))))
			})
		}, `the record of client "client 7" is damaged`},
		"an older record": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error {
				r := record{Settings: settings{ApprovedByDefault: true}}
				content, err := json.Marshal(r)
				if err != nil {
					return err
				}
				total, err := getSummary(tx)
				if err != nil {
					return err
				}
				return errors.Join(replace(tx, map[string][]byte{"client 7": content}), putSummary(tx, total))
			})
		}, "records are missing or damaged"},
		"an unknown field": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error {
				return replace(tx, map[string][]byte{"client 7": []byte(`{"Surprise":1}`)})
			})
		}, `the record of client "client 7" is damaged: json: unknown field "Surprise"`},
		"a newer version's setting": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error {
				return replace(tx, map[string][]byte{"client 7": []byte(`{"Settings":{"host":"h","surprise":1}}`)})
			})
		}, `client "client 7" has the setting "surprise", which this version of mandos does not know: a newer one wrote the file; run that version`},
		"a setting of another type": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error {
				return replace(tx, map[string][]byte{"client 7": []byte(`{"Settings":{"host":1}}`)})
			})
		}, `the record of client "client 7" is damaged: json: cannot unmarshal number`},
		"settings that are none": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error {
				return replace(tx, map[string][]byte{"client 7": []byte(`{"Settings":7}`)})
			})
		}, `the record of client "client 7" is damaged: json: cannot unmarshal number`},
		"a record without room for its sum": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error { return tx.Bucket(clientsBucket).Put([]byte("client 7"), []byte("short")) })
		}, `the record of client "client 7" is damaged`},
		"two records in the place of one": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error { return replace(tx, map[string][]byte{"client 7": []byte(`{}{}`)}) })
		}, `the record of client "client 7" is damaged: something follows the record`},
		"a summary that is none": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error { return tx.Bucket(summaryBucket).Put(summaryKey, []byte("{")) })
		}, "its summary is damaged"},
		"no records": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error { return tx.DeleteBucket(clientsBucket) })
		}, "its records are missing"},
		"no summary": {func(_ *testing.T, path string) error {
			return edit(path, func(tx *bolt.Tx) error { return tx.DeleteBucket(summaryBucket) })
		}, "it is not a state file of mandos"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			save(t, s, hundred()...)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := test.spoil(t, s.path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(s.path)
			_, err := Open(filepath.Dir(s.path), quiet)
			if err == nil {
				t.Fatal("it was opened")
			}
			for _, want := range []string{test.want, s.path, "restore a copy", "--no-restore"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			if after, _ := os.ReadFile(s.path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			anew, err := OpenAnew(filepath.Dir(s.path), quiet)
			if err != nil {
				t.Fatal(err)
			}
			save(t, anew, full("a"))
			anew.Close()
		})
	}
}

func hundred() (records []client.Record) {
	for i := range 100 {
		r := full(fmt.Sprint("client ", i))
		r.Settings.Secret = r.Configured.Secret
		r.Settings.Host = strings.Repeat("x", 100)
		records = append(records, r)
	}
	return records
}

func edit(path string, change func(*bolt.Tx) error) error {
	db, err := bolt.Open(path, 0o600, options(nil))
	if err != nil {
		return err
	}
	return errors.Join(db.Update(change), db.Close())
}

func another(_ *testing.T, path string) error {
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	return errors.Join(db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err }), db.Close())
}

// TestDamageIsNoticed changes bytes all over a file: it is either refused, or
// the change was where nothing is, and every record is as it was.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	want := make(map[string]client.Record)
	var configured []client.Settings
	for _, r := range hundred()[:16] { // several pages of records, and a page above them
		save(t, s, r)
		want[r.Settings.Name] = r
		configured = append(configured, r.Configured)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(at int, change byte) {
		damaged := bytes.Clone(sound)
		damaged[at] ^= change
		if err := os.WriteFile(s.path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, quiet)
		if err != nil {
			refused++
			return
		}
		defer s.Close()
		if got := recordsOf(t, s, configured...); !equal(got, want) {
			t.Errorf("byte %d changed by %#x: another state was read", at, change)
		}
	}
	for page := range len(sound) / 4096 {
		for at := range 48 { // headers and the first elements
			try(page*4096+at, 1<<rand.N(8))
		}
	}
	for range 300 {
		try(rand.N(len(sound)), byte(1+rand.N(255)))
	}
	if refused < 200 {
		t.Errorf("only %d changes were noticed", refused)
	}
}

// FuzzPages checks that what passes the check of the pages does bbolt no harm.
func FuzzPages(f *testing.F) {
	s := open(f, f.TempDir())
	for _, r := range hundred()[:20] {
		save(f, s, r)
	}
	s.Close()
	sound, err := os.ReadFile(s.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte{1})
	f.Add(uint32(4096*5), []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		dir := t.TempDir()
		damaged := bytes.Clone(sound)
		copy(damaged[int(at)%len(damaged):], change)
		if err := os.WriteFile(filepath.Join(dir, fileName), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(dir, quiet); err == nil {
			save(t, s, full("a"))
			s.Close()
		}
	})
}

func TestClosed(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Save([]client.Record{full("a")}); err != errClosed {
		t.Errorf("Save: %v", err)
	}
	if _, err := s.Records(nil); err != errClosed {
		t.Errorf("Records: %v", err)
	}
}

func thousands() (records []client.Record, configured []client.Settings) {
	for i := range 10_000 {
		r := full(fmt.Sprint("client ", i))
		r.Settings.Secret, r.Configured.Secret = secret("s"), secret("s")
		records = append(records, r)
		configured = append(configured, r.Configured)
	}
	return records, configured
}

func BenchmarkLoad10000(b *testing.B) {
	records, configured := thousands()
	s := open(b, b.TempDir())
	save(b, s, records...)
	for b.Loop() {
		s = reopen(b, s)
		if got, err := s.Records(configured); err != nil || len(got) != len(records) {
			b.Fatal(len(got), err)
		}
	}
}

func BenchmarkSave10000(b *testing.B) {
	records, _ := thousands()
	s := open(b, b.TempDir())
	for b.Loop() {
		save(b, s, records...)
	}
}

func BenchmarkSaveOne(b *testing.B) {
	records, _ := thousands()
	s := open(b, b.TempDir())
	save(b, s, records...)
	for b.Loop() {
		save(b, s, records[rand.N(len(records))])
	}
}

func BenchmarkDecryptSecret(b *testing.B) {
	message, err := encrypt(secret("s"), secret("k"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := decrypt(message, secret("k")); err != nil {
			b.Fatal(err)
		}
	}
}
