// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestBounds(t *testing.T) {
	for sentence, c := range map[string]struct {
		set  func(*Settings)
		want string // of the only fault; empty for none
	}{
		"the longest of everything": {set: func(s *Settings) {
			s.KeyID, s.Fingerprint = strings.Repeat("A", MaxName), strings.Repeat("B", MaxName)
			s.Host, s.Checker = strings.Repeat("h", MaxHost), strings.Repeat("%%", MaxCommand/2)
			s.Secret = NewSecret(make([]byte, MaxSecret))
			s.Timeout, s.ExtendedTimeout, s.Interval = MaxDuration, MaxDuration, MaxDuration
			s.ApprovalDelay, s.ApprovalDuration = MaxDuration, MaxDuration
		}},
		"the least of everything": {set: func(s *Settings) { *s = Settings{Name: "a", Interval: time.Millisecond} }},
		"a late secret is not waited for": {set: func(s *Settings) {
			s.Secret = LateSecret(func() Secret { panic("somebody waits for it") })
		}},
		"a host":               {func(s *Settings) { s.Host = strings.Repeat("h", MaxHost+1) }, "Host: the host is longer than 4096 bytes; make it shorter"},
		"a key ID":             {func(s *Settings) { s.KeyID = strings.Repeat("A", MaxName+1) }, "KeyID: the key_id is longer than 255 bytes; make it shorter"},
		"a fingerprint":        {func(s *Settings) { s.Fingerprint = strings.Repeat("A", MaxName+1) }, "Fingerprint: the fingerprint is longer than 255 bytes; make it shorter"},
		"a secret":             {func(s *Settings) { s.Secret = NewSecret(make([]byte, MaxSecret+1)) }, "Secret: the secret is longer than 1048576 bytes; make it shorter"},
		"a checker":            {func(s *Settings) { s.Checker = strings.Repeat("%(name)s", MaxCommand/8+1) }, "Checker: the checker is longer than 131071 bytes; make it shorter"},
		"a checker, expanded":  {func(s *Settings) { s.Checker = strings.Repeat("%(created)s", MaxCommand/28+1) }, "Checker: the checker, with its attributes expanded, is longer than 131071 bytes; make it shorter"},
		"a timeout":            {func(s *Settings) { s.Timeout = MaxDuration + 1 }, "Timeout: the timeout is longer than 50 years; make it shorter"},
		"a negative timeout":   {func(s *Settings) { s.Timeout = -1 }, "Timeout: the timeout must be at least 0s"},
		"an interval":          {func(s *Settings) { s.Interval = math.MaxInt64 }, "Interval: the interval is longer than 50 years; make it shorter"},
		"an interval of none":  {func(s *Settings) { s.Interval = 0 }, "Interval: the interval is no time at all, and checkers cannot be started without a pause; write for example PT2M"},
		"an extended timeout":  {func(s *Settings) { s.ExtendedTimeout = math.MinInt64 }, "ExtendedTimeout: the extended_timeout must be at least 0s"},
		"an approval delay":    {func(s *Settings) { s.ApprovalDelay = -1 }, "ApprovalDelay: the approval_delay must be at least 0s"},
		"an approval duration": {func(s *Settings) { s.ApprovalDuration = MaxDuration + 1 }, "ApprovalDuration: the approval_duration is longer than 50 years; make it shorter"},
	} {
		t.Run(sentence, func(t *testing.T) {
			s, good := host("a", keyA), host("a", keyA)
			c.set(&s)
			var got []string
			for _, fault := range s.Faults() {
				got = append(got, string(fault.Setting.Property)+": "+fault.Err.Error())
			}
			if text := strings.Join(got, "\n"); text != c.want {
				t.Errorf("its faults are %q, want %q", text, c.want)
			}
			if c.want == "" {
				return
			}
			if s.Mend(&good); s != good {
				t.Errorf("mended it is %+v", s)
			}
		})
	}
}

func TestLongErrorsShowTheBeginning(t *testing.T) {
	for _, checker := range []string{"%" + strings.Repeat("é", 60_000), "%(" + strings.Repeat("é", 60_000) + ")s"} {
		s := host("a", keyA)
		s.Checker = checker
		if faults := s.Faults(); len(faults) != 1 || len(faults[0].Err.Error()) > 500 {
			t.Errorf("%.1000v", faults)
		}
	}
}

// TestNoSumOfDurationsOverflows changes every duration to the longest and back,
// in the order that makes the expiry the latest.
func TestNoSumOfDurationsOverflows(t *testing.T) {
	long, none, short := time.Duration(MaxDuration), time.Duration(0), time.Millisecond
	inWorld(t, []Settings{host("a", keyA)}, func(w *world) {
		ctx := context.Background()
		longInterval, shortTimeout := Update{PropInterval: long}, Update{PropTimeout: none}
		w.must(w.Update(ctx, admin, "a", longInterval))
		w.must(w.Update(ctx, admin, "a", shortTimeout)) // which disables it
		w.must(w.Enable(ctx, admin, "a"))
		if v := w.client("a"); time.Until(v.Expires) != 2*MaxDuration {
			t.Errorf("two intervals end in %v", time.Until(v.Expires))
		}
		w.must(w.Update(ctx, admin, "a", Update{PropTimeout: long, PropExtendedTimeout: long, PropApprovalDelay: none, PropApprovalDuration: long}))
		if v := w.client("a"); !v.Enabled || time.Until(v.Expires) != 3*MaxDuration {
			t.Errorf("enabled %v, expires in %v", v.Enabled, time.Until(v.Expires))
		}
		w.must(w.Approve(ctx, admin, "a", true))
		if _, why := w.fetch(keyA); why != "" {
			t.Errorf("refused: %s", why)
		}
		w.restart(time.Second, []Settings{host("a", keyA)})
		if v := w.client("a"); !v.Enabled || time.Until(v.Expires) < MaxDuration {
			t.Errorf("after a restart: enabled %v, expires in %v", v.Enabled, time.Until(v.Expires))
		}
		w.must(w.Update(ctx, admin, "a", Update{PropInterval: short}))
		tooLong := MaxDuration + 1
		if err := w.Update(ctx, admin, "a", Update{PropInterval: tooLong}); !errors.Is(err, ErrBadSetting) {
			t.Errorf("a longer one is answered %v", err)
		}
	})
}
