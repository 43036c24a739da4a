// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"time"
)

// What a setting may be at most, wherever it comes from: so that it can be saved,
// shown on the bus, and be used for what it is there for.
const (
	MaxName = 255 // bytes, like the rest; also of a key ID and a fingerprint
	MaxHost = 4 << 10
	// MaxCommand is what a checker may be, as configured and after its expansion:
	// what the kernel takes as one argument (MAX_ARG_STRLEN in execve(2)), less its end.
	MaxCommand = 128<<10 - 1
	MaxSecret  = 1 << 20
	// MaxDuration is 50 years. The sum of several is a duration of Go's yet.
	MaxDuration = 50 * 364 * 24 * time.Hour
)

// ErrBadSetting is in the chain of every error about a value that a setting
// cannot have.
var ErrBadSetting = errors.New("bad setting")

// bound is a setting that has bounds.
type bound struct {
	property Property
	// judge reports what is wrong with the setting, and take copies it.
	judge func(*Settings) error
	take  func(to, from *Settings)
}

var bounds = []bound{
	{
		PropHost,
		func(s *Settings) error { return atMost(MaxHost, len(s.Host), "host") },
		func(to, from *Settings) { to.Host = from.Host },
	},
	{
		PropKeyID,
		func(s *Settings) error { return atMost(MaxName, len(s.KeyID), "key ID") },
		func(to, from *Settings) { to.KeyID = from.KeyID },
	},
	{
		PropFingerprint,
		func(s *Settings) error { return atMost(MaxName, len(s.Fingerprint), "fingerprint") },
		func(to, from *Settings) { to.Fingerprint = from.Fingerprint },
	},
	{PropChecker, judgeChecker, func(to, from *Settings) { to.Checker = from.Checker }},
	{
		PropSecret,
		func(s *Settings) error {
			if !s.Secret.Found() { // one that was saved, and so looked at before
				return nil
			}
			return atMost(MaxSecret, s.Secret.Len(), "secret")
		},
		func(to, from *Settings) { to.Secret = from.Secret },
	},
	durationBound(PropTimeout, "timeout", 0, func(s *Settings) *time.Duration { return &s.Timeout }),
	durationBound(PropExtendedTimeout, "extended timeout", 0, func(s *Settings) *time.Duration { return &s.ExtendedTimeout }),
	durationBound(PropInterval, "interval", time.Millisecond, func(s *Settings) *time.Duration { return &s.Interval }),
	durationBound(PropApprovalDelay, "approval delay", 0, func(s *Settings) *time.Duration { return &s.ApprovalDelay }),
	durationBound(PropApprovalDuration, "approval duration", 0, func(s *Settings) *time.Duration { return &s.ApprovalDuration }),
}

func atMost(most, length int, what string) error {
	if length > most {
		return fmt.Errorf("the %s is longer than %d bytes; make it shorter", what, most)
	}
	return nil
}

func durationBound(property Property, what string, least time.Duration, field func(*Settings) *time.Duration) bound {
	return bound{
		property,
		func(s *Settings) error {
			switch d := *field(s); {
			case d < least:
				return fmt.Errorf("the %s must be at least %v", what, least)
			case d > MaxDuration:
				return fmt.Errorf("the %s is longer than 50 years; make it shorter", what)
			}
			return nil
		},
		func(to, from *Settings) { *field(to) = *field(from) },
	}
}

// judgeChecker judges the command as it is and as it would be run, with every
// attribute as long as it can be.
func judgeChecker(s *Settings) error {
	if err := atMost(MaxCommand, len(s.Checker), "checker"); err != nil {
		return err
	}
	some := time.Unix(0, 1000)
	command, err := expandChecker(s.Checker, View{Settings: *s, ObjectPath: objectPath(s.Name) + "_0123456789abcdef", State: State{
		Created: some, LastEnabled: some, Expires: some, LastCheckedOK: some, LastApprovalRequest: some,
	}})
	if err == nil {
		err = atMost(MaxCommand, len(command), "checker, with its attributes expanded,")
	}
	return err
}

// Fault is a setting that cannot be as it is.
type Fault struct {
	Property Property
	Err      error // says what to do
}

// Faults are the settings that cannot be as they are.
func (s *Settings) Faults() (faults []Fault) {
	for _, b := range bounds {
		if err := b.judge(s); err != nil {
			faults = append(faults, Fault{b.property, err})
		}
	}
	return faults
}

// Mend takes the settings that cannot be as they are from others, and tells which.
func (s *Settings) Mend(from *Settings) (mended []Fault) {
	mended = s.Faults()
	for _, fault := range mended {
		for _, b := range bounds {
			if b.property == fault.Property {
				b.take(s, from)
			}
		}
	}
	return mended
}
