// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mandos/server/client"
)

// configuredBy reads as much of a clients.conf as the tests need.
func configuredBy(t *testing.T, path string) (configured []client.Settings) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for section := range strings.SplitSeq("\n"+string(content), "\n[") {
		name, body, ok := strings.Cut(section, "]\n")
		if !ok {
			continue
		}
		_, encoded, _ := strings.Cut(body, "secret =")
		encoded, _, _ = strings.Cut(encoded, "interval")
		secret, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
		if err != nil {
			t.Fatal(err)
		}
		configured = append(configured, client.Settings{Name: name, Secret: client.NewSecret(secret)})
	}
	return configured
}

func TestTakeOver(t *testing.T) {
	dir := t.TempDir()
	configured := configuredBy(t, "testdata/upstream/clients.conf")
	pickled, err := os.ReadFile("testdata/upstream/clients.pickle")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, upstreamName), pickled, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	got := recordsOf(t, s, configured...)
	if len(got) != 6 {
		t.Errorf("got %d clients", len(got))
	}
	at := func(text string) time.Time {
		parsed, err := time.Parse("15:04:05.999999", text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.AddDate(2026, 10, 22)
	}
	secretOf := func(name string) client.Secret {
		i := slices.IndexFunc(configured, func(s client.Settings) bool { return s.Name == name })
		return configured[i].Secret
	}
	ok := client.Settings{
		Name: "ok", KeyID: "01", Fingerprint: "64C6E3354DCF4C3B5C60DA0B0975D6F3B8BCA2F6", Secret: secretOf("ok"), Host: "ok", Checker: "/bin/true",
		Timeout: 10 * time.Second, ExtendedTimeout: 15 * time.Minute, Interval: 4 * time.Second, ApprovalDuration: time.Second,
		ApprovedByDefault: true, Enabled: true,
	}
	if got, want := got["ok"], (client.Record{Settings: ok, Configured: ok, Word: client.UnknownWord, State: client.State{
		Created: at("02:41:38.810202"), LastEnabled: at("02:41:38.810179"), Expires: at("02:42:13.169026"), LastCheckedOK: at("02:42:03.168865"),
	}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	hang := ok
	hang.Name, hang.KeyID, hang.Secret, hang.Host, hang.Checker = "hang", "03", secretOf("hang"), "hang", "sleep 1000 # hang"
	disabled := hang
	disabled.Enabled = false
	facts := got["hang"].Standing
	if len(facts.Lowerings) != 1 || facts.Lowerings[0].Reason != client.BeforeTakeOver || facts.Lowerings[0].Key.KeyID != "03" {
		t.Errorf("hang is lowered by %+v", facts)
	}
	since := got["hang"].DisabledSince
	if got, want := got["hang"], (client.Record{Settings: disabled, Configured: hang, Word: client.UnknownWord, Standing: facts, State: client.State{
		Created: at("02:41:38.816843"), LastEnabled: at("02:41:38.816830"), LastCheckerStatus: client.NeverChecked,
		DisabledSince: since, DisabledBecause: client.BeforeTakeOver, DisabledBy: client.ByFormerServer,
	}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if big := got["big"]; big.Settings.Timeout != 60*24*time.Hour {
		t.Errorf("big has a timeout of %v", big.Settings.Timeout)
	}
	if after, err := os.ReadFile(filepath.Join(dir, upstreamName)); err != nil || !bytes.Equal(after, pickled) {
		t.Errorf("the file that was taken over has changed, or %v", err)
	}

	r := got["ok"]
	r.Settings.Host = "elsewhere"
	save(t, s, r)
	if got := recordsOf(t, reopen(t, s), configured...)["ok"]; !reflect.DeepEqual(got, r) {
		t.Errorf("taken over once more: got %+v", got)
	}
}

// TestTheSamePickleIsNotTakenOverTwice loses state.db beside the file that it was
// begun with, which does not know who was disabled since.
func TestTheSamePickleIsNotTakenOverTwice(t *testing.T) {
	for sentence, begin := range map[string]func(string, *slog.Logger) (*Store, error){
		"begun with it":    Open,
		"begun without it": OpenAnew,
		"begun with it, and the note was cut short": nil,
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			upstream := filepath.Join(dir, upstreamName)
			write := func(enabled string) {
				content := pickled(t, "({'a': {'enabled': "+enabled+"}}, {'a': {'enabled': True}})")
				if err := os.WriteFile(upstream, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			remove := func(name string) {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			write("True")
			log := slog.New(slog.DiscardHandler)
			if begin == nil {
				s := open(t, dir)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				remove(upstreamName + noteSuffix) // as by a power cut before it was written
				begin = Open
			}
			s, err := begin(dir, log)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			remove(fileName)
			_, opened := Open(dir, log)
			_, tried := Try(dir, true)
			for what, err := range map[string]error{"a start": opened, "a trial": tried} {
				if err == nil {
					t.Fatalf("%s takes it", what)
				}
				for _, want := range []string{"state.db cannot be used: it is missing", "restore a copy", "--no-restore", "remove " + upstream + noteSuffix} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s does not say %q: %v", what, want, err)
					}
				}
			}
			write("False") // the Python server has run since
			if records, err := Try(dir, true); err != nil || len(records) != 1 || records[0].Enabled {
				t.Errorf("a later file: %+v, %v", records, err)
			}
			s = open(t, dir)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			remove(fileName)
			if _, err := Open(dir, log); err == nil {
				t.Error("the later file is taken over twice")
			}
			remove(upstreamName + noteSuffix)
			open(t, dir)
		})
	}
}

// pickled is what Debian's Python makes of the expression.
func pickled(t *testing.T, expression string) []byte {
	t.Helper()
	out, err := exec.Command("/usr/bin/python3", "-c", `import dbus, pickle, sys
from datetime import datetime, timedelta
sys.stdout.buffer.write(pickle.dumps(`+expression+`, 2))`).CombinedOutput()
	if err != nil {
		t.Fatalf("this test needs the Debian package python3-dbus: %v: %s", err, out)
	}
	return out
}

func TestTakeOverWhatTheServerStumbledOver(t *testing.T) {
	saved := time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
	january := func(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }
	settings := `{"host": "h", "enabled": True, "checker_command": ":", "timeout": timedelta(0, 300), "last_checker_status": -2}`
	for name, test := range map[string]struct {
		expression string
		lowered    client.Reason
		want       client.Record
	}{
		"a client removed at run time": {
			`({}, {"c": ` + settings + `})`,
			client.RemovedByAdministrator,
			client.Record{State: client.State{LastCheckerStatus: client.NeverChecked}},
		},
		"a client that the configuration lacks": {
			`({"c": dict(` + settings + `, enabled=False)}, {})`,
			client.BeforeTakeOver,
			client.Record{State: client.State{LastCheckerStatus: client.NeverChecked}},
		},
		"an enabled client without an expiry": {
			`({"c": dict(` + settings + `, expires=None, last_checker_status=1)}, {"c": ` + settings + `})`,
			"",
			client.Record{Settings: client.Settings{Enabled: true}, State: client.State{LastCheckerStatus: 1, Expires: time.Unix(0, 0).UTC()}},
		},
		"a checker killed by a signal, in an early version": {
			`({"c": dict(` + settings + `, enabled=False, last_checker_status=-15)}, {"c": ` + settings + `})`,
			client.BeforeTakeOver,
			client.Record{State: client.State{LastCheckerStatus: client.CheckerCrashed}},
		},
		"an approval in force": {
			`({"c": dict(` + settings + `, enabled=False, approved=dbus.Boolean(True), approval_duration=timedelta(0, 1800))}, {"c": ` + settings + `})`,
			client.BeforeTakeOver,
			client.Record{Settings: client.Settings{ApprovalDuration: 30 * time.Minute}, State: client.State{LastCheckerStatus: client.NeverChecked}},
		},
		"a denial in force": {
			`({"c": dict(` + settings + `, enabled=False, approved=dbus.Boolean(False), approval_duration=timedelta(0, 1800))}, {"c": ` + settings + `})`,
			client.BeforeTakeOver,
			client.Record{Settings: client.Settings{ApprovalDuration: 30 * time.Minute},
				State: client.State{LastCheckerStatus: client.NeverChecked, DeniedUntil: saved.Add(30 * time.Minute), DeniedFor: 30 * time.Minute}},
		},
		"a denial without D-Bus": {
			`({"c": dict(` + settings + `, enabled=False, approved=False, approval_duration=timedelta(0, 1))}, {"c": ` + settings + `})`,
			client.BeforeTakeOver,
			client.Record{Settings: client.Settings{ApprovalDuration: time.Second},
				State: client.State{LastCheckerStatus: client.NeverChecked, DeniedUntil: saved.Add(time.Second), DeniedFor: time.Second}},
		},
		"no decision": {
			`({"c": dict(` + settings + `, enabled=False, approved=None, approvals_pending=0)}, {"c": ` + settings + `})`,
			client.BeforeTakeOver,
			client.Record{State: client.State{LastCheckerStatus: client.NeverChecked}},
		},
		"values as they came over D-Bus": {
			`({"c": {"name": dbus.String("c"), "host": dbus.String("h", variant_level=1), "checker_command": dbus.String(":"), "enabled": dbus.Boolean(False),
				"approved_by_default": dbus.Boolean(True, variant_level=1), "timeout": timedelta(0, 0, 0, dbus.UInt64(300000)), "last_checker_status": dbus.Int16(-1),
				"approvals_pending": dbus.UInt32(0), "dbus_object_path": dbus.ObjectPath("/clients/c"), "checker_initiator_tag": dbus.Int64(7),
				"encrypted_secret": dbus.ByteArray(b""), "client_structure": dbus.Array([dbus.String("host")], signature="s")}}, {"c": ` + settings + `})`,
			client.BeforeTakeOver,
			client.Record{Settings: client.Settings{ApprovedByDefault: true}, State: client.State{LastCheckerStatus: client.CheckerCrashed}},
		},
		"every setting and every time": {
			`({"c": dict(` + settings + `, enabled=False, key_id="AB", fingerprint="CD", extended_timeout=timedelta(0, 2), interval=timedelta(0, 3),
				approval_delay=timedelta(0, 4), approval_duration=timedelta(0, 5), approved_by_default=True, last_checker_status=255,
				created=datetime(2026, 1, 1), last_enabled=datetime(2026, 1, 2), last_checked_ok=datetime(2026, 1, 3), last_approval_request=datetime(2026, 1, 4))},
				{"c": ` + settings + `})`,
			client.BeforeTakeOver,
			client.Record{
				Settings: client.Settings{KeyID: "AB", Fingerprint: "CD", ExtendedTimeout: 2 * time.Second, Interval: 3 * time.Second,
					ApprovalDelay: 4 * time.Second, ApprovalDuration: 5 * time.Second, ApprovedByDefault: true},
				State: client.State{LastCheckerStatus: 255, Created: january(1), LastEnabled: january(2), LastCheckedOK: january(3), LastApprovalRequest: january(4)},
			},
		},
		"a status that no program has": {
			`({"c": dict(` + settings + `, enabled=False, last_checker_status=256)}, {"c": ` + settings + `})`,
			client.BeforeTakeOver,
			client.Record{State: client.State{LastCheckerStatus: client.CheckerCrashed}},
		},
		"a client that the configuration has disabled": {
			`({"c": dict(` + settings + `, enabled=False)}, {"c": dict(` + settings + `, enabled=False)})`,
			client.ByConfiguration,
			client.Record{State: client.State{LastCheckerStatus: client.NeverChecked}},
		},
		"numbers for truths": {
			`({"c": dict(` + settings + `, enabled=1, expires=None, last_checker_status=0, approved_by_default=0)}, {"c": dict(` + settings + `, enabled=1)})`,
			"",
			client.Record{Settings: client.Settings{Enabled: true}, State: client.State{Expires: time.Unix(0, 0).UTC()}},
		},
		"names and values in bytes, from Python 2": {
			`({b"c": {b"host": b"h", b"enabled": False, b"checker_command": b":", b"timeout": timedelta(0, 300), b"last_checker_status": 0}}, {b"c": ` + settings + `})`,
			client.BeforeTakeOver,
			client.Record{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, upstreamName)
			if err := os.WriteFile(path, pickled(t, test.expression), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, saved, saved); err != nil {
				t.Fatal(err)
			}
			got := recordsOf(t, open(t, dir))["c"]
			var lowered client.Reason
			for _, l := range got.Lowerings {
				lowered = l.Reason
			}
			if lowered != test.lowered || got.DisabledBecause != test.lowered || (lowered != "") != (got.DisabledBy == client.ByFormerServer) {
				t.Errorf("it is lowered as %q, and disabled as %q by %q", lowered, got.DisabledBecause, got.DisabledBy)
			}
			if (got.Word == client.UnknownWord) != (got.Configured.Host != "") {
				t.Errorf("the configuration's word is %q", got.Word)
			}
			got.Configured, got.Word, got.Standing = client.Settings{}, "", client.Standing{}
			got.DisabledSince, got.DisabledBecause, got.DisabledBy = time.Time{}, "", client.Actor{}
			test.want.Settings.Name, test.want.Settings.Host, test.want.Settings.Checker, test.want.Settings.Timeout = "c", "h", ":", 5*time.Minute
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, test.want)
			}
		})
	}
}

// TestTakeOverFromPython2 has the state in lines of text, with bytes for names and
// texts, as Python 2 writes it.
func TestTakeOverFromPython2(t *testing.T) {
	const saved = `((dp0
S'old.host-1'
p1
(dp2
S'name'
p3
g1
sS'enabled'
p4
I00
sS'approved'
p5
NsS'host'
p6
S'old.example'
p7
sS'checker_command'
p8
Vfping -q -- %(host)s
p9
sS'timeout'
p10
cdatetime
timedelta
p11
(I0
I3600
I0
tp12
Rp13
sS'last_checker_status'
p14
I-1
sS'created'
p15
cdatetime
datetime
p16
(S'\x07\xdf\x0b\x17\x05\x00\x00\x00\x00\x00'
tRp17
sS'encrypted_secret'
p18
S"it's \x8c"
sS'client_structure'
(lp19
g3
ass(dp20
g1
(dp21
g4
I01
sg6
g7
sst.`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, upstreamName), []byte(saved), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	got := recordsOf(t, s)["old.host-1"]
	want := client.Record{
		Settings: client.Settings{Name: "old.host-1", Host: "old.example", Checker: "fping -q -- %(host)s", Timeout: time.Hour},
		State:    client.State{Created: time.Date(2015, 11, 23, 5, 0, 0, 0, time.UTC), LastCheckerStatus: client.CheckerCrashed},
	}
	want.Configured, want.Word = client.Settings{Name: "old.host-1", Host: "old.example", Enabled: true}, client.UnknownWord
	if len(got.Lowerings) != 1 || got.DisabledBecause != client.BeforeTakeOver {
		t.Errorf("it is lowered by %+v", got.Lowerings)
	}
	got.Standing = client.Standing{}
	got.DisabledSince, got.DisabledBecause, got.DisabledBy = time.Time{}, "", client.Actor{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if message := savedMessage(t, s, "old.host-1"); string(message) != "it's \x8c" {
		t.Errorf("the encrypted secret is %q", message)
	}
}

func TestTakeOverRefuses(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"an empty file":          {"", "the pickle is empty"},
		"garbage":                {"garbage", "bad pickle at byte 0"},
		"half a file":            {"\x80\x02}q\x00(X\x02\x00", "ends too early"},
		"another pickle":         {"\x80\x02}.", "something else than clients"},
		"one dict":               {"\x80\x02}\x85.", "something else than clients"},
		"three dicts":            {"\x80\x02}}}\x87.", "something else than clients"},
		"a list of settings":     {"\x80\x02}]\x86.", "where a dict should be"},
		"lists":                  {"\x80\x02]]\x86.", "where a dict should be"},
		"numbers for names":      {"\x80\x02}K\x01}s}\x86.", "has the key 1 instead of a name"},
		"a client that is none":  {"\x80\x02}U\x01cNs}\x86.", `client "c": there is a <nil>`},
		"text for a duration":    {"\x80\x02}U\x01c}U\x07timeoutU\x02PTss}\x86.", `client "c": timeout is a pickle.Bytes`},
		"a number for a setting": {"\x80\x02}}U\x01c}U\x04hostK\x01ss\x86.", `the settings of client "c": host is a int64`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, upstreamName)
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir, quiet)
			if err == nil {
				t.Fatal("it was taken over")
			}
			for _, want := range []string{test.want, path, "restore a copy", "--no-restore"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			if names := ls(t, dir); !slices.Equal(names, []string{upstreamName}) {
				t.Errorf("the directory has %v", names)
			}
			anew, err := OpenAnew(dir, quiet)
			if err != nil {
				t.Fatal(err)
			}
			anew.Close()
			if got := recordsOf(t, open(t, dir)); len(got) != 0 {
				t.Errorf("it was taken over later: %v", got)
			}
		})
	}
}
