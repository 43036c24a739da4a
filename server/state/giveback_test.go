// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mandos/server/client"
)

func TestWhatIsGivenBackIsTakenOverAsItWas(t *testing.T) {
	s := open(t, t.TempDir())
	dir := filepath.Dir(s.path)
	now := time.Now().UTC().Truncate(time.Microsecond)
	healthy := ofTheSchema()[1]
	healthy.Created, healthy.Expires, healthy.LastCheckedOK, healthy.LastCheckerStatus = now, now.Add(time.Hour), now, 0
	healthy.Settings.Secret, healthy.Absence = secret("set at run time"), client.PlannedAbsence{}
	lowered := ofTheSchema()[0]
	lowered.Gone = time.Time{}
	removed := healthy
	removed.Settings.Name, removed.Configured.Name = "removed", "removed"
	removed.Standing.Lowerings = []client.Lowering{{ID: "1", Reason: client.RemovedByAdministrator, Name: "removed", Key: client.Key{KeyID: "AB", Fingerprint: "CD"}}}
	gone := healthy
	gone.Settings.Name, gone.Configured.Name, gone.Gone = "gone", "gone", now
	save(t, s, healthy, lowered.Judged(), removed.Judged(), gone)
	if _, err := GiveBack(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("while a server runs: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	given, err := GiveBack(dir)
	if want := (GivenBack{filepath.Join(dir, upstreamName), 3, 2, false}); err != nil || given != want {
		t.Fatalf("it says %+v, error %v, want %+v", given, err, want)
	}
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	got := recordsOf(t, open(t, dir), healthy.Configured, lowered.Configured, removed.Configured)
	for name, enabled := range map[string]bool{"healthy": true, "lowered": false, "removed": false} {
		if r, ok := got[name]; !ok || r.Enabled != enabled || r.Configured.Enabled != true {
			t.Errorf("%s is %+v", name, r)
		}
	}
	want, back := healthy, got["healthy"]
	for i := range client.AllSettings {
		if setting := &client.AllSettings[i]; setting.Ours { // which that server does not have
			setting.Set(&want.Settings, setting.Value(new(client.Settings)))
		}
	}
	if back.Settings != want.Settings || !back.Created.Equal(now) || !back.Expires.Equal(want.Expires) || !back.LastCheckedOK.Equal(now) || back.LastCheckerStatus != 0 {
		t.Errorf("it is %+v, want %+v", back, want)
	}
	if len(got) != 3 {
		t.Errorf("there are %d", len(got))
	}
}

func TestAPlannedAbsenceIsGivenBackAsTheTimeThatItLasts(t *testing.T) {
	s := open(t, t.TempDir())
	dir := filepath.Dir(s.path)
	away := ofTheSchema()[1]
	away.Expires = time.Now().Add(-time.Hour)
	save(t, s, away)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if _, err := GiveBack(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	back := recordsOf(t, open(t, dir), away.Configured)["healthy"]
	left := away.Absence.Left
	if earliest, latest := before.Add(left-time.Second), time.Now().Add(left); !back.Enabled || back.Expires.Before(earliest) || back.Expires.After(latest) {
		t.Errorf("it is %+v, and expires between %v and %v", back.State, earliest, latest)
	}
}

func TestInALockdownNobodyIsGivenBackEnabled(t *testing.T) {
	s := open(t, t.TempDir())
	dir := filepath.Dir(s.path)
	save(t, s, ofTheSchema()[1])
	if err := errors.Join(s.SaveServer(lockedDown()), s.Close()); err != nil {
		t.Fatal(err)
	}
	given, err := GiveBack(dir)
	if want := (GivenBack{filepath.Join(dir, upstreamName), 1, 1, true}); err != nil || given != want {
		t.Errorf("it says %+v, error %v, want %+v", given, err, want)
	}
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if got := recordsOf(t, open(t, dir), ofTheSchema()[1].Configured); got["healthy"].Enabled {
		t.Errorf("it is %+v", got["healthy"])
	}
}

func TestNothingIsGivenBackOfNothing(t *testing.T) {
	dir := t.TempDir()
	if given, err := GiveBack(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is %+v, error %v", given, err)
	}
	if names := ls(t, dir); len(names) > 0 {
		t.Errorf("the directory has %q", names)
	}
}
