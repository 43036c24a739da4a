// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"errors"
	"time"
)

// The waits between attempts to reach the bus again: twice as long each time.
const (
	firstRetry   = 200 * time.Millisecond
	longestRetry = 10 * time.Second
)

// connectTimeout bounds one attempt.
const connectTimeout = 10 * time.Second

// Follow tells of every event, through restarts of the server and of the bus, until
// ctx ends or tell returns an error, which it returns. The first connection must
// succeed; with patient, it is waited for too. With names, of the clients only those of
// these names are asked for and heard of.
func Follow(ctx context.Context, address string, patient bool, names []string, tell func(*Connection, Event) error) error {
	wait, lost := firstRetry, false
	for {
		heard, err := followOnce(ctx, address, names, tell)
		var enough *tellError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &enough):
			return enough.error
		case errors.Is(err, ErrNoPermission), !heard && !patient:
			return err
		}
		if heard {
			patient, wait, lost = true, firstRetry, false
		}
		if !lost {
			lost = true
			if err := tell(nil, Event{Kind: BusLost, Time: time.Now(), Error: err.Error()}); err != nil {
				return err
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, longestRetry)
	}
}

// tellError is an error of the one who is told.
type tellError struct{ error }

// followOnce follows on one connection, and reports whether it heard anything on it.
func followOnce(ctx context.Context, address string, names []string, tell func(*Connection, Event) error) (heard bool, err error) {
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	server, err := Connect(connecting, address)
	if err != nil {
		return false, err
	}
	defer server.Close()
	for event, err := range server.Watch(ctx, names...) {
		if err != nil {
			return heard, err
		}
		heard = true
		if err := tell(server, event); err != nil {
			return heard, &tellError{err}
		}
	}
	return heard, ctx.Err()
}
