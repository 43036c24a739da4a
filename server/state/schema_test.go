// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mandos/server/client"
)

var update = flag.Bool("update", false, "write the golden file of the schema anew")

// golden has the records of a schema as they are in the file, by the names of their
// clients. Each schema keeps its own: what a released version has written, every later
// one reads.
func golden(schema int) string { return fmt.Sprintf("testdata/schema%d.json", schema) }

// ofTheSchema are records with everything that one can have, but for a secret set at run
// time, which is encrypted anew each time. What is new in a later schema they lack.
func ofTheSchema() []client.Record {
	at := func(minute int) time.Time { return time.Date(2026, 11, 26, 3, minute, 5, 6000, time.UTC) }
	key, own := client.Key{KeyID: "AB", Fingerprint: "CD"}, client.Key{KeyID: "EF", Fingerprint: "01"}
	person := client.Actor{Kind: client.Caller, BusName: ":1.7", UID: 1000, PID: 42, For: "alice"}
	configured := client.Settings{
		Name: "lowered", KeyID: "AB", Fingerprint: "CD", Secret: secret("secret"), Host: "lowered.example.org", Checker: "fping -q -- %(host)s",
		Timeout: 5 * time.Minute, ExtendedTimeout: 15 * time.Minute, Interval: 2 * time.Minute, ApprovalDelay: 30 * time.Second,
		ApprovalDuration: time.Second, ApprovedByDefault: true, Handouts: "free", Enabled: true, EnabledOwn: true,
		AllowFrom: "192.0.2.0/24", RecordRequired: true, HandoutLimit: "3/PT1H", ApprovalsNeeded: 2,
	}
	inForce := configured
	inForce.Host, inForce.EnabledOwn = "192.0.2.7", false
	lowered := client.Record{
		Settings: inForce, Configured: configured, Word: client.WordYes,
		State: client.State{
			Created: at(1), LastEnabled: at(2), Expires: at(3), LastCheckedOK: at(4), LastCheckerStatus: 1, LastCheckerOutput: "no route",
			LastApprovalRequest: at(5), LastHandout: at(6), LastHandoutKey: client.RawPublicKey, GraceSpent: true,
			DeniedUntil: at(8), DeniedFor: time.Minute, DeniedKey: key,
		},
		Standing: client.Standing{
			Lowerings: []client.Lowering{{ID: "1", Reason: client.ByAdministrator, By: person, At: at(9), Name: "former", Key: key, Own: own}},
			Seen:      []client.Seen{{ID: "2", Enables: 3}},
			Life:      client.Life{Enables: 4, Witnesses: 5, Expiry: &client.Lowering{ID: "3", Reason: client.TimedOut, By: client.ByItself, At: at(10), Name: "lowered", Key: key}},
		},
		Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")},
		Handed: []client.Handed{{
			ID: "4", At: at(13), Identity: client.Identity{Kind: client.RawPublicKey, Hex: "AB"}, Address: netip.MustParseAddrPort("192.0.2.7:1234"),
			Outcome: client.Arrived, Ago: time.Minute,
		}},
		Gone: at(11),
	}
	healthy := client.Record{Settings: inForce, Configured: configured, State: client.State{Expires: at(12), LastCheckerStatus: client.NeverChecked}}
	healthy.Grants = []client.Grant{{
		ID: "5", By: person, At: at(14), Times: 2, Until: at(15), For: time.Minute, Used: []string{"6"}, Returned: 1,
	}}
	healthy.Ahead = []client.Grant{{ID: "7", By: person, At: at(14), Times: 1}}
	healthy.Settings.Name, healthy.Configured.Name = "healthy", "healthy"
	healthy.Absence = client.PlannedAbsence{ID: "4", By: person, At: at(13), Why: "new firmware", Left: time.Hour, Begun: true}
	healthy.Borrowed = client.Borrowed{Spent: 2 * time.Minute, Moved: time.Minute, Since: at(14)}
	return []client.Record{lowered.Judged(), healthy.Judged()}
}

func TestWhatIsSavedIsOfTheSchema(t *testing.T) {
	records := make(map[string]json.RawMessage)
	s := open(t, t.TempDir())
	for _, r := range ofTheSchema() {
		content, err := s.encode(&r)
		if err != nil {
			t.Fatal(err)
		}
		records[r.Settings.Name] = content
	}
	content, err := json.MarshalIndent(records, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	content = append(content, '\n')
	if *update {
		if err := os.WriteFile(golden(schema), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden(schema))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content, want) {
		t.Errorf("saved is\n%s\nin %s is\n%s\nIf that is meant, raise the schema, and read the former one", content, golden(schema), want)
	}
}

func TestEverySchemaThatWasReleasedIsRead(t *testing.T) {
	for version := oldestSchema; version <= schema; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			content, err := os.ReadFile(golden(version))
			if err != nil {
				t.Fatal(err)
			}
			var records map[string]json.RawMessage
			if err := json.Unmarshal(content, &records); err != nil {
				t.Fatal(err)
			}
			changes := make(map[string][]byte)
			for name, record := range records {
				changes[name] = record
			}
			s := open(t, t.TempDir())
			if err := s.db.Update(func(tx *bolt.Tx) error {
				if err := replace(tx, changes); err != nil {
					return err
				}
				total, err := getSummary(tx)
				total.Schema = version
				return errors.Join(err, putSummary(tx, total))
			}); err != nil {
				t.Fatal(err)
			}
			var configured []client.Settings
			for _, want := range ofTheSchema() {
				configured = append(configured, want.Configured)
			}
			got := recordsOf(t, reopen(t, s), configured...)
			for _, want := range ofTheSchema() {
				lack(&want, version)
				if name := want.Settings.Name; !reflect.DeepEqual(got[name], want) {
					t.Errorf("%s is\n%+v\nwant\n%+v", name, got[name], want)
				}
			}
		})
	}
}

// lack takes from a record what was new in a later schema.
func lack(r *client.Record, version int) {
	if version < 4 {
		r.Settings.AllowFrom, r.Configured.AllowFrom, r.Sources, r.Handed, r.Grants, r.Ahead = "", "", nil, nil, nil, nil
		r.Settings.ApprovalsNeeded, r.Configured.ApprovalsNeeded = 0, 0
		r.Settings.RecordRequired, r.Configured.RecordRequired = false, false
		r.Absence, r.Borrowed = client.PlannedAbsence{}, client.Borrowed{}
		r.Settings.HandoutLimit, r.Configured.HandoutLimit, r.Settings.Handouts, r.Configured.Handouts = "", "", "", ""
	}
}

func TestAFormerSchemaBecomesThisOneWithTheFirstWrite(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.db.Update(func(tx *bolt.Tx) error { return putSummary(tx, summary{Schema: oldestSchema}) }); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	if err := s.Save(ofTheSchema()); err != nil {
		t.Fatal(err)
	}
	if err := s.db.View(func(tx *bolt.Tx) error {
		total, err := getSummary(tx)
		if total.Schema != schema {
			t.Errorf("what is written is of schema %d", total.Schema)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
