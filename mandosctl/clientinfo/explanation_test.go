// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"slices"
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
		e := Explain(&Question{Client: &client, Sharing: []dbusapi.Client{client, other}, Status: dbusapi.Status{Address: "::", Port: 4711}}, now)
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
	e := Explain(&Question{Client: &client, Status: dbusapi.Status{Port: 4711, ListenProblem: "interface eth0 is gone"}}, now)
	want := Step{No, "the server listens nowhere: interface eth0 is gone", ""}
	if e.Verdict != "foo would not get its secret now" || e.Steps[0] != want || e.Rehearsal != "" {
		t.Errorf("%q, %+v", e.Verdict, e.Steps[0])
	}
}

func TestWhatTheServersRulesSay(t *testing.T) {
	now := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	client := dbusapi.Client{Name: "foo", KeyID: "AB", Enabled: true, Expires: now.Add(time.Hour), ApprovalDelay: time.Minute}
	const note = "allow_from is 192.0.2.0/24"
	for sentence, c := range map[string]struct {
		ruling  dbusapi.Ruling
		from    string
		verdict string
		step    Step
	}{
		"nothing against it": {dbusapi.Ruling{Rule: dbusapi.RuleAllowFrom, Verdict: dbusapi.Passes}, "",
			"foo would get its secret now", Step{Yes, "it may fetch its secret from anywhere", ""}},
		"the address is not given": {dbusapi.Ruling{Rule: dbusapi.RuleAllowFrom, Verdict: dbusapi.Depends, Note: note}, "",
			"foo would get its secret now, if it asks from where it may",
			Step{If, `it depends on its address, for allow_from is 192.0.2.0/24; see with "--from ADDRESS"`, ""}},
		"a good address": {dbusapi.Ruling{Rule: dbusapi.RuleAllowFrom, Verdict: dbusapi.Passes, Note: note}, "192.0.2.7",
			"foo would get its secret now", Step{Yes, "it may fetch its secret from 192.0.2.7, for allow_from is 192.0.2.0/24", ""}},
		"a bad address": {dbusapi.Ruling{Rule: dbusapi.RuleAllowFrom, Verdict: dbusapi.Refuses, Refusal: dbusapi.NotFromThere, Remedy: dbusapi.ToAllowFrom, Note: note}, "198.51.100.7",
			"foo would not get its secret now",
			Step{No, "it must not fetch its secret from 198.51.100.7, for allow_from is 192.0.2.0/24", "mandosctl set foo allow_from=PLACES"}},
		"on borrowed time": {dbusapi.Ruling{Rule: dbusapi.RuleBorrowed, Verdict: dbusapi.Waits, Remedy: dbusapi.ToApprove}, "",
			"foo would have to wait for approval, and then be denied unless somebody decides",
			Step{Wait, "it would have expired, but the server's own network fails or did, and so it is on borrowed time: somebody has to approve it", "mandosctl approve foo"}},
		"another with its key is disabled": {dbusapi.Ruling{Rule: dbusapi.RuleSameKey, Verdict: dbusapi.Refuses, Refusal: dbusapi.OtherIsDisabled, Remedy: dbusapi.ToMendSection, Note: "client bar has the same key"}, "",
			"foo would not get its secret now",
			Step{No, "client bar has the same key", ""}},
		"another client comes first": {dbusapi.Ruling{Rule: dbusapi.RuleKnown, Verdict: dbusapi.Refuses, Refusal: dbusapi.IsNotFound, Remedy: dbusapi.ToMendSection, Note: "its key finds client bar"}, "",
			"foo would not get its secret now", Step{No, "its key does not find it: its key finds client bar", ""}},
		"the server knows that it is disabled by now": {dbusapi.Ruling{Rule: dbusapi.RuleEnabled, Verdict: dbusapi.Refuses, Refusal: dbusapi.IsDisabled, Remedy: dbusapi.ToEnable}, "",
			"foo would not get its secret now", Step{No, "it is disabled", "mandosctl enable foo"}},
		"a rule of a later server": {dbusapi.Ruling{Rule: "moon-phase", Verdict: dbusapi.Refuses, Refusal: "moon-full", Note: "wait for the new moon", Until: now.Add(time.Hour)}, "",
			"foo would not get its secret now", Step{No, "moon phase: moon-full: wait for the new moon, for another 1h", ""}},
		"a verdict of a later server": {dbusapi.Ruling{Rule: "moon-phase", Verdict: "perhaps"}, "",
			"foo would not get its secret now", Step{No, "moon phase", ""}},
	} {
		e := Explain(&Question{Client: &client, Rulings: []dbusapi.Ruling{c.ruling}, From: c.from, Status: dbusapi.Status{Address: "192.0.2.1, ::", Port: 4711}}, now)
		if e.Verdict != c.verdict || !slices.Contains(e.Steps, c.step) {
			t.Errorf("%s: %q, want %q; steps %+v, want %+v", sentence, e.Verdict, c.verdict, e.Steps, c.step)
		}
		if !strings.Contains(e.Rehearsal, "--connect=192.0.2.1:4711 ") {
			t.Errorf("%s: rehearsed by %q", sentence, e.Rehearsal)
		}
	}
}

func TestLastRefusalsAreExplained(t *testing.T) {
	var history []dbusapi.Event
	for _, address := range []string{"1", "2", "3", "4"} {
		history = append(history, dbusapi.Event{Kind: dbusapi.Rejected, Address: address}, dbusapi.Event{Kind: dbusapi.SecretSent})
	}
	client := dbusapi.Client{Name: "foo", Enabled: true}
	e := Explain(&Question{Client: &client, History: history}, time.Now())
	if len(e.Refusals) != 3 || e.Refusals[0].Address != "2" || e.Refusals[2].Address != "4" {
		t.Errorf("refusals %+v", e.Refusals)
	}
}
