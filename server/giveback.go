// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"mandos/server/config"
	"mandos/server/state"
)

// giveBack writes the state as the Python server reads it.
func giveBack(options *config.Options, out io.Writer) error {
	s, err := load(options)
	if err != nil {
		return err
	}
	given, err := state.GiveBack(s.StateDir)
	switch {
	case errors.Is(err, state.ErrInUse):
		return fmt.Errorf("%w: systemctl stop mandos", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no state to give back: %w", err)
	case err != nil:
		return err
	}
	fmt.Fprintf(out, "%s: %s, %d of them disabled\n", given.Path, counted(given.Clients, "client"), given.Disabled)
	if given.Lockdown {
		fmt.Fprintln(out, "there is a lockdown, which the Python server does not know: all clients are disabled instead")
	}
	return nil
}
