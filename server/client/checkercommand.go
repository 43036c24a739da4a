// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// checkerAttributes are the names that a checker command may refer to as
// %(name)s, each with its text as Python's str() gives it (mandos-clients.conf(5),
// EXPANSION).
var checkerAttributes = map[string]func(View) string{
	"approval_delay":        func(v View) string { return pythonDuration(v.ApprovalDelay) },
	"approval_duration":     func(v View) string { return pythonDuration(v.ApprovalDuration) },
	"created":               func(v View) string { return pythonTime(v.Created) },
	"dbus_object_path":      func(v View) string { return v.ObjectPath },
	"enabled":               func(v View) string { return pythonBool(v.Enabled) },
	"expires":               func(v View) string { return pythonTime(v.Expires) },
	"fingerprint":           func(v View) string { return v.Fingerprint },
	"host":                  func(v View) string { return v.Host },
	"interval":              func(v View) string { return pythonDuration(v.Interval) },
	"key_id":                func(v View) string { return v.KeyID },
	"last_approval_request": func(v View) string { return pythonTime(v.LastApprovalRequest) },
	"last_checked_ok":       func(v View) string { return pythonTime(v.LastCheckedOK) },
	"last_enabled":          func(v View) string { return pythonTime(v.LastEnabled) },
	"name":                  func(v View) string { return v.Name },
	"timeout":               func(v View) string { return pythonDuration(v.Timeout) },
}

// expandChecker replaces each %(attribute)s by the shell-quoted attribute and
// %% by a percent sign.
func expandChecker(command string, v View) (string, error) {
	var b strings.Builder
	for rest := command; ; {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if after, ok := strings.CutPrefix(after, "%"); ok {
			b.WriteByte('%')
			rest = after
			continue
		}
		name, tail, ok := strings.Cut(after, ")s")
		name, paren := strings.CutPrefix(name, "(")
		if !ok || !paren {
			return "", fmt.Errorf("checker: a %% sign must start %%(attribute)s or be doubled (in clients.conf: %%%%(attribute)s, or %%%%%%%% for a plain %%): %s", shown("%"+after))
		}
		text, known := checkerAttributes[name]
		if !known {
			return "", fmt.Errorf("checker: unknown attribute in %s; known are %s", reference(name), strings.Join(slices.Sorted(maps.Keys(checkerAttributes)), ", "))
		}
		b.WriteString(shellQuote(text(v)))
		rest = tail
	}
}

// reference quotes a reference to a name, if that looks like one.
func reference(name string) string {
	const longest = 30
	if len(name) > longest || strings.ContainsFunc(name, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) }) {
		return shown("%(" + name + ")s")
	}
	return strconv.Quote("%(" + name + ")s")
}

// shown quotes no more than the beginning of what cannot be expanded, for a slip in
// the configuration may have put a secret there.
func shown(s string) string {
	const longest = len("%(...")
	if line, _, _ := strings.Cut(s, "\n"); len(line) > longest {
		return strconv.Quote(strings.ToValidUTF8(line[:longest], "")) + "..."
	} else if line != s {
		return strconv.Quote(line) + "..."
	}
	return strconv.Quote(s)
}

// shellQuote quotes as Python's shlex.quote does, which upstream uses.
func shellQuote(s string) string {
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"
	if s == "" {
		return "''"
	}
	if strings.Trim(s, safe) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}

// pythonDuration writes d as Python's str(timedelta) does.
func pythonDuration(d time.Duration) string {
	days := d / (24 * time.Hour)
	d %= 24 * time.Hour
	var b strings.Builder
	switch {
	case days == 1:
		b.WriteString("1 day, ")
	case days > 1:
		fmt.Fprintf(&b, "%d days, ", days)
	}
	fmt.Fprintf(&b, "%d:%02d:%02d", d/time.Hour, d/time.Minute%60, d/time.Second%60)
	if us := d / time.Microsecond % 1e6; us != 0 {
		fmt.Fprintf(&b, ".%06d", us)
	}
	return b.String()
}

func pythonTime(t time.Time) string {
	if t.IsZero() {
		return "None"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000")
}

func pythonBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
