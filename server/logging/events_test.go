// SPDX-License-Identifier: Apache-2.0

package logging_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"mandos/server/client"
	"mandos/server/logging"
)

const secretText = "nobody may ever read this"

var (
	raw    = client.Identity{Kind: client.RawPublicKey, Hex: "00AA"}
	pgp    = client.Identity{Kind: client.OpenPGPKey, Hex: "11BB"}
	person = client.Actor{Kind: client.Caller, BusName: ":1.5", UID: 1000, PID: 77}
	peer   = from("[fe80::1%eth0]:4711")
)

func foo() client.View {
	return client.View{
		Settings: client.Settings{
			Name: "foo", KeyID: "00AA", Host: "foo.example", Checker: "fping -q -- %(host)s",
			Secret: client.NewSecret([]byte(secretText)), Timeout: 5 * time.Minute, ApprovalDelay: time.Minute,
		},
		State: client.State{LastCheckerStatus: 1, LastCheckedOK: time.Unix(0, 0).UTC()},
	}
}

// events are all kinds of events and the record of each, without the signature.
var events = map[client.EventKind][]struct {
	event client.Event
	want  string
}{
	client.Added: {{
		client.Event{By: client.FromConfiguration},
		"INFO: Client foo was added client=foo key_id=00AA actor=configuration",
	}},
	client.Removed: {{
		client.Event{By: person, Reason: client.ByAdministrator},
		`INFO: Client foo was removed client=foo key_id=00AA reason=administrator actor="uid 1000, pid 77"`,
	}},
	client.Forgotten: {{
		client.Event{By: person},
		`INFO: Client foo was forgotten client=foo key_id=00AA actor="uid 1000, pid 77"`,
	}},
	client.Enabled: {{
		client.Event{By: person},
		`INFO: Client foo was enabled client=foo key_id=00AA actor="uid 1000, pid 77"`,
	}},
	client.Disabled: {{
		client.Event{By: person, Reason: client.ByAdministrator},
		`INFO: Client foo was disabled client=foo key_id=00AA reason=administrator actor="uid 1000, pid 77" last_checked_ok=1970-01-01T00:00:00Z last_check="exit status 1"`,
	}, {
		client.Event{By: client.ByItself, Reason: client.TimedOut},
		`WARNING: Disabling client foo: no successful check within its timeout client=foo key_id=00AA reason=expired actor=server last_checked_ok=1970-01-01T00:00:00Z last_check="exit status 1"`,
	}, {
		client.Event{By: client.ByItself, Reason: client.NeverCheckedOK, Client: client.View{Settings: client.Settings{Name: "bar"}, State: client.State{LastCheckerStatus: client.NeverChecked}}},
		`WARNING: Disabling client bar: it expired while the server was down and no check of it ever succeeded client=bar reason=expired-unchecked actor=server last_checked_ok=never last_check=none`,
	}, {
		client.Event{By: client.ByItself, Reason: client.CheckFailedLast, Client: client.View{Settings: client.Settings{Name: "bar"}, State: client.State{LastCheckerStatus: client.CheckerCrashed}}},
		`WARNING: Disabling client bar: it expired while the server was down and its last check had failed client=bar reason=expired-failing actor=server last_checked_ok=never last_check=crashed`,
	}},
	client.Changed: {{
		client.Event{By: person, Changes: []client.Change{{Setting: "key_id", Value: "00BB"}, {Setting: "secret"}, {Setting: "host", Value: "foo.example"}, {Setting: "timeout", Value: "5m"}}, Properties: []client.Property{client.PropSecret, client.PropExpires}},
		`WARNING: Client foo was changed, and its secret can hardly be meant: it is not encrypted: it is no OpenPGP data client=foo key_id=00AA actor="uid 1000, pid 77" changed=key_id,secret,host,timeout new_key_id=00BB host=foo.example timeout=5m expires=0001-01-01T00:00:00Z`,
	}, {
		client.Event{By: person, Changes: []client.Change{{Setting: "host", Value: "foo.example"}}},
		`INFO: Client foo was changed client=foo key_id=00AA actor="uid 1000, pid 77" changed=host host=foo.example`,
	}},
	client.Vouched: {{
		client.Event{By: person},
		`INFO: Client foo was vouched for client=foo key_id=00AA actor="uid 1000, pid 77"`,
	}},
	client.AbsencePlanned: {{
		client.Event{By: person, Note: "new firmware"},
		`INFO: Client foo is expected to be away for a while client=foo key_id=00AA actor="uid 1000, pid 77" until=0001-01-01T00:00:00Z note="new firmware"`,
	}},
	client.CameBack: {{
		client.Event{},
		`INFO: Client foo is back from its planned absence client=foo key_id=00AA`,
	}},
	client.AbsenceOver: {{
		client.Event{By: person},
		`INFO: The planned absence of client foo is over client=foo key_id=00AA actor="uid 1000, pid 77"`,
	}},
	client.CheckerStarted: {{
		client.Event{Command: "fping -q -- foo.example"},
		`DEBUG: Starting checker for foo client=foo key_id=00AA command="fping -q -- foo.example"`,
	}},
	client.CheckerCompleted: {{
		client.Event{},
		"DEBUG: Checker for foo succeeded client=foo key_id=00AA status=0",
	}, {
		client.Event{Check: client.CheckResult{Status: 2}, Command: "false"},
		"INFO: Checker for foo failed client=foo key_id=00AA status=2 command=false",
	}, {
		client.Event{Check: client.CheckResult{Status: 1, Output: "foo: Name or service not known"}, Command: "fping -q -- foo"},
		`INFO: Checker for foo failed client=foo key_id=00AA status=1 output="foo: Name or service not known" command="fping -q -- foo"`,
	}, {
		client.Event{Check: client.CheckResult{Status: 127, Output: "/bin/sh: 1: fping: not found"}, Command: "fping -q -- foo"},
		`WARNING: Checker for foo cannot run: a program that it needs is missing or must not be run client=foo key_id=00AA status=127 output="/bin/sh: 1: fping: not found" command="fping -q -- foo"`,
	}, {
		client.Event{Check: client.CheckResult{Status: client.CheckerCrashed, Signal: 9}},
		"WARNING: Checker for foo crashed client=foo key_id=00AA signal=9",
	}},
	client.CheckerStopped: {{
		client.Event{By: person},
		`INFO: Checker for foo was stopped client=foo key_id=00AA actor="uid 1000, pid 77"`,
	}},
	client.CheckerNotStarted: {{
		client.Event{Err: errors.New("no more processes")},
		`ERROR: Checker for foo could not be started client=foo key_id=00AA error="no more processes"`,
	}},
	client.ApprovalNeeded: {{
		client.Event{Identity: raw, Address: peer},
		`INFO: Client foo needs approval client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 approval_delay=1m approved_by_default=no`,
	}},
	client.Approved: {{
		client.Event{By: person},
		`INFO: Client foo was approved client=foo key_id=00AA actor="uid 1000, pid 77"`,
	}},
	client.Denied: {{
		client.Event{By: person},
		`INFO: Client foo was denied client=foo key_id=00AA actor="uid 1000, pid 77"`,
	}},
	client.Allowed: {{
		client.Event{By: person, Note: "1 hand-out within 20m"},
		`INFO: Client foo was granted its secret client=foo key_id=00AA actor="uid 1000, pid 77" note="1 hand-out within 20m"`,
	}},
	client.Revoked: {{
		client.Event{By: person},
		`INFO: What was granted to client foo was revoked client=foo key_id=00AA actor="uid 1000, pid 77"`,
	}},
	client.ApprovedAhead: {{
		client.Event{By: person, Note: "2 hand-outs within 1h"},
		`INFO: Client foo was approved in advance client=foo key_id=00AA actor="uid 1000, pid 77" note="2 hand-outs within 1h"`,
	}},
	client.ApprovalOver: {{
		client.Event{},
		"DEBUG: Nobody waits for approval of client foo any more client=foo key_id=00AA",
	}},
	client.SecretSent: {{
		client.Event{Identity: raw, Address: peer},
		`INFO: Sending secret to foo succeeded client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711`,
	}, {
		client.Event{Identity: pgp, Address: peer},
		`INFO: Sending secret to foo succeeded client=foo fingerprint=11BB key_type=openpgp-key address=[fe80::1%eth0]:4711`,
	}, {
		client.Event{Identity: raw, Address: peer, Note: "it said no good-bye"},
		`INFO: Sending secret to foo succeeded client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 note="it said no good-bye"`,
	}},
	client.SecretNotReceived: {{
		client.Event{Identity: raw, Address: peer, Err: errors.New("connection reset")},
		`WARNING: Sending secret to foo failed client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 error="connection reset"`,
	}},
	client.MayHaveBeenSent: {{
		client.Event{Identity: raw, Address: peer},
		`WARNING: The secret may have been sent to foo when the server ended client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711`,
	}},
	client.TwoMachines: {{
		client.Event{Identity: raw, Address: peer, Note: "another connection with that key is at 192.0.2.7:1234"},
		`WARNING: Two machines have the key of client foo client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 note="another connection with that key is at 192.0.2.7:1234"`,
	}},
	client.NewAddress: {{
		client.Event{Identity: raw, Address: peer},
		`WARNING: Client foo received its secret at an address that it never did at before client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711`,
	}},
	client.Rejected: {{
		client.Event{Identity: raw, Address: peer, Refusal: client.IsLockedDown, Note: "a burglary"},
		`INFO: Client foo is refused since there is a lockdown client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 reason=lockdown note="a burglary"`,
	}, {
		client.Event{Identity: raw, Address: peer, Refusal: client.OnBorrowedTime},
		`WARNING: Client foo is valid on borrowed time, and nobody has approved it client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 reason=borrowed-time`,
	}, {
		client.Event{Identity: raw, Address: peer, Refusal: client.NotFromThere, Note: "allow_from is 192.0.2.0/24"},
		`WARNING: Client foo must not fetch its secret from that address client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 reason=not-from-there note="allow_from is 192.0.2.0/24"`,
	}, {
		client.Event{Refusal: client.TooOften, Note: "handout_limit is 3/PT1H"},
		`WARNING: Client foo asks for its secret too often client=foo key_id=00AA reason=too-often note="handout_limit is 3/PT1H"`,
	}, {
		client.Event{Refusal: client.OtherIsDisabled, Note: "client bar has the same key, and is disabled"},
		`WARNING: Client foo asks for its secret, and another client with its key is disabled client=foo key_id=00AA reason=same-key note="client bar has the same key, and is disabled"`,
	}, {
		client.Event{Refusal: client.NotGranted},
		`WARNING: Client foo asks for its secret without a grant client=foo key_id=00AA reason=not-granted`,
	}, {
		client.Event{Refusal: client.NotRecorded},
		`ERROR: Client foo is refused since the hand-out cannot be put on record client=foo key_id=00AA reason=not-recorded`,
	}, {
		client.Event{Refusal: client.IsNotFound},
		`INFO: Client foo is not found by its key client=foo key_id=00AA reason=not-found`,
	}, {
		client.Event{Identity: raw, Address: peer, Refusal: client.IsDisabled},
		`INFO: Client foo is disabled client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 reason=disabled`,
	}, {
		client.Event{Identity: raw, Address: peer, Refusal: client.WasDenied},
		`WARNING: Client foo was not approved client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 reason=denied`,
	}, {
		client.Event{Identity: raw, Address: peer, Refusal: client.ApprovalTimedOut},
		`WARNING: Client foo timed out while waiting for approval client=foo key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711 reason=approval-timed-out`,
	}, {
		client.Event{Refusal: client.IsRemoved},
		`INFO: Client foo was removed while waiting for approval client=foo key_id=00AA reason=removed`,
	}, {
		client.Event{Refusal: client.PeerGone},
		`INFO: Client foo went away while waiting for approval client=foo key_id=00AA reason=peer-gone`,
	}, {
		client.Event{Refusal: client.ShuttingDown},
		`INFO: Client foo was refused since the server exits client=foo key_id=00AA reason=server-exiting`,
	}},
	client.NotFound: {{
		client.Event{Identity: raw, Address: peer},
		`INFO: Client not found for key ID: 00AA, address: [fe80::1%eth0]:4711 key_id=00AA key_type=raw-public-key address=[fe80::1%eth0]:4711`,
	}, {
		client.Event{Identity: pgp, Address: peer},
		`INFO: Client not found for fingerprint: 11BB, address: [fe80::1%eth0]:4711 fingerprint=11BB key_type=openpgp-key address=[fe80::1%eth0]:4711`,
	}, {
		client.Event{Identity: pgp, Address: peer, Note: "bar has it"},
		`INFO: Client not found for fingerprint: 11BB, address: [fe80::1%eth0]:4711 fingerprint=11BB key_type=openpgp-key address=[fe80::1%eth0]:4711 note="bar has it"`,
	}},
	client.LockdownOn: {{
		client.Event{By: person, Note: "a burglary"},
		`WARNING: Lockdown: nobody gets a secret from now on actor="uid 1000, pid 77" note="a burglary"`,
	}},
	client.MassFailure: {{
		client.Event{Failing: 3, Enabled: 5},
		"WARNING: More than half of the clients have begun to fail their checks within an interval; look whether the server's own network works failing=3 enabled=5",
	}},
	client.MassFailureOver: {{
		client.Event{Failing: 0, Enabled: 2, Expired: 3},
		"WARNING: No more than half of the clients fail their checks any more failing=0 enabled=2 expired=3",
	}},
	client.UplinkFails: {{
		client.Event{Check: client.CheckResult{Status: 1, Output: "the router is unreachable"}},
		`WARNING: The server's own network does not work, as the uplink check says: expiry stands still for a while status=1 output="the router is unreachable"`,
	}},
	client.UplinkWorks: {{
		client.Event{},
		"WARNING: The server's own network works again, as the uplink check says",
	}},
	client.BorrowsTime: {{
		client.Event{},
		"INFO: Client foo would have expired, but is valid on borrowed time client=foo key_id=00AA expires=0001-01-01T00:00:00Z",
	}},
	client.LockdownOff: {{
		client.Event{By: client.ByItself},
		"WARNING: The lockdown is over actor=server",
	}},
	client.StateNotSaved: {{
		client.Event{Err: errors.New("disk full")},
		`ERROR: The state of the clients cannot be saved; see to the state directory, it will be tried again error="disk full"`,
	}},
	client.StateSavedAgain: {{
		client.Event{},
		"WARNING: The state of the clients is saved again",
	}},
	client.EventsDropped: {{
		client.Event{Dropped: 12},
		"WARNING: Refusals came too fast to log them all left_out=12",
	}},
}

// withoutClient are the events that are about no client.
var withoutClient = map[client.EventKind]bool{
	client.NotFound: true, client.LockdownOn: true, client.LockdownOff: true, client.MassFailure: true, client.MassFailureOver: true, client.UplinkFails: true, client.UplinkWorks: true, client.StateNotSaved: true, client.StateSavedAgain: true, client.EventsDropped: true,
}

func TestEvents(t *testing.T) {
	for kind, cases := range events {
		for _, tc := range cases {
			t.Run(string(kind)+" "+string(tc.event.Reason), func(t *testing.T) {
				var out bytes.Buffer
				log, level, _ := newLog(logging.StreamTo(&out))
				level.Set(slog.LevelDebug)
				e := tc.event
				e.Kind, e.Time = kind, time.Unix(1700000000, 0)
				if e.Client.Name == "" && !withoutClient[kind] {
					e.Client = foo()
				}
				logging.Events(log, logging.NewLimits(log))(e)
				when := e.Time.Format("2006-01-02 15:04:05.000")
				_, got, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), "]: ")
				if got != tc.want || !strings.HasPrefix(out.String(), when) {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
			})
		}
	}
}

func TestEveryKindOfEventAndEveryRefusalIsTested(t *testing.T) {
	for _, kind := range client.EventKinds {
		if len(events[kind]) == 0 {
			t.Errorf("no test has an event of the kind %q", kind)
		}
	}
	var tested []client.Refusal
	for _, c := range events[client.Rejected] {
		tested = append(tested, c.event.Refusal)
	}
	for _, refusal := range client.Refusals {
		if !slices.Contains(tested, refusal) {
			t.Errorf("no test has the refusal %q", refusal)
		}
	}
}

// TestOneWarningIsInPlaceOfMany has clients expire before, during and after a mass failure.
func TestOneWarningIsInPlaceOfMany(t *testing.T) {
	var out bytes.Buffer
	log, _, _ := newLog(logging.StreamTo(&out))
	tell := logging.Events(log, logging.NewLimits(log))
	failed := client.Event{Kind: client.CheckerCompleted, Client: foo(), Check: client.CheckResult{Status: 1}}
	expired := client.Event{Kind: client.Disabled, Client: foo(), Reason: client.TimedOut, By: client.ByItself}
	for _, e := range []client.Event{failed, expired, {Kind: client.MassFailure}, failed, expired, {Kind: client.MassFailureOver}, failed, expired} {
		tell(e)
	}
	var levels []string
	for line := range strings.Lines(out.String()) {
		_, rest, _ := strings.Cut(line, "]: ")
		level, sentence, _ := strings.Cut(rest, ": ")
		sentence, _, _ = strings.Cut(sentence, " ")
		levels = append(levels, level+" "+sentence)
	}
	want := []string{"INFO Checker", "WARNING Disabling", "WARNING More", "INFO Disabling", "WARNING No", "INFO Checker", "WARNING Disabling"}
	if !slices.Equal(levels, want) {
		t.Errorf("logged\n%q, want\n%q", levels, want)
	}
}

// TestDefaultLevelShows holds the promise of the package comment.
func TestDefaultLevelShows(t *testing.T) {
	hidden := map[string]bool{
		"Starting checker for foo": true, "Checker for foo succeeded": true,
		"Nobody waits for approval of client foo any more": true,
	}
	for kind, cases := range events {
		for _, tc := range cases {
			_, sentence, _ := strings.Cut(tc.want, ": ")
			sentence, _, _ = strings.Cut(sentence, " client=")
			var out bytes.Buffer
			log, _, _ := newLog(logging.StreamTo(&out))
			e := tc.event
			e.Kind = kind
			if e.Client.Name == "" && !withoutClient[kind] {
				e.Client = foo()
			}
			logging.Events(log, logging.NewLimits(log))(e)
			if shown := out.Len() > 0; shown == hidden[sentence] {
				t.Errorf("%q: shown is %v", sentence, shown)
			}
		}
	}
}

func TestNoSecretIsLogged(t *testing.T) {
	var out bytes.Buffer
	log, level, _ := newLog(logging.StreamTo(&out))
	level.Set(-100)
	tell := logging.Events(log, logging.NewLimits(log))
	for kind := range events {
		tell(client.Event{Kind: kind, Client: foo(), Refusal: client.IsDisabled, Changes: []client.Change{{Setting: "secret"}}})
	}
	log.Error("whole", "view", foo(), "settings", foo().Settings, "secret", foo().Secret)
	log.Error(fmt.Sprintf("whole %v %+v %#v %x", foo(), foo(), foo(), foo().Secret))
	for _, form := range []string{secretText, fmt.Sprintf("%x", secretText), fmt.Sprintf("%v", []byte(secretText))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the log has the secret as %q", form)
		}
	}
}

// TestStrangersCannotSilenceClients floods with unknown keys from everywhere.
func TestStrangersCannotSilenceClients(t *testing.T) {
	var out bytes.Buffer
	log, _, _ := newLog(logging.StreamTo(&out))
	tell := logging.Events(log, logging.NewLimits(log))
	for i := range 10000 {
		e := client.Event{Kind: client.NotFound, Identity: raw, Address: from(fmt.Sprintf("10.0.%d.%d:1", i>>8&0xff, i&0xff))}
		tell(e)
	}
	tell(client.Event{Kind: client.Rejected, Client: foo(), Refusal: client.WasDenied, Address: from("10.0.0.1:1")})
	tell(client.Event{Kind: client.SecretSent, Client: foo(), Address: from("10.0.0.1:1")})
	if lines := strings.Count(out.String(), "\n"); lines > 2*logging.AllBurst {
		t.Errorf("%d records", lines)
	}
	for _, want := range []string{"Client foo was not approved", "Sending secret to foo"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not logged", want)
		}
	}
}

func TestACheckerThatCannotRunIsWarnedOfOnce(t *testing.T) {
	var lines bytes.Buffer
	log := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn}))
	tell := logging.Events(log, logging.NewLimits(log))
	failed := func(name, checker string, status int) {
		tell(client.Event{
			Kind: client.CheckerCompleted, Check: client.CheckResult{Status: status},
			Client: client.View{Settings: client.Settings{Name: name, Checker: checker}},
		})
	}
	failed("foo", "fping -q -- %(host)s", 127)
	failed("bar", "fping -q -- %(host)s", 127)
	failed("foo", "fping -q -- %(host)s", 127)
	failed("foo", "/etc/passwd", 126)
	failed("foo", "false", 1)
	if n := strings.Count(lines.String(), "cannot run"); n != 2 {
		t.Errorf("%d warnings of two such checkers:\n%s", n, &lines)
	}
}
