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

func tooLong(length, most int, what string) error {
	if length > most {
		return fmt.Errorf("%s is longer than %d bytes; make it shorter", what, most)
	}
	return nil
}

// judgeChecker judges the command as it is and as it would be run, with every
// attribute as long as it can be.
func judgeChecker(_ *Setting, s *Settings) error {
	if err := tooLong(len(s.Checker), MaxCommand, "the checker"); err != nil {
		return err
	}
	some := time.Unix(0, 1000)
	command, err := expandChecker(s.Checker, View{Settings: *s, ObjectPath: objectPath(s.Name) + "_0123456789abcdef", State: State{
		Created: some, LastEnabled: some, Expires: some, LastCheckedOK: some, LastApprovalRequest: some,
	}})
	if err == nil {
		err = tooLong(len(command), MaxCommand, "the checker, with its attributes expanded,")
	}
	return err
}

// Fault is a setting that cannot be as it is.
type Fault struct {
	Setting *Setting
	Err     error // says what to do
}

// Faults are the settings that cannot be as they are.
func (s *Settings) Faults() (faults []Fault) {
	for i := range AllSettings {
		d := &AllSettings[i]
		if d.fault == nil {
			continue
		}
		if err := d.fault(d, s); err != nil {
			faults = append(faults, Fault{d, err})
		}
	}
	return faults
}

// Mend takes the settings that cannot be as they are from others, and tells which.
func (s *Settings) Mend(from *Settings) (mended []Fault) {
	mended = s.Faults()
	for _, fault := range mended {
		fault.Setting.Set(s, fault.Setting.Value(from))
	}
	return mended
}
