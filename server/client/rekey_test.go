// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestALoweredClientThatGetsAnotherKeyAndThenAnotherName changes one thing after the
// other of the section of a lowered client.
func TestALoweredClientThatGetsAnotherKeyAndThenAnotherName(t *testing.T) {
	ctx := context.Background()
	a, other := host("a", keyA), host("other", keyC)
	fingerprint := strings.Repeat("F", 40)
	with := func(name, keyID, fingerprint string) Settings {
		s := a
		s.Name, s.KeyID, s.Fingerprint = name, keyID, fingerprint
		return s
	}
	for what, lower := range map[string]func(w *world){
		"disabled": func(w *world) { w.must(w.Disable(ctx, admin, "a")) },
		"expired":  func(w *world) { w.checks.behave(fail); w.pass(time.Hour); w.checks.behave(succeed) },
		"denied":   func(w *world) { w.must(w.Approve(ctx, admin, "a", false)) },
	} {
		for sentence, then := range map[string][]Settings{
			"another key":                {a, with("a", keyB, ""), with("b", keyB, "")},
			"a key ID":                   {with("a", "", fingerprint), with("a", keyB, fingerprint), with("a", keyB, ""), with("b", keyB, "")},
			"another key, and gone once": {a, with("a", keyB, ""), {}, with("b", keyB, "")},
		} {
			for way, come := range ways {
				t.Run(what+", "+sentence+", "+way, func(t *testing.T) {
					first := then[0]
					first.ApprovalDuration = 24 * time.Hour
					inWorld(t, []Settings{other, first}, func(w *world) {
						w.pass(2 * time.Minute)
						lower(w)
						for _, next := range then[1:] {
							configured := []Settings{other}
							if next.Name != "" {
								next.ApprovalDuration = first.ApprovalDuration
								configured = append(configured, next)
							}
							come(w, configured)
						}
						if secret, _ := w.fetch(keyB); secret.Len() > 0 {
							t.Error("it got its secret")
						}
					})
				})
			}
		}
	}
}
