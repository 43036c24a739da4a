// SPDX-License-Identifier: Apache-2.0

package zeroconf

import (
	"time"

	"github.com/godbus/dbus/v5"
)

// Use makes the announcer use the bus at that address, and count in attempts how
// often it tries to connect.
func (a *Announcer) Use(address string, attempts func()) {
	a.dial = func(options ...dbus.ConnOption) (*dbus.Conn, error) {
		attempts()
		return dbus.Connect(address, options...)
	}
}

// AnswerWithin sets how long calls may take.
func (a *Announcer) AnswerWithin(d time.Duration) { a.timeout = d }

// FeelPulse sets how often Avahi is asked for a sign of life.
func (a *Announcer) FeelPulse(every time.Duration) { a.pulse = every }

// SightWithin sets how long it may take until the service can be found.
func (a *Announcer) SightWithin(d time.Duration) { a.sight = d }
