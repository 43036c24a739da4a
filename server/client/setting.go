// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"mandos/dbusapi/notation"
)

// Setting is all there is to know of one of a client's settings but its meaning. How
// it is read, saved, changed, logged, told and shown on the bus follows from this.
type Setting struct {
	// Key names it in clients.conf and to people.
	Key      string
	Property Property
	// Default is what it is without a line, written as in clients.conf.
	Default string
	// Own settings are what tells the client from others. They have no default.
	Own bool
	// Ours are those that the Python server does not have.
	Ours bool
	// Fixed ones are changed by the configuration alone.
	Fixed bool
	// in is where the setting is: a *string, *time.Duration, *bool, *int or *Secret.
	in func(*Settings) any
	// fault says what is wrong with it; nil if nothing can be.
	fault func(*Setting, *Settings) error
}

// AllSettings are the settings of a client, in the order in which they are told.
var AllSettings = []Setting{
	{
		Key: "key_id", Property: PropKeyID, Own: true, Fixed: true,
		in: func(s *Settings) any { return &s.KeyID }, fault: atMost(MaxName),
	},
	{
		Key: "fingerprint", Property: PropFingerprint, Own: true, Fixed: true,
		in: func(s *Settings) any { return &s.Fingerprint }, fault: atMost(MaxName),
	},
	{
		Key: "secret", Property: PropSecret, Own: true,
		in: func(s *Settings) any { return &s.Secret }, fault: atMost(MaxSecret),
	},
	{
		Key: "host", Property: PropHost,
		in: func(s *Settings) any { return &s.Host }, fault: atMost(MaxHost),
	},
	{
		Key: "checker", Property: PropChecker, Default: "fping -q -- %%(host)s",
		in: func(s *Settings) any { return &s.Checker }, fault: judgeChecker,
	},
	{
		Key: "timeout", Property: PropTimeout, Default: "PT5M",
		in: func(s *Settings) any { return &s.Timeout }, fault: from(0),
	},
	{
		Key: "extended_timeout", Property: PropExtendedTimeout, Default: "PT15M",
		in: func(s *Settings) any { return &s.ExtendedTimeout }, fault: from(0),
	},
	{
		Key: "interval", Property: PropInterval, Default: "PT2M",
		in: func(s *Settings) any { return &s.Interval }, fault: from(time.Millisecond),
	},
	{
		Key: "allow_from", Property: PropAllowFrom, Ours: true,
		in: func(s *Settings) any { return &s.AllowFrom }, fault: judgeAllowFromSetting,
	},
	{
		Key: "handout_limit", Property: PropHandoutLimit, Ours: true,
		in: func(s *Settings) any { return &s.HandoutLimit }, fault: judgeLimitSetting,
	},
	{
		Key: "handouts", Property: PropHandouts, Ours: true, Default: handoutsFree,
		in: func(s *Settings) any { return &s.Handouts }, fault: judgeHandoutsSetting,
	},
	{
		Key: "approval_delay", Property: PropApprovalDelay, Default: "PT0S",
		in: func(s *Settings) any { return &s.ApprovalDelay }, fault: from(0),
	},
	{
		Key: "approval_duration", Property: PropApprovalDuration, Default: "PT1S",
		in: func(s *Settings) any { return &s.ApprovalDuration }, fault: from(0),
	},
	{
		Key: "approved_by_default", Property: PropApprovedByDefault, Default: "True",
		in: func(s *Settings) any { return &s.ApprovedByDefault },
	},
	{
		Key: "approvals_needed", Property: PropApprovalsNeeded, Ours: true, Default: "1",
		in: func(s *Settings) any { return &s.ApprovalsNeeded }, fault: judgeApprovalsNeeded,
	},
	{
		Key: "record_required", Property: PropRecordRequired, Ours: true, Default: "False",
		in: func(s *Settings) any { return &s.RecordRequired },
	},
}

// SettingOf is the setting that has that property.
func SettingOf(property Property) (setting *Setting, ok bool) {
	i := slices.IndexFunc(AllSettings, func(s Setting) bool { return s.Property == property })
	if i < 0 {
		return nil, false
	}
	return &AllSettings[i], true
}

// Value is the setting as it is in s: a string, [time.Duration], bool, int or [Secret].
func (d *Setting) Value(s *Settings) any {
	switch in := d.in(s).(type) {
	case *string:
		return *in
	case *time.Duration:
		return *in
	case *bool:
		return *in
	case *int:
		return *in
	case *Secret:
		return *in
	}
	panic("client: the setting " + d.Key + " is of a type that settings do not have")
}

// Set puts a value of the type that Value has into s.
func (d *Setting) Set(s *Settings, value any) {
	switch in := d.in(s).(type) {
	case *string:
		*in = value.(string)
	case *time.Duration:
		*in = value.(time.Duration)
	case *bool:
		*in = value.(bool)
	case *int:
		*in = value.(int)
	case *Secret:
		*in = value.(Secret)
	}
}

// put is Set, and adds the setting to those that changed if it did.
func (d *Setting) put(s *Settings, value any, changed []Property) []Property {
	if d.Value(s) == value {
		return changed
	}
	d.Set(s, value)
	return append(changed, d.Property)
}

// Field is where the setting is in s, for decoders: a pointer to its value.
func (d *Setting) Field(s *Settings) any { return d.in(s) }

// Parse reads the setting as clients.conf has it. Its error completes a sentence that
// begins with the text. A secret is not read so.
func (d *Setting) Parse(s *Settings, text string) (err error) {
	switch in := d.in(s).(type) {
	case *string:
		*in = text
	case *time.Duration:
		*in, err = notation.ParseDuration(text)
	case *bool:
		*in, err = notation.ParseBool(text)
	case *int:
		*in, err = notation.ParseCount(text)
	}
	return err
}

// Text is the setting as it is in s, written as in clients.conf. Of a secret it is
// nothing.
func (d *Setting) Text(s *Settings) string {
	switch in := d.in(s).(type) {
	case *string:
		return *in
	case *time.Duration:
		return notation.FormatDuration(*in)
	case *bool:
		return notation.FormatBool(*in)
	case *int:
		return strconv.Itoa(max(*in, 1))
	}
	return ""
}

// atMost bounds a text or a secret, in bytes.
func atMost(most int) func(*Setting, *Settings) error {
	return func(d *Setting, s *Settings) error {
		length := 0
		switch in := d.in(s).(type) {
		case *string:
			length = len(*in)
		case *Secret:
			if !in.Found() { // it was saved, and so looked at before
				return nil
			}
			length = in.Len()
		}
		return tooLong(length, most, "the "+d.Key)
	}
}

// from bounds a duration.
func from(least time.Duration) func(*Setting, *Settings) error {
	return func(d *Setting, s *Settings) error {
		switch value := *d.in(s).(*time.Duration); {
		case value == 0 && least > 0:
			return fmt.Errorf("the %s is no time at all, and checkers cannot be started without a pause; write for example PT2M", d.Key)
		case value < least:
			return fmt.Errorf("the %s must be at least %v", d.Key, least)
		case value > MaxDuration:
			return fmt.Errorf("the %s is longer than 50 years; make it shorter", d.Key)
		}
		return nil
	}
}
