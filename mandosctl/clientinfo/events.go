// SPDX-License-Identifier: Apache-2.0

package clientinfo

import (
	"fmt"
	"maps"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"mandos/dbusapi"
	"mandos/mandosctl/console"
)

// account is how a kind of event is told.
type account struct {
	tone console.Tone
	// say is what happened, without when and to whom.
	say func(*dbusapi.Event) string
	// toneOf, if there is one, is the tone where it depends on the event.
	toneOf func(*dbusapi.Event) console.Tone
}

// accounts are those of each kind of event.
var accounts = map[dbusapi.EventKind]account{
	dbusapi.Added:     {tone: console.Plain, say: doneBy("added")},
	dbusapi.Removed:   {tone: console.Plain, say: func(e *dbusapi.Event) string { return "removed" + by(e.By) + because(e) }},
	dbusapi.Forgotten: {tone: console.Plain, say: doneBy("forgotten")},
	dbusapi.Enabled:   {tone: console.Good, say: doneBy("enabled")},
	dbusapi.Disabled:  {toneOf: toneOfDisabled, say: func(e *dbusapi.Event) string { return "disabled" + by(e.By) + because(e) }},
	dbusapi.Changed:   {tone: console.Plain, say: func(e *dbusapi.Event) string { return "changed" + by(e.By) + ": " + changes(e) }},
	dbusapi.Vouched:   {tone: console.Plain, say: doneBy("taken as checked OK")},
	dbusapi.AbsencePlanned: {tone: console.Plain, say: func(e *dbusapi.Event) string {
		return "absence planned" + by(e.By) + note(e)
	}},
	dbusapi.CameBack:       {tone: console.Good, say: func(*dbusapi.Event) string { return "back from its planned absence" }},
	dbusapi.AbsenceOver:    {tone: console.Plain, say: func(e *dbusapi.Event) string { return "planned absence over" + ended(e) }},
	dbusapi.CheckerStarted: {tone: console.Routine, say: func(e *dbusapi.Event) string { return "check started: " + e.Command }},
	dbusapi.CheckerCompleted: {toneOf: toneOfCheck, say: func(e *dbusapi.Event) string {
		return "check " + CheckResult(e.Status, e.Signal)
	}},
	dbusapi.CheckerStopped:    {tone: console.Plain, say: doneBy("check stopped")},
	dbusapi.CheckerNotStarted: {tone: console.Bad, say: func(e *dbusapi.Event) string { return "checker could not be started: " + e.Error }},
	dbusapi.ApprovalNeeded:    {tone: console.Warning, say: func(e *dbusapi.Event) string { return "waits for approval" + place(e) }},
	dbusapi.Approved:          {tone: console.Plain, say: func(e *dbusapi.Event) string { return "approved" + by(e.By) + note(e) }},
	dbusapi.Denied:            {tone: console.Plain, say: doneBy("denied")},
	dbusapi.Allowed:           {tone: console.Plain, say: func(e *dbusapi.Event) string { return "granted its secret" + by(e.By) + note(e) }},
	dbusapi.Revoked:           {tone: console.Plain, say: func(e *dbusapi.Event) string { return "what was granted was revoked" + by(e.By) }},
	dbusapi.ApprovedAhead:     {tone: console.Plain, say: func(e *dbusapi.Event) string { return "approved in advance" + by(e.By) + note(e) }},
	dbusapi.ApprovalOver:      {tone: console.Routine, say: func(*dbusapi.Event) string { return "nobody waits for approval any more" }},
	dbusapi.SecretSent:        {tone: console.Good, say: func(e *dbusapi.Event) string { return "received its secret" + place(e) + note(e) }},
	dbusapi.SecretNotReceived: {tone: console.Warning, say: func(e *dbusapi.Event) string {
		return "did not receive its whole secret" + place(e) + ": " + e.Error + note(e)
	}},
	dbusapi.MayHaveBeenSent: {tone: console.Bad, say: func(e *dbusapi.Event) string {
		return "may have received its secret" + place(e) + ": the server ended before that was known"
	}},
	dbusapi.TwoMachines: {tone: console.Bad, say: func(e *dbusapi.Event) string { return "two machines have its key: one" + place(e) + note(e) }},
	dbusapi.NewAddress: {tone: console.Warning, say: func(e *dbusapi.Event) string {
		return "had never received its secret" + place(e) + " before"
	}},
	dbusapi.Rejected: {tone: console.Warning, say: func(e *dbusapi.Event) string {
		return "was refused its secret" + place(e) + ": " + refusal(e.Refusal) + note(e)
	}},
	dbusapi.NotFound: {tone: console.Warning, say: func(e *dbusapi.Event) string {
		return fmt.Sprintf("somebody%s came with a key that no client has: %s%s", place(e), e.Key, note(e))
	}},
	dbusapi.LockdownOn: {tone: console.Bad, say: func(e *dbusapi.Event) string {
		return "lockdown: nobody gets a secret from now on" + by(e.By) + note(e)
	}},
	dbusapi.LockdownOff: {tone: console.Good, say: func(e *dbusapi.Event) string { return "the lockdown is over" + ended(e) }},
	dbusapi.MassFailure: {tone: console.Bad, say: func(e *dbusapi.Event) string {
		return fmt.Sprintf("%d of %s have begun to fail their checks within an interval: %s", e.Failing, numberOf(e.Enabled), lookAtNetwork)
	}},
	dbusapi.MassFailureOver: {tone: console.Warning, say: func(e *dbusapi.Event) string {
		return fmt.Sprintf("no more than half of the clients fail their checks any more: %d of %d; %d have expired meanwhile", e.Failing, e.Enabled, e.Expired)
	}},
	dbusapi.UplinkFails: {tone: console.Bad, say: func(e *dbusapi.Event) string {
		text := "the server's own network does not work: the uplink check " + CheckResult(e.Status, e.Signal)
		if e.Output != "" {
			text += ": " + e.Output
		}
		return text
	}},
	dbusapi.UplinkWorks:     {tone: console.Good, say: func(*dbusapi.Event) string { return "the server's own network works again" }},
	dbusapi.BorrowsTime:     {tone: console.Warning, say: func(*dbusapi.Event) string { return "would have expired, but is on borrowed time" }},
	dbusapi.StateNotSaved:   {tone: console.Bad, say: func(e *dbusapi.Event) string { return "the server cannot save its state: " + e.Error }},
	dbusapi.StateSavedAgain: {tone: console.Good, say: func(*dbusapi.Event) string { return "the server saves its state again" }},
	dbusapi.EventsDropped: {tone: console.Warning, say: func(e *dbusapi.Event) string {
		return fmt.Sprintf("%d refusals came too fast to tell them", e.Dropped)
	}},
	dbusapi.ServerUp:   {tone: console.Plain, say: func(e *dbusapi.Event) string { return "server up: it has " + numberOf(len(e.Clients)) }},
	dbusapi.ServerDown: {tone: console.Warning, say: func(*dbusapi.Event) string { return "server down" }},
	dbusapi.BusLost:    {tone: console.Warning, say: func(e *dbusapi.Event) string { return "bus lost: " + e.Error }},
}

// accountOf is how an event is told, one of a later server's by its code.
func accountOf(e *dbusapi.Event) account {
	if told, known := accounts[e.Kind]; known {
		return told
	}
	return account{tone: console.Plain, say: func(e *dbusapi.Event) string { return string(e.Kind) + by(e.By) + because(e) }}
}

// ToneOf tells how good the news is.
func ToneOf(e *dbusapi.Event) console.Tone {
	told := accountOf(e)
	if told.toneOf != nil {
		return told.toneOf(e)
	}
	return told.tone
}

func toneOfDisabled(e *dbusapi.Event) console.Tone {
	if IsDeliberate(e.Reason) {
		return console.Plain
	}
	return console.Bad
}

func toneOfCheck(e *dbusapi.Event) console.Tone {
	if e.Status == 0 && e.Signal == 0 {
		return console.Routine
	}
	return console.Warning
}

// Sentence says what happened, without when and to whom.
func Sentence(e *dbusapi.Event) string {
	text := accountOf(e).say(e)
	if e.Times > 1 {
		return fmt.Sprintf("%s (%d times)", text, e.Times)
	}
	return text
}

// doneBy is for what is said in one way, with who did it.
func doneBy(what string) func(*dbusapi.Event) string {
	return func(e *dbusapi.Event) string { return what + by(e.By) }
}

// note is what is odd about it, if anything is.
func note(e *dbusapi.Event) string {
	if e.Note == "" {
		return ""
	}
	return "; " + e.Note
}

// by is who did it, if somebody outside the server did.
func by(a dbusapi.Actor) string {
	if a == (dbusapi.Actor{}) || a.Kind == dbusapi.Itself {
		return ""
	}
	return " by " + Who(a)
}

// because is the reason, unless naming who did it was saying it.
func because(e *dbusapi.Event) string {
	why := reasonOf(e.Reason)
	if why.said == "" || by(e.By) != "" && why.byActor {
		return ""
	}
	return ": " + why.said
}

// Who names who did something.
func Who(a dbusapi.Actor) string {
	switch {
	case a.Kind == dbusapi.FormerServer:
		return "a former server"
	case a.Kind != dbusapi.Caller:
		return string(a.Kind)
	case a.PID == 0:
		return "an unknown process, " + a.BusName
	}
	text := fmt.Sprintf("%s (pid %d)", UserName(a.UID), a.PID)
	if a.For != "" {
		text += " for " + a.For
	}
	return text
}

// UserName is the name of a user, or the number of one that has none.
func UserName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(number); err == nil {
		return found.Username
	}
	return number
}

// ended is who ended what would end by itself, or that its time was over.
func ended(e *dbusapi.Event) string {
	if who := by(e.By); who != "" {
		return ", ended" + who
	}
	return ", its time having come"
}

func place(e *dbusapi.Event) string {
	if e.Address == "" {
		return ""
	}
	return " at " + e.Address
}

// CheckResult says how a checker ended, from its exit status or the signal that
// killed it.
func CheckResult(status, signal int) string {
	switch {
	case signal != 0:
		return fmt.Sprintf("was killed by signal %d (%v)", signal, syscall.Signal(signal))
	case status == 0:
		return "succeeded"
	}
	return fmt.Sprintf("failed with exit status %d", status)
}

// changes are the settings that changed. A secret has no value to show.
func changes(e *dbusapi.Event) string {
	var all []string
	for _, setting := range slices.Sorted(maps.Keys(e.Changes)) {
		if setting == "secret" {
			all = append(all, setting)
			continue
		}
		all = append(all, setting+"="+e.Changes[setting])
	}
	return strings.Join(all, ", ")
}

func numberOf(clients int) string {
	if clients == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", clients)
}
