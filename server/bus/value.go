// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"math"
	"reflect"
	"time"

	"mandos/dbusapi"
	"mandos/server/client"
)

// What a caller writes is taken in any type that can mean it: mandos-ctl
// writes durations as INT32, though their type is UINT64.

// duration takes a number of milliseconds in any integer type, or a double.
func duration(name string, value any) (time.Duration, error) {
	const most = int64(client.MaxDuration / time.Millisecond)
	v := reflect.ValueOf(value)
	switch {
	case v.CanInt() && v.Int() >= 0 && v.Int() <= most:
		return time.Duration(v.Int()) * time.Millisecond, nil
	case v.CanUint() && v.Uint() <= uint64(most):
		return time.Duration(v.Uint()) * time.Millisecond, nil
	case v.CanFloat() && v.Float() >= 0 && v.Float() < float64(most):
		return time.Duration(v.Float()) * time.Millisecond, nil
	}
	return 0, errorf(dbusapi.ErrorInvalidArgs, "%s must be a number of milliseconds from 0 to %d", name, most)
}

// truth takes a boolean, or an integer that is not 0 for true.
func truth(name string, value any) (bool, error) {
	v := reflect.ValueOf(value)
	switch {
	case v.Kind() == reflect.Bool:
		return v.Bool(), nil
	case v.CanInt():
		return v.Int() != 0, nil
	case v.CanUint():
		return v.Uint() != 0, nil
	}
	return false, errorf(dbusapi.ErrorInvalidArgs, "%s must be a boolean", name)
}

// count takes a number of things of which there is at least one.
func count(name string, value any) (int, error) {
	v := reflect.ValueOf(value)
	switch {
	case v.CanInt() && v.Int() >= 1 && v.Int() <= math.MaxInt32:
		return int(v.Int()), nil
	case v.CanUint() && v.Uint() >= 1 && v.Uint() <= math.MaxInt32:
		return int(v.Uint()), nil
	}
	return 0, errorf(dbusapi.ErrorInvalidArgs, "%s must be a number from 1 to %d", name, math.MaxInt32)
}

func text(name string, value any) (string, error) {
	if s, ok := value.(string); ok {
		return s, nil
	}
	return "", errorf(dbusapi.ErrorInvalidArgs, "%s must be a string", name)
}

func secret(name string, value any) (client.Secret, error) {
	if b, ok := value.([]byte); ok {
		return client.NewSecret(b), nil
	}
	return client.Secret{}, errorf(dbusapi.ErrorInvalidArgs, "%s must be an array of bytes", name)
}
