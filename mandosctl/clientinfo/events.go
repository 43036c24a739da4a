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
	"time"

	"mandos/dbusapi"
	"mandos/dbusapi/notation"
	"mandos/mandosctl/console"
)

// Kinds of what happens to the server as a whole, of which no server tells.
const (
	ServerUp   dbusapi.HappeningKind = "server up" // Reason
	ServerDown dbusapi.HappeningKind = "server down"
	BusLost    dbusapi.HappeningKind = "bus lost" // Reason
)

// ToneOf tells how good the news is.
func ToneOf(h *dbusapi.Happening) console.Tone {
	switch h.Kind {
	case dbusapi.CheckStarted, dbusapi.ApprovalOver:
		return console.Routine
	case dbusapi.CheckCompleted:
		if h.Status == 0 && h.Signal == 0 {
			return console.Routine
		}
		return console.Warning
	case dbusapi.SecretSent, dbusapi.WasEnabled, dbusapi.StateSavedAgain:
		return console.Good
	case ServerDown, BusLost, dbusapi.ApprovalNeeded, dbusapi.SecretNotReceived, dbusapi.WasRejected, dbusapi.KeyNotFound, dbusapi.HappeningsLeftUntold:
		return console.Warning
	case dbusapi.WasDisabled:
		if h.By != "server" {
			return console.Plain
		}
		return console.Bad
	case dbusapi.CheckNotStarted, dbusapi.StateNotSaved:
		return console.Bad
	}
	return console.Plain
}

// Sentence says what happened, without when and to whom.
func Sentence(h *dbusapi.Happening) string {
	if h.Times > 1 {
		return fmt.Sprintf("%s (%d times)", what(h), h.Times)
	}
	return what(h)
}

func what(h *dbusapi.Happening) string {
	switch h.Kind {
	case dbusapi.WasDisabled, dbusapi.WasRemoved:
		return string(h.Kind) + actor(h) + because(h)
	case dbusapi.WasChanged:
		return "changed" + actor(h) + ": " + changes(h)
	case dbusapi.WasVouchedFor:
		return "taken as checked OK" + actor(h)
	case dbusapi.CheckStarted:
		return "check started: " + h.Command
	case dbusapi.CheckCompleted:
		return "check " + result(h)
	case dbusapi.CheckStopped:
		return "check stopped" + actor(h)
	case dbusapi.CheckNotStarted:
		return "checker could not be started: " + h.Error
	case dbusapi.ApprovalNeeded:
		return "waits for approval" + place(h)
	case dbusapi.ApprovalOver:
		return "nobody waits for approval any more"
	case dbusapi.SecretSent:
		return "received its secret" + place(h) + note(h)
	case dbusapi.SecretNotReceived:
		return "did not receive its whole secret" + place(h) + ": " + h.Error
	case dbusapi.WasRejected:
		return "was refused its secret" + place(h) + ": " + h.Reason
	case dbusapi.KeyNotFound:
		return fmt.Sprintf("somebody%s came with a key that no client has: %s%s", place(h), h.Key, note(h))
	case dbusapi.StateNotSaved:
		return "the server cannot save its state: " + h.Error
	case dbusapi.StateSavedAgain:
		return "the server saves its state again"
	case dbusapi.HappeningsLeftUntold:
		return fmt.Sprintf("%d refusals came too fast to tell them", h.Dropped)
	}
	return string(h.Kind) + actor(h) + because(h)
}

// note is what is odd about it, if anything is.
func note(h *dbusapi.Happening) string {
	if h.Note == "" {
		return ""
	}
	return "; " + h.Note
}

// actor is who did it, if somebody outside the server did.
func actor(h *dbusapi.Happening) string {
	if h.By == "" || h.By == "server" {
		return ""
	}
	return " by " + Who(h.By)
}

// because is the reason, unless naming who did it was saying it.
func because(h *dbusapi.Happening) string {
	if h.Reason == "" || actor(h) != "" && strings.HasPrefix(h.Reason, "by ") {
		return ""
	}
	return ": " + h.Reason
}

// Who names the user behind "uid N, pid N".
func Who(by string) string {
	var uid, pid uint32
	if n, err := fmt.Sscanf(by, "uid %d, pid %d", &uid, &pid); n < 2 || err != nil {
		return by
	}
	return fmt.Sprintf("%s (pid %d)", UserName(uid), pid)
}

// UserName is the name of a user, or the number of one that has none.
func UserName(uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	if found, err := user.LookupId(number); err == nil {
		return found.Username
	}
	return number
}

func place(h *dbusapi.Happening) string {
	if h.Address == "" {
		return ""
	}
	return " at " + h.Address
}

func result(h *dbusapi.Happening) string { return CheckResult(h.Status, h.Signal) }

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

// changes are the settings that changed, named as in clients.conf.
func changes(h *dbusapi.Happening) string {
	var all []string
	for _, property := range slices.Sorted(maps.Keys(h.Values)) {
		if property == "Secret" {
			all = append(all, "secret")
			continue
		}
		all = append(all, settingName(property)+"="+settingValue(property, h.Values[property]))
	}
	return strings.Join(all, ", ")
}

// settingName turns a property's name into that of the setting: ApprovalDelay
// into approval_delay.
func settingName(property string) string {
	var b strings.Builder
	for i, r := range property {
		if r >= 'A' && r <= 'Z' && i > 0 && (property[i-1] < 'A' || property[i-1] > 'Z') {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

func settingValue(property, text string) string {
	switch property {
	case "Timeout", "ExtendedTimeout", "Interval", "ApprovalDelay", "ApprovalDuration":
		if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
			return notation.FormatDuration(time.Duration(ms) * time.Millisecond)
		}
	}
	return text
}

// HappeningOf makes what is told of an event, if anything is.
func HappeningOf(e dbusapi.Event) (dbusapi.Happening, bool) {
	switch e.Kind {
	case dbusapi.Happened:
		return e.Happening, true
	case dbusapi.ServerUp:
		return dbusapi.Happening{Kind: ServerUp, Time: e.Time, Reason: numberOf(len(e.Clients))}, true
	case dbusapi.ServerDown:
		return dbusapi.Happening{Kind: ServerDown, Time: e.Time}, true
	case dbusapi.BusLost:
		return dbusapi.Happening{Kind: BusLost, Time: e.Time, Reason: e.Reason}, true
	}
	return dbusapi.Happening{}, false
}

func numberOf(clients int) string {
	if clients == 1 {
		return "it has 1 client"
	}
	return fmt.Sprintf("it has %d clients", clients)
}
