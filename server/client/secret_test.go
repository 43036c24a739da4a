// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestALateSecretIsFoundOnceAndWhenItIsNeeded(t *testing.T) {
	var found atomic.Int32
	late := LateSecret(func() Secret { found.Add(1); return NewSecret([]byte("content")) })
	if late.Found() || found.Load() != 0 {
		t.Fatal("it was looked for before anybody needed it")
	}
	for _, text := range []string{late.String(), fmt.Sprintf("%#v %x", late, late), late.LogValue().String()} {
		if !strings.Contains(text, "[secret that is still encrypted]") || found.Load() != 0 {
			t.Errorf("printed as %s", text)
		}
	}
	copied := late
	if !bytes.Equal(late.Bytes(), []byte("content")) || copied.Len() != 7 || !copied.Found() || found.Load() != 1 {
		t.Errorf("%q with %d bytes, found %d times", late.Bytes(), copied.Len(), found.Load())
	}
	if late.Settled() != NewSecret([]byte("content")) || late != copied || late == late.Settled() {
		t.Error("it does not compare as documented")
	}
	if text, err := json.Marshal(late); err != nil || string(text) != `"[secret of 7 bytes]"` {
		t.Errorf("as JSON it is %s, %v", text, err)
	}
}

func TestAHandoutWaitsForASecretThatIsStillEncrypted(t *testing.T) {
	ctx := context.Background()
	another := NewSecret([]byte("another"))
	for sentence, c := range map[string]struct {
		meanwhile func(w *world)
		want      string
	}{
		"and gets it": {func(*world) {}, "got it"},
		"and does not if it is disabled meanwhile":   {func(w *world) { w.must(w.Disable(ctx, admin, "a")) }, string(IsDisabled)},
		"and does not if it is removed meanwhile":    {func(w *world) { w.must(w.Remove(ctx, admin, "a")) }, "unknown"},
		"and gets another one that is set meanwhile": {func(w *world) { w.must(w.Update(ctx, admin, "a", Update{PropSecret: another})) }, "got it"},
		"while everything else goes on":              {func(w *world) { w.must(w.StartChecker(ctx, "a")); w.must(w.Alive(ctx)) }, "got it"},
		"and asks for approval when it has been found": {func(w *world) {
			delay := time.Minute
			w.must(w.Update(ctx, admin, "a", Update{PropApprovalDelay: delay}))
		}, "waiting"},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				settings := host("a", keyA)
				sealed := settings
				decrypted := make(chan struct{})
				sealed.Secret = LateSecret(func() Secret { <-decrypted; return NewSecret([]byte("set at run time")) })
				d := &disk{records: map[string]Record{"a": {
					Settings: sealed, Configured: settings, State: State{LastCheckerStatus: 0, Expires: time.Now().Add(time.Minute)},
				}}}
				w := newWorld(t, d, succeed, []Settings{settings})
				defer func() { w.shutDown() }()
				o := w.fetchInBackground(ctx, keyA)
				w.want(o, "waiting")
				c.meanwhile(w)
				w.pass(0)
				w.want(o, "waiting")
				close(decrypted)
				w.pass(0)
				w.want(o, c.want)
				want := NewSecret([]byte("set at run time"))
				if strings.Contains(sentence, "another") {
					want = another
				}
				if c.want == "got it" && o.secret.Settled() != want {
					t.Errorf("got %q", o.secret.Bytes())
				}
			})
		})
	}
}
