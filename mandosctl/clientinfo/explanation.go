// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"fmt"
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
	Would   Answer // Yes, No or Wait
	Steps   []Step
}

// Explain goes through what a hand-out to the client depends on. The clients are
// at least those that have its key.
func Explain(c *dbusapi.Client, clients []dbusapi.Client, status dbusapi.Status, now time.Time) Explanation {
	e := Explanation{Would: Yes}
	e.add(listensStep(status))
	e.add(keySteps(c, clients)...)
	e.add(secretSteps(c)...)
	e.add(validityStep(c, now))
	if c.Enabled {
		e.add(expirySteps(c, now)...)
		e.add(approvalStep(c, now))
	}
	switch {
	case e.Would == Yes && c.SecretProblem != "":
		e.Verdict = fmt.Sprintf("%s would get its secret now, but can hardly use it", c.Name)
	case e.Would == Yes:
		e.Verdict = fmt.Sprintf("%s would get its secret now", c.Name)
	case e.Would == No:
		e.Verdict = fmt.Sprintf("%s would not get its secret now", c.Name)
	case e.Would == Wait:
		e.Verdict = fmt.Sprintf("%s would have to wait for approval, and then be %s unless somebody decides", c.Name, DecisionByDefault(c))
	}
	return e
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

// add appends steps. The first that is not in favour decides.
func (e *Explanation) add(steps ...Step) {
	for _, step := range steps {
		if e.Would == Yes && (step.Answer == No || step.Answer == Wait) {
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
		if other.Name != c.Name && other.KeyID == c.KeyID && (c.KeyID != "" || other.Fingerprint == c.Fingerprint) {
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

func validityStep(c *dbusapi.Client, now time.Time) Step {
	if c.Enabled {
		return Step{Answer: Yes, Text: "it is enabled"}
	}
	text := "it is disabled"
	if c.DisabledBecause != "" {
		text = fmt.Sprintf("it was disabled %s: %s", humantime.Relative(c.DisabledSince, now), reasonOf(c.DisabledBecause).said)
	}
	return Step{Answer: No, Text: text, Command: "mandosctl enable " + quoted(c.Name)}
}

// expirySteps tells what threatens an enabled client.
func expirySteps(c *dbusapi.Client, now time.Time) []Step {
	left := Step{Answer: Yes, Text: "unless a check succeeds it expires " + humantime.Relative(c.Expires, now)}
	switch StateOf(c, now) {
	case Failing, Expiring:
		left.Answer = Note
		left.Text += "; its last check " + LastCheck(c)
		left.Command = "mandosctl check " + quoted(c.Name)
	}
	return []Step{left}
}

func approvalStep(c *dbusapi.Client, now time.Time) Step {
	switch {
	case c.DeniedUntil.After(now):
		return Step{
			Answer:  No,
			Text:    "somebody denied it, which holds for another " + humantime.Rough(c.DeniedUntil.Sub(now)),
			Command: "mandosctl approve " + quoted(c.Name),
		}
	case c.ApprovedUntil.After(now):
		return Step{Answer: Yes, Text: "somebody approved it, which holds for another " + humantime.Rough(c.ApprovedUntil.Sub(now))}
	case c.ApprovalDelay == 0:
		return Step{Answer: Yes, Text: "it needs no approval"}
	}
	text := fmt.Sprintf("it needs approval; after %s without a decision it is %s", notation.FormatDuration(c.ApprovalDelay), DecisionByDefault(c))
	if c.ApprovalPending {
		text += "; a connection waits at this moment"
	}
	return Step{Answer: Wait, Text: text, Command: "mandosctl approve " + quoted(c.Name)}
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
