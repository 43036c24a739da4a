// SPDX-License-Identifier: Apache-2.0

package state

import (
	"reflect"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A setting that is new in a version is in no record that an earlier one saved.
func TestASettingThatIsNotSavedIsEmpty(t *testing.T) {
	s := open(t, t.TempDir())
	a := full("a")
	save(t, s, a)
	if err := s.db.Update(func(tx *bolt.Tx) error {
		r, err := decode(tx.Bucket(clientsBucket).Get([]byte("a"))[sumSize:])
		if err != nil {
			return err
		}
		content := []byte(`{"Settings":{"timeout":60000000000},"Configured":{"Settings":{"timeout":60000000000}},"Secret":null,"State":{"LastCheckerStatus":0},"Standing":{}}`)
		if r.Settings.Timeout != settings(a.Settings).Timeout {
			t.Errorf("saved was %+v", r.Settings)
		}
		return replace(tx, map[string][]byte{"a": content})
	}); err != nil {
		t.Fatal(err)
	}
	got := recordsOf(t, s, a.Configured)["a"]
	want := a.Configured
	want.Name, want.Secret = "a", a.Configured.Secret
	if got.Timeout != time.Minute || got.Configured.Timeout != time.Minute || got.Checker != "" || got.ApprovedByDefault || got.Interval != want.Interval {
		t.Errorf("it is %+v", got.Settings)
	}
	if !reflect.DeepEqual(got.Configured.Secret, want.Secret) {
		t.Errorf("its secret is %v", got.Configured.Secret)
	}
}
