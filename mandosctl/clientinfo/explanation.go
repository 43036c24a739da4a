// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
	"mandos/mandosctl/humantime"
)

// Answer is what a step says to a hand-out.
type Answer string

// The answers.
const (
	Yes  Answer = "yes"
	No   Answer = "no"
	Wait Answer = "wait" // a person is asked
	If   Answer = "if"   // it depends on the address
	Note Answer = "note" // nothing now, but somebody should know
)

// Step is one thing that a hand-out depends on.
type Step struct {
	Answer  Answer
	Text    string
	Command string // changes it; may be empty
}

// Explanation is all steps with what they come to.
type Explanation struct {
	Verdict string
	Would   Answer // Yes, No, Wait or If
	Steps   []Step
	// Rulings are what the server said, of which the steps are made.
	Rulings []dbusapi.Ruling
	// Refusals are the last ones, the oldest first.
	Refusals []dbusapi.Event
	// Rehearsal is the command by which the host itself tries it; empty if there is
	// nothing to try.
	Rehearsal string
}

// Question is what a client's getting its secret is explained from.
type Question struct {
	Client *dbusapi.Client
	// Sharing are at least the clients that have its key.
	Sharing []dbusapi.Client
	// Rulings are the server's. Without any, of a server that tells none, they are
	// worked out from the client's properties.
	Rulings []dbusapi.Ruling
	// From is the address that the rulings are about; empty for any.
	From    string
	History []dbusapi.Event
	Status  dbusapi.Status
}

// Explain goes through what a hand-out to the client depends on.
func Explain(q *Question, now time.Time) Explanation {
	c := q.Client
	e := Explanation{Would: Yes, Rulings: q.Rulings, Refusals: lastRefusals(q.History), Rehearsal: rehearsal(q.Status)}
	if e.Rulings == nil {
		e.Rulings = assumed(c, now)
	}
	e.add(listensStep(q.Status))
	e.add(keySteps(c, q.Sharing)...)
	e.add(secretSteps(c)...)
	for i := range e.Rulings {
		e.add(rulingSteps(&e.Rulings[i], q, now)...)
	}
	e.Verdict = c.Name + verdicts[e.Would]
	switch {
	case e.Would == Yes && c.SecretProblem != "":
		e.Verdict += ", but can hardly use it"
	case e.Would == Wait:
		e.Verdict += fmt.Sprintf(", and then be %s unless somebody decides", DecisionByDefault(c))
	}
	return e
}

// verdicts are how each begins, after the client's name.
var verdicts = map[Answer]string{
	Yes:  " would get its secret now",
	No:   " would not get its secret now",
	Wait: " would have to wait for approval",
	If:   " would get its secret now, if it asks from where it may",
}

// ExplainGone tells what would become of a client that is not there, whose section, if
// there is one, is at that place.
func ExplainGone(g *dbusapi.Gone, place string, now time.Time) Explanation {
	e := Explanation{Would: Yes, Verdict: fmt.Sprintf("%s would not get its secret now, for it is gone", g.Name)}
	why := WhyGone(g, now)
	switch {
	case g.GoneSince.IsZero():
		text := "its section stands, and has no effect, for it was " + why
		if place != "" {
			text = "its section, at " + place + ", has no effect, for it was " + why
		}
		e.add(Step{Answer: No, Text: text, Command: "mandosctl enable " + quoted(g.Name)})
		return e
	case why == "":
		e.add(Step{Answer: No, Text: "its section is gone since " + humantime.Relative(g.GoneSince, now)},
			Step{Answer: Yes, Text: "nothing is against it: it is let in again when its section comes back"})
	default:
		e.add(Step{Answer: No, Text: "its section is gone since " + humantime.Relative(g.GoneSince, now)},
			Step{Answer: No, Text: "it was " + why + ", and is refused if its section comes back, or its key under another name, until somebody enables it then",
				Command: "mandosctl forget " + quoted(g.Name)})
	}
	if g.DeniedUntil.After(now) {
		e.add(Step{Answer: No, Text: "somebody denied it, which holds for another " + humantime.Rough(g.DeniedUntil.Sub(now))})
	}
	return e
}

// weights are those of the answers that count, the heavier the worse.
var weights = map[Answer]int{If: 1, Wait: 2, No: 3}

// add appends steps. The worst answer decides.
func (e *Explanation) add(steps ...Step) {
	for _, step := range steps {
		if weights[step.Answer] > weights[e.Would] {
			e.Would = step.Answer
		}
		e.Steps = append(e.Steps, step)
	}
}

func listensStep(status dbusapi.Status) Step {
	if status.Address == "" {
		return Step{Answer: No, Text: "the server listens nowhere: " + status.ListenProblem}
	}
	text := fmt.Sprintf("the server listens on %s, port %d", status.Address, status.Port)
	if status.Interface != "" {
		text += ", of interface " + status.Interface
	}
	return Step{Answer: Yes, Text: text}
}

func keySteps(c *dbusapi.Client, clients []dbusapi.Client) []Step {
	const what = "the client proves its key with TLS, which must have the "
	step := Step{Answer: Yes, Text: what + "key ID " + c.KeyID}
	if c.KeyID == "" {
		step.Text = what + "fingerprint " + c.Fingerprint
	}
	steps := []Step{step}
	var same []string
	for i := range clients {
		other := &clients[i]
		if other.Name != c.Name && identity(other.KeyID, other.Fingerprint) == identity(c.KeyID, c.Fingerprint) {
			same = append(same, other.Name)
		}
	}
	if len(same) > 0 {
		steps = append(steps, Step{
			Answer: Note,
			Text:   "the same key is that of " + strings.Join(same, ", ") + " too; the first of them in the configuration is served",
		})
	}
	return steps
}

// secretSteps warns of one that the client can do nothing with, or that is none.
func secretSteps(c *dbusapi.Client) []Step {
	if c.SecretProblem == "" {
		return nil
	}
	return []Step{{Answer: Note, Text: "what it would get can hardly be meant: " + c.SecretProblem, Command: "mandosctl secret " + quoted(c.Name) + " FILE"}}
}

// answers are those of the verdicts. What a later server says is not taken for a yes.
var answers = map[dbusapi.Verdict]Answer{dbusapi.Passes: Yes, dbusapi.Refuses: No, dbusapi.Waits: Wait, dbusapi.Depends: If}

func answerOf(verdict dbusapi.Verdict) Answer {
	if answer, known := answers[verdict]; known {
		return answer
	}
	return No
}

// rulingSteps tell of one ruling.
func rulingSteps(r *dbusapi.Ruling, q *Question, now time.Time) []Step {
	step := Step{Answer: answerOf(r.Verdict), Command: remedyOf(r, q.Client.Name)}
	switch r.Rule {
	case dbusapi.RuleLockdown:
		if step.Answer == Yes { // as ever
			return nil
		}
		step.Text = LockdownInWords(q.Status.Lockdown, now)
	case dbusapi.RuleKnown:
		if step.Answer == Yes { // which the step of the key says
			return nil
		}
		step.Text = "its key does not find it: " + r.Note
	case dbusapi.RuleEnabled:
		step.Text = validity(q.Client, step.Answer, now)
		if step.Answer == Yes {
			return append([]Step{step}, expirySteps(q.Client, now)...)
		}
	case dbusapi.RuleSameKey:
		if step.Answer == Yes { // what is odd about it the step of the key says
			return nil
		}
		step.Text = r.Note
	case dbusapi.RuleBorrowed:
		if step.Answer == Yes && !q.Client.OnBorrowedTime { // as ever
			return nil
		}
		step.Text = borrowedInWords(r, now)
	case dbusapi.RuleAllowFrom:
		step.Text = placeInWords(r, q.From)
	case dbusapi.RuleLimit:
		if step.Answer == Yes && r.Note == "" {
			return nil
		}
		step.Text = limitInWords(r, now)
	case dbusapi.RuleGrant:
		if step.Answer == Yes && r.Note == "" {
			return nil
		}
		step.Text = grantInWords(r, q.Client, now)
	case dbusapi.RuleRecord:
		if step.Answer == Yes { // as ever
			return nil
		}
		step.Text = "the server cannot save its state, and record_required says that every hand-out is to be on record before: see mandosctl status"
	case dbusapi.RuleApproval:
		step.Text = approvalOf(r, q.Client, now)
	default:
		step.Text = otherRule(r, now)
	}
	return []Step{step}
}

// otherRule tells of a rule without words of its own, such as a later server's.
func otherRule(r *dbusapi.Ruling, now time.Time) string {
	text := strings.ReplaceAll(string(r.Rule), "-", " ")
	for _, more := range []string{refusal(r.Refusal), r.Note} {
		if more != "" {
			text += ": " + more
		}
	}
	if r.Until.After(now) {
		text += ", for another " + humantime.Rough(r.Until.Sub(now))
	}
	return text
}

// remedyOf is the command that changes a ruling.
func remedyOf(r *dbusapi.Ruling, name string) string {
	switch r.Remedy {
	case dbusapi.ToEndLockdown:
		return "mandosctl lockdown off"
	case dbusapi.ToEnable:
		return "mandosctl enable " + quoted(name)
	case dbusapi.ToApprove:
		return "mandosctl approve " + quoted(name)
	case dbusapi.ToSetLimit:
		return "mandosctl set " + quoted(name) + " handout_limit=TIMES/DURATION"
	case dbusapi.ToAllow:
		return "mandosctl allow " + quoted(name)
	case dbusapi.ToAllowFrom:
		return "mandosctl set " + quoted(name) + " allow_from=PLACES"
	}
	return ""
}

// assumed are the rulings of a server that does not tell them.
func assumed(c *dbusapi.Client, now time.Time) []dbusapi.Ruling {
	enabled := dbusapi.Ruling{Rule: dbusapi.RuleEnabled, Verdict: dbusapi.Passes}
	if !c.Enabled {
		enabled.Verdict, enabled.Refusal, enabled.Remedy = dbusapi.Refuses, dbusapi.IsDisabled, dbusapi.ToEnable
	}
	approval := dbusapi.Ruling{Rule: dbusapi.RuleApproval, Verdict: dbusapi.Passes}
	switch {
	case c.DeniedUntil.After(now):
		approval.Verdict, approval.Refusal, approval.Remedy, approval.Until = dbusapi.Refuses, dbusapi.WasDenied, dbusapi.ToApprove, c.DeniedUntil
	case c.ApprovedUntil.After(now):
		approval.Until = c.ApprovedUntil
	case c.ApprovalDelay > 0:
		approval.Verdict, approval.Remedy = dbusapi.Waits, dbusapi.ToApprove
	}
	return []dbusapi.Ruling{enabled, approval}
}

func validity(c *dbusapi.Client, answer Answer, now time.Time) string {
	switch {
	case answer == Yes:
		return "it is enabled"
	case c.DisabledBecause != "":
		return fmt.Sprintf("it was disabled %s: %s", humantime.Relative(c.DisabledSince, now), reasonOf(c.DisabledBecause).said)
	}
	return "it is disabled"
}

// limitInWords tells of the ruling on how often it gets its secret.
func limitInWords(r *dbusapi.Ruling, now time.Time) string {
	switch {
	case r.Verdict == dbusapi.Passes:
		return "it has not got it too often, for " + r.Note
	case r.Until.After(now):
		return "it has got it too often, for " + r.Note + ", which holds for another " + humantime.Rough(r.Until.Sub(now))
	}
	return "it has got it too often, for " + r.Note
}

// grantInWords tells of the ruling on grants.
func grantInWords(r *dbusapi.Ruling, c *dbusapi.Client, now time.Time) string {
	if r.Verdict != dbusapi.Passes {
		return "nobody has granted it a hand-out, and " + r.Note
	}
	return "somebody has granted it " + Allowed(c, now)
}

// approvedAhead tells how much is approved in advance.
func approvedAhead(c *dbusapi.Client, now time.Time) string {
	return counted(c.ApprovalsAhead, c.ApprovedAheadUntil, now)
}

// Allowed tells what is left of a client's grants.
func Allowed(c *dbusapi.Client, now time.Time) string {
	return counted(c.HandoutsAllowed, c.AllowedUntil, now)
}

// counted is so many hand-outs until then, if there is an end.
func counted(handouts int, until, now time.Time) string {
	left := "1 hand-out"
	if handouts != 1 {
		left = fmt.Sprintf("%d hand-outs", handouts)
	}
	if until.After(now) {
		left += ", for another " + humantime.Rough(until.Sub(now))
	}
	return left
}

// borrowedInWords tells of the ruling on one that is on borrowed time.
func borrowedInWords(r *dbusapi.Ruling, now time.Time) string {
	text := "it would have expired, but the server's own network fails or did, and so it is on borrowed time"
	switch r.Verdict {
	case dbusapi.Passes:
		return text + "; somebody approved it, which holds for another " + humantime.Rough(r.Until.Sub(now))
	case dbusapi.Waits:
		return text + ": somebody has to approve it"
	}
	return text
}

// placeInWords tells of the ruling on the address.
func placeInWords(r *dbusapi.Ruling, from string) string {
	switch {
	case r.Verdict == dbusapi.Passes && r.Note == "":
		return "it may fetch its secret from anywhere"
	case r.Verdict == dbusapi.Depends:
		return "it depends on its address, for " + r.Note + `; see with "--from ADDRESS"`
	case r.Verdict == dbusapi.Passes:
		return "it may fetch its secret from " + from + ", for " + r.Note
	}
	return "it must not fetch its secret from " + from + ", for " + r.Note
}

// expirySteps tells what threatens an enabled client.
func expirySteps(c *dbusapi.Client, now time.Time) []Step {
	left := Step{Answer: Yes, Text: "unless a check succeeds it expires " + humantime.Relative(c.Expires, now)}
	if c.AbsenceUntil.After(now) {
		left.Text = "its absence is planned, " + AbsenceInWords(c, now) + "; " + left.Text
	}
	switch StateOf(c, now) {
	case Failing, Expiring:
		left.Answer = Note
		left.Text += "; its last check " + LastCheck(c)
		left.Command = "mandosctl check " + quoted(c.Name)
	}
	return []Step{left}
}

// approvalOf tells of the ruling on approval.
func approvalOf(r *dbusapi.Ruling, c *dbusapi.Client, now time.Time) string {
	left := humantime.Rough(r.Until.Sub(now))
	switch {
	case r.Verdict == dbusapi.Passes && c.ApprovalsAhead > 0:
		return "it is approved in advance, for " + approvedAhead(c, now)
	case r.Verdict == dbusapi.Refuses:
		return "somebody denied it, which holds for another " + left
	case r.Verdict == dbusapi.Passes && !r.Until.IsZero():
		return "somebody approved it, which holds for another " + left
	case r.Verdict == dbusapi.Passes:
		return "it needs no approval"
	}
	if c.ApprovalsNeeded > 1 {
		return fmt.Sprintf("it needs the approval of %d people while it waits, and has %s; after %s without that it is denied",
			c.ApprovalsNeeded, r.Note, notation.FormatDuration(c.ApprovalDelay))
	}
	text := fmt.Sprintf("it needs approval; after %s without a decision it is %s", notation.FormatDuration(c.ApprovalDelay), DecisionByDefault(c))
	if c.ApprovalPending {
		text += "; a connection waits at this moment"
	}
	return text
}

// lastRefusals are those among what happened last.
func lastRefusals(history []dbusapi.Event) (refusals []dbusapi.Event) {
	const most = 3
	for _, e := range history {
		if e.Kind == dbusapi.Rejected {
			refusals = append(refusals, e)
		}
	}
	return refusals[max(0, len(refusals)-most):]
}

// rehearsal is how the host fetches its secret by hand, without showing it: as its
// initial RAM disk does, by mandos-client(8mandos), with the keys that mandos-keygen(8)
// has made.
func rehearsal(status dbusapi.Status) string {
	if status.Address == "" {
		return ""
	}
	address := "IP-ADDRESS-OF-THE-SERVER" // whichever the host reaches; mandos-client takes no name
	if first, err := netip.ParseAddr(strings.Split(status.Address, ", ")[0]); err == nil && !first.IsUnspecified() && !first.IsLinkLocalUnicast() {
		address = first.String()
	}
	const keys = "/etc/keys/mandos/"
	return fmt.Sprintf("/usr/lib/*/mandos/plugins.d/mandos-client --connect=%s:%d --interface=none --pubkey=%spubkey.txt --seckey=%sseckey.txt "+
		"--tls-pubkey=%stls-pubkey.pem --tls-privkey=%stls-privkey.pem >/dev/null && echo it has its secret", address, status.Port, keys, keys, keys, keys)
}

// quoted writes a name as a shell takes it.
func quoted(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/:@", r)
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
