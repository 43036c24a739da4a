// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	bolt "go.etcd.io/bbolt"

	"mandos/server/client"
)

// schema is the version of what is in the file. The former ones since oldestSchema
// lack what was new since, and become this one with the first write; others are refused.
const (
	schema       = 4
	oldestSchema = 3
)

// The buckets, and the key of the summary. A record's key is its client's name.
var (
	summaryBucket = []byte("state")
	summaryKey    = []byte("summary")
	clientsBucket = []byte("clients")
)

// summary is of all records, so that none can disappear unnoticed.
type summary struct {
	Schema  int
	Records int
	Sum     uint64 // of the records' sums, by exclusive or
	Server  uint64 `json:",omitempty"` // of the server's own record, if there is one
}

// record is what is saved of a client. In the file a sum precedes it.
type record struct {
	Settings   settings
	Configured configuration
	State      progress
	// Secret is the encrypted secret that was set at run time, if one was.
	Secret   []byte `json:",omitempty"`
	Standing standing
	Sources  []netip.Prefix `json:",omitempty"`
	Handed   []handed       `json:",omitempty"`
	Grants   []grant        `json:",omitempty"`
	Ahead    []grant        `json:",omitempty"`
	Gone     time.Time      `json:",omitzero"`
}

// configuration is what the configuration said, and what the client's own section said
// last of its validity.
type configuration struct {
	Settings            settings
	Enabled, EnabledOwn bool
	Word                client.Word `json:",omitempty"`
}

// handed is [client.Handed].
type handed struct {
	ID      string
	At      time.Time
	Kind    client.KeyKind
	Key     string
	Address netip.AddrPort `json:",omitzero"`
	Outcome client.Outcome `json:",omitempty"`
	Ago     time.Duration
}

func handedOf(all []client.Handed) (saved []handed) {
	for _, h := range all {
		saved = append(saved, handed{ID: h.ID, At: h.At.UTC(), Kind: h.Identity.Kind, Key: h.Identity.Hex, Address: h.Address, Outcome: h.Outcome, Ago: h.Ago})
	}
	return saved
}

func handedIn(saved []handed) (all []client.Handed) {
	for _, h := range saved {
		all = append(all, client.Handed{
			ID: h.ID, At: h.At, Identity: client.Identity{Kind: h.Kind, Hex: h.Key}, Address: h.Address, Outcome: h.Outcome, Ago: h.Ago,
		})
	}
	return all
}

// grant is [client.Grant].
type grant struct {
	ID       string
	By       actor
	At       time.Time
	Times    int
	Until    time.Time     `json:",omitzero"`
	For      time.Duration `json:",omitempty"`
	Used     []string      `json:",omitempty"`
	Returned int           `json:",omitempty"`
}

func grantsOf(all []client.Grant) (saved []grant) {
	for _, g := range all {
		saved = append(saved, grant{ID: g.ID, By: actor(g.By), At: g.At.UTC(), Times: g.Times, Until: g.Until.UTC(), For: g.For, Used: g.Used, Returned: g.Returned})
	}
	return saved
}

func grantsIn(saved []grant) (all []client.Grant) {
	for _, g := range saved {
		all = append(all, client.Grant{ID: g.ID, By: client.Actor(g.By), At: g.At, Times: g.Times, Until: g.Until, For: g.For, Used: g.Used, Returned: g.Returned})
	}
	return all
}

// standing is [client.Standing].
type standing struct {
	Lowerings []lowering `json:",omitempty"`
	Seen      []seen     `json:",omitempty"`
	Enables   uint64     `json:",omitempty"`
	Witnesses uint64     `json:",omitempty"`
	Expiry    *lowering  `json:",omitempty"`
}

type lowering struct {
	ID     string
	Reason client.Reason
	By     actor
	At     time.Time
	Name   string
	Key    key
	Own    key `json:",omitzero"`
}

// actor is [client.Actor].
type actor struct {
	Kind    client.ActorKind
	BusName string `json:",omitempty"`
	UID     uint32 `json:",omitempty"`
	PID     uint32 `json:",omitempty"`
	For     string `json:",omitempty"`
}

type seen struct {
	ID      string
	Enables uint64
}

type key struct {
	KeyID       string `json:",omitempty"`
	Fingerprint string `json:",omitempty"`
}

// progress is [client.State].
type progress struct {
	Created             time.Time `json:",omitzero"`
	LastEnabled         time.Time `json:",omitzero"`
	Expires             time.Time `json:",omitzero"`
	LastCheckedOK       time.Time `json:",omitzero"`
	LastCheckerStatus   int
	LastCheckerOutput   string         `json:",omitempty"`
	LastApprovalRequest time.Time      `json:",omitzero"`
	LastHandout         time.Time      `json:",omitzero"`
	LastHandoutKey      client.KeyKind `json:",omitempty"`
	GraceSpent          bool           `json:",omitempty"`
	DisabledSince       time.Time      `json:",omitzero"`
	DisabledBecause     client.Reason  `json:",omitempty"`
	DisabledBy          actor          `json:",omitzero"`
	DeniedUntil         time.Time      `json:",omitzero"`
	DeniedFor           time.Duration  `json:",omitempty"`
	DeniedKey           key            `json:",omitzero"`
	Absence             absence        `json:",omitzero"`
	Borrowed            borrowed       `json:",omitzero"`
}

// borrowed is [client.Borrowed].
type borrowed struct {
	Spent time.Duration `json:",omitempty"`
	Moved time.Duration `json:",omitempty"`
	Since time.Time     `json:",omitzero"`
}

// absence is [client.PlannedAbsence].
type absence struct {
	ID    string
	By    actor
	At    time.Time
	Why   string `json:",omitempty"`
	Left  time.Duration
	Begun bool `json:",omitempty"`
}

func absenceOf(a client.PlannedAbsence) absence {
	return absence{ID: a.ID, By: actor(a.By), At: a.At.UTC(), Why: a.Why, Left: a.Left, Begun: a.Begun}
}

func (a absence) planned() client.PlannedAbsence {
	return client.PlannedAbsence{ID: a.ID, By: client.Actor(a.By), At: a.At, Why: a.Why, Left: a.Left, Begun: a.Begun}
}

func configuredOf(r *client.Record) configuration {
	return configuration{Settings: settings(r.Configured), Enabled: r.Configured.Enabled, EnabledOwn: r.Configured.EnabledOwn, Word: r.Word}
}

func (c *configuration) of(name string, secret client.Secret) client.Settings {
	s := c.Settings.of(name, secret)
	s.Enabled, s.EnabledOwn = c.Enabled, c.EnabledOwn
	return s
}

func progressOf(s *client.State) progress {
	p := progress{
		Created: s.Created, LastEnabled: s.LastEnabled, Expires: s.Expires,
		LastCheckedOK: s.LastCheckedOK, LastCheckerStatus: s.LastCheckerStatus, LastApprovalRequest: s.LastApprovalRequest,
		LastHandout: s.LastHandout, LastHandoutKey: s.LastHandoutKey, LastCheckerOutput: s.LastCheckerOutput, GraceSpent: s.GraceSpent,
		DisabledSince: s.DisabledSince, DisabledBecause: s.DisabledBecause, DisabledBy: actor(s.DisabledBy),
		DeniedUntil: s.DeniedUntil, DeniedFor: s.DeniedFor, DeniedKey: key(s.DeniedKey), Absence: absenceOf(s.Absence),
		Borrowed: borrowed(s.Borrowed),
	}
	for _, t := range []*time.Time{
		&p.Created, &p.LastEnabled, &p.Expires, &p.LastCheckedOK, &p.LastApprovalRequest, &p.LastHandout, &p.DisabledSince, &p.DeniedUntil, &p.Borrowed.Since,
	} {
		*t = t.UTC()
	}
	return p
}

func (p *progress) state() client.State {
	return client.State{
		Created: p.Created, LastEnabled: p.LastEnabled, Expires: p.Expires,
		LastCheckedOK: p.LastCheckedOK, LastCheckerStatus: p.LastCheckerStatus, LastApprovalRequest: p.LastApprovalRequest,
		LastHandout: p.LastHandout, LastHandoutKey: p.LastHandoutKey, LastCheckerOutput: p.LastCheckerOutput, GraceSpent: p.GraceSpent,
		DisabledSince: p.DisabledSince, DisabledBecause: p.DisabledBecause, DisabledBy: client.Actor(p.DisabledBy),
		DeniedUntil: p.DeniedUntil, DeniedFor: p.DeniedFor, DeniedKey: client.Key(p.DeniedKey), Absence: p.Absence.planned(),
		Borrowed: client.Borrowed(p.Borrowed),
	}
}

func standingOf(s *client.Standing) (saved standing) {
	for _, l := range s.Lowerings {
		saved.Lowerings = append(saved.Lowerings, loweringOf(l))
	}
	for _, one := range s.Seen {
		saved.Seen = append(saved.Seen, seen(one))
	}
	saved.Enables, saved.Witnesses = s.Life.Enables, s.Life.Witnesses
	if e := s.Life.Expiry; e != nil {
		expiry := loweringOf(*e)
		saved.Expiry = &expiry
	}
	return saved
}

func loweringOf(l client.Lowering) lowering {
	return lowering{ID: l.ID, Reason: l.Reason, By: actor(l.By), At: l.At.UTC(), Name: l.Name, Key: key(l.Key), Own: key(l.Own)}
}

func (l *lowering) lowering() client.Lowering {
	return client.Lowering{ID: l.ID, Reason: l.Reason, By: client.Actor(l.By), At: l.At, Name: l.Name, Key: client.Key(l.Key), Own: client.Key(l.Own)}
}

func (s *standing) standing() (saved client.Standing) {
	for _, l := range s.Lowerings {
		saved.Lowerings = append(saved.Lowerings, l.lowering())
	}
	for _, one := range s.Seen {
		saved.Seen = append(saved.Seen, client.Seen(one))
	}
	saved.Life = client.Life{Enables: s.Enables, Witnesses: s.Witnesses}
	if s.Expiry != nil {
		expiry := s.Expiry.lowering()
		saved.Life.Expiry = &expiry
	}
	return saved
}

// recordOf is a record without its secrets.
func recordOf(r *client.Record) record {
	return record{
		Settings:   settings(r.Settings),
		Configured: configuredOf(r),
		State:      progressOf(&r.State),
		Standing:   standingOf(&r.Standing),
		Sources:    r.Sources,
		Handed:     handedOf(r.Handed),
		Grants:     grantsOf(r.Grants),
		Ahead:      grantsOf(r.Ahead),
		Gone:       r.Gone.UTC(),
	}
}

// of is what the registry continues from.
func (r *record) of(name string, secret client.Secret) client.Record {
	return client.Record{
		Settings:   r.Settings.of(name, secret),
		Configured: r.Configured.of(name, secret),
		Word:       r.Configured.Word,
		State:      r.State.state(),
		Standing:   r.Standing.standing(),
		Sources:    r.Sources,
		Handed:     handedIn(r.Handed),
		Grants:     grantsIn(r.Grants),
		Ahead:      grantsIn(r.Ahead),
		Gone:       r.Gone,
	}.Judged()
}

// encode is the record as JSON, with its run-time secret encrypted.
func (s *Store) encode(r *client.Record) ([]byte, error) {
	saved := recordOf(r)
	var err error
	if saved.Secret, err = s.seal(r.Name, r.Settings.Secret, r.Configured.Secret); err != nil {
		return nil, err
	}
	return json.Marshal(&saved)
}

func decode(content []byte) (*record, error) {
	var r record
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the record")
	}
	return &r, nil
}

const sumSize = 8

// sumOf is a sum over a record and its name.
func sumOf(name, content []byte) uint64 {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(name))))
	h.Write(name)
	h.Write(content)
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// schemaError says that another version wrote the file.
type schemaError struct{ schema int }

func (e *schemaError) Error() string {
	if e.schema > schema {
		return fmt.Sprintf("a newer version of mandos wrote it (schema %d; this version knows %d): run that version", e.schema, schema)
	}
	return fmt.Sprintf("a version of mandos from before the first release wrote it (schema %d; this version knows %d): "+
		"note who is disabled, with mandosctl list of that version, and disable them again", e.schema, schema)
}

// begin fills an empty database.
func begin(tx *bolt.Tx, records map[string]*record) error {
	for _, bucket := range [][]byte{summaryBucket, clientsBucket} {
		if _, err := tx.CreateBucket(bucket); err != nil {
			return err
		}
	}
	changes := make(map[string][]byte, len(records))
	for name, r := range records {
		content, err := json.Marshal(r)
		if err != nil {
			return err
		}
		changes[name] = content
	}
	if err := putSummary(tx, summary{Schema: schema}); err != nil {
		return err
	}
	return replace(tx, changes)
}

// replace puts records in place of the former ones of their names; those without
// content are deleted.
func replace(tx *bolt.Tx, changes map[string][]byte) error {
	total, err := getSummary(tx)
	if err != nil {
		return err
	}
	total.Schema = schema
	clients := tx.Bucket(clientsBucket)
	for name, content := range changes {
		key := []byte(name)
		if former := clients.Get(key); former != nil {
			total.Records--
			total.Sum ^= binary.BigEndian.Uint64(former)
		}
		if content == nil {
			if err := clients.Delete(key); err != nil {
				return fmt.Errorf("client %q: %w", name, err)
			}
			continue
		}
		sum := sumOf(key, content)
		total.Records++
		total.Sum ^= sum
		if err := clients.Put(key, append(binary.BigEndian.AppendUint64(nil, sum), content...)); err != nil {
			return fmt.Errorf("client %q: %w", name, err)
		}
	}
	return putSummary(tx, total)
}

func putSummary(tx *bolt.Tx, total summary) error {
	content, err := json.Marshal(total)
	if err != nil {
		return err
	}
	return tx.Bucket(summaryBucket).Put(summaryKey, content)
}

func getSummary(tx *bolt.Tx) (total summary, err error) {
	bucket := tx.Bucket(summaryBucket)
	if bucket == nil {
		return total, errors.New("it is not a state file of mandos")
	}
	if err := json.Unmarshal(bucket.Get(summaryKey), &total); err != nil {
		return total, fmt.Errorf("its summary is damaged: %w", err)
	}
	if total.Schema < oldestSchema || total.Schema > schema {
		return total, &schemaError{total.Schema}
	}
	return total, nil
}

// readAll verifies everything and decodes the records.
func readAll(db *bolt.DB) (saved map[string]*record, err error) {
	saved = make(map[string]*record)
	return saved, db.View(func(tx *bolt.Tx) error { return decodeAll(tx, saved) })
}

func decodeAll(tx *bolt.Tx, saved map[string]*record) error {
	want, err := getSummary(tx)
	if err != nil {
		return err
	}
	clients := tx.Bucket(clientsBucket)
	if clients == nil {
		return errors.New("its records are missing")
	}
	if _, err := getServer(tx); err != nil {
		return err
	}
	got := summary{Schema: want.Schema, Server: want.Server}
	if err := clients.ForEach(func(name, value []byte) error {
		if len(value) < sumSize || binary.BigEndian.Uint64(value) != sumOf(name, value[sumSize:]) || !bytes.Equal(clients.Get(name), value) {
			return fmt.Errorf("the record of client %q is damaged", name)
		}
		r, err := decode(value[sumSize:])
		if unknown := (*unknownSettingError)(nil); errors.As(err, &unknown) {
			return fmt.Errorf("client %q %w", name, unknown)
		}
		if err != nil {
			return fmt.Errorf("the record of client %q is damaged: %w", name, err)
		}
		saved[string(name)] = r
		got.Records++
		got.Sum ^= binary.BigEndian.Uint64(value)
		return nil
	}); err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("records are missing or damaged: it has %d and should have %d", got.Records, want.Records)
	}
	return nil
}
