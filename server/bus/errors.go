// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
)

// ErrBadConfiguration is in front of the error of a Daemon's Reload that could not
// read the configuration, which has a line for each mistake.
var ErrBadConfiguration = errors.New("bad configuration")

// errorf makes the answer to a call that fails.
func errorf(name, format string, args ...any) *dbus.Error {
	return dbus.NewError(name, []any{validText(fmt.Sprintf(format, args...))})
}

// asDBusError gives an error the name that a caller can tell it by.
func asDBusError(err error) error {
	if err == nil {
		return nil
	}
	var answer *dbus.Error
	var noClient *client.NoClientError
	var noSection *client.NoSectionError
	var stillThere *client.StillThereError
	var overtaken *client.OvertakenError
	var notEnabled *client.NotEnabledError
	switch {
	case errors.As(err, &answer):
		return answer
	case errors.As(err, &noClient):
		return errorf(dbusapi.ErrorUnknownObject, "%v", err)
	case errors.Is(err, client.ErrBadSetting):
		return errorf(dbusapi.ErrorInvalidArgs, "%v", err)
	case errors.As(err, &noSection), errors.As(err, &stillThere), errors.As(err, &overtaken), errors.As(err, &notEnabled):
		return errorf(dbusapi.ErrorRefused, "%v", err)
	case errors.Is(err, ErrBadConfiguration):
		return errorf(dbusapi.ErrorBadConfiguration, "%s", strings.TrimPrefix(err.Error(), ErrBadConfiguration.Error()+": "))
	case errors.Is(err, context.DeadlineExceeded):
		return errorf(dbusapi.ErrorTimeout, "%v", err)
	}
	return errorf(dbusapi.ErrorFailed, "%v", err)
}
