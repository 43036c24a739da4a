// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhatWasTakenOver continues records of a server that does not tell whether the
// line enabled was in the client's own section or in [DEFAULT].
func TestWhatWasTakenOver(t *testing.T) {
	a := host("a", keyA)
	with := func(enabled, own bool) Settings {
		s := a
		s.Enabled, s.EnabledOwn = enabled, own
		return s
	}
	nowhere, own, everywhere := with(true, false), with(false, true), with(false, false)
	yes := with(true, true)
	for sentence, c := range map[string]struct {
		configured bool       // what the configuration said when the state was saved
		enabled    bool       // what the client was
		starts     []Settings // the configuration at each start
		want       bool
	}{
		"enabled by both stays so":                                    {true, true, []Settings{nowhere, yes, nowhere}, true},
		"enabled at run time stays so, whoever had disabled it":       {false, true, []Settings{own, own}, true},
		"enabled at run time stays so, whatever [DEFAULT] has":        {false, true, []Settings{everywhere, everywhere}, true},
		"disabled at run time stays so":                               {true, false, []Settings{nowhere, yes, yes}, false},
		"disabled at run time stays so under its own enabled = yes":   {true, false, []Settings{yes, nowhere, yes}, false},
		"disabled by the configuration stays so":                      {false, false, []Settings{own, own}, false},
		"disabled by the configuration is enabled when that says so":  {false, false, []Settings{yes}, true},
		"disabled by the configuration is enabled by the next word":   {false, false, []Settings{own, yes}, true},
		"disabled by [DEFAULT] is not enabled when that line is gone": {false, false, []Settings{everywhere, nowhere}, false},
		"enabled by both is disabled by a new word":                   {true, true, []Settings{own}, false},
		"enabled by both is disabled by [DEFAULT]":                    {true, true, []Settings{everywhere}, false},
		"enabled by both is disabled by a later word":                 {true, true, []Settings{nowhere, own}, false},
		"enabled at run time is disabled by a new word": {
			false, true, []Settings{everywhere, own}, false},
		"enabled at run time is disabled when the word is said again": {
			false, true, []Settings{own, yes, own}, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				record := Record{Settings: a, Configured: with(c.configured, false), Word: UnknownWord, State: State{Created: now, Expires: now.Add(time.Minute)}}
				if !c.enabled {
					kind := BeforeTakeOver
					if !c.configured {
						kind = ByConfiguration
					}
					record.Standing.Lowerings = []Lowering{NewLowering(kind, ByFormerServer, now, "a", record.key())}
				}
				d := &disk{records: map[string]Record{"a": record.Judged()}}
				w := newWorld(t, d, succeed, []Settings{c.starts[0]})
				defer func() { w.shutDown() }()
				for _, configured := range c.starts[1:] {
					w.restart(time.Second, []Settings{configured})
				}
				if w.enabled("a") != c.want {
					t.Errorf("enabled: %v, since %q", w.enabled("a"), w.client("a").DisabledBecause)
				}
				if secret, why := w.fetchWhile(context.Background(), keyA); (secret.Len() > 0) != c.want {
					t.Errorf("it got %v, refused for %q", secret, why)
				}
			})
		})
	}
}
