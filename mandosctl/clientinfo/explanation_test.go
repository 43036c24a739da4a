// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"strings"
	"testing"
	"time"

	"mandos/dbusapi"
)

func TestWhatStandsAgainstAHandout(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	well := dbusapi.Client{Name: "foo", KeyID: "AB", Enabled: true, Timeout: 5 * time.Minute, Interval: time.Minute, Expires: now.Add(4 * time.Minute)}
	other := dbusapi.Client{Name: "bar", KeyID: "CD", Enabled: true}
	for sentence, c := range map[string]struct {
		change  func(*dbusapi.Client)
		verdict string
		step    Step // one of them
	}{
		"nothing": {func(c *dbusapi.Client) {},
			"foo would get its secret now",
			Step{Yes, "it needs no approval", ""}},
		"it is disabled": {func(c *dbusapi.Client) {
			c.Enabled, c.DisabledSince, c.DisabledBecause = false, now.Add(-time.Hour), dbusapi.ByAdministrator
		},
			"foo would not get its secret now",
			Step{No, "it was disabled 1h ago: by an administrator", "mandosctl enable foo"}},
		"a server that gives no reason": {func(c *dbusapi.Client) { c.Enabled = false },
			"foo would not get its secret now",
			Step{No, "it is disabled", "mandosctl enable foo"}},
		"its secret is a plain password": {func(c *dbusapi.Client) { c.SecretProblem = "it is not encrypted" },
			"foo would get its secret now, but can hardly use it",
			Step{Note, "what it would get can hardly be meant: it is not encrypted", "mandosctl secret foo FILE"}},
		"approval is needed": {func(c *dbusapi.Client) { c.ApprovalDelay, c.ApprovedByDefault = 30*time.Second, true },
			"foo would have to wait for approval, and then be approved unless somebody decides",
			Step{Wait, "it needs approval; after 30s without a decision it is approved", "mandosctl approve foo"}},
		"somebody waits already": {func(c *dbusapi.Client) { c.ApprovalDelay, c.ApprovalPending = 30*time.Second, true },
			"foo would have to wait for approval, and then be denied unless somebody decides",
			Step{Wait, "it needs approval; after 30s without a decision it is denied; a connection waits at this moment", "mandosctl approve foo"}},
		"it was denied": {func(c *dbusapi.Client) { c.DeniedUntil = now.Add(time.Minute) },
			"foo would not get its secret now",
			Step{No, "somebody denied it, which holds for another 1m", "mandosctl approve foo"}},
		"an old denial is over": {func(c *dbusapi.Client) { c.DeniedUntil = now.Add(-time.Minute) },
			"foo would get its secret now",
			Step{Yes, "it needs no approval", ""}},
		"it was approved": {func(c *dbusapi.Client) { c.ApprovalDelay, c.ApprovedUntil = time.Minute, now.Add(time.Minute) },
			"foo would get its secret now",
			Step{Yes, "somebody approved it, which holds for another 1m", ""}},
		"its checks fail, which is nothing yet": {func(c *dbusapi.Client) {
			c.LastCheckerStatus, c.LastCheckerOutput = 1, "foo: Name or service not known"
		},
			"foo would get its secret now",
			Step{Note, "unless a check succeeds it expires in 4m; its last check failed with exit status 1: foo: Name or service not known", "mandosctl check foo"}},
		"another client has its key": {func(c *dbusapi.Client) { c.KeyID = "CD" },
			"foo would get its secret now",
			Step{Note, "the same key is that of bar too; the first of them in the configuration is served", ""}},
		"it has only an OpenPGP key": {func(c *dbusapi.Client) { c.KeyID, c.Fingerprint = "", "EF" },
			"foo would get its secret now",
			Step{Yes, "the client proves its key with TLS, which must have the fingerprint EF", ""}},
		"its name is hard to write": {func(c *dbusapi.Client) { c.Name, c.Enabled = "it's", false },
			"it's would not get its secret now",
			Step{No, "it is disabled", `mandosctl enable 'it'\''s'`}},
	} {
		client := well
		c.change(&client)
		e := Explain(&client, []dbusapi.Client{client, other}, dbusapi.Status{Address: "::", Port: 4711}, now)
		if e.Verdict != c.verdict {
			t.Errorf("%s: %q, want %q", sentence, e.Verdict, c.verdict)
		}
		found := false
		for _, step := range e.Steps {
			found = found || step == c.step
		}
		if !found {
			t.Errorf("%s: no step %+v in %+v", sentence, c.step, e.Steps)
		}
		if first := e.Steps[0].Text; !strings.Contains(first, "listens on ::, port 4711") {
			t.Errorf("%s: the first step is %q", sentence, first)
		}
	}
}

func TestAServerThatListensNowhereHandsNothingOut(t *testing.T) {
	now := time.Now()
	client := dbusapi.Client{Name: "foo", KeyID: "AB", Enabled: true, ApprovedByDefault: true, Expires: now.Add(time.Hour)}
	e := Explain(&client, []dbusapi.Client{client}, dbusapi.Status{Port: 4711, ListenProblem: "interface eth0 is gone"}, now)
	want := Step{No, "the server listens nowhere: interface eth0 is gone", ""}
	if e.Verdict != "foo would not get its secret now" || e.Steps[0] != want {
		t.Errorf("%q, %+v", e.Verdict, e.Steps[0])
	}
}
