// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

// set writes a property of a client's.
func (conn *Connection) set(ctx context.Context, c Client, property string, value any) error {
	return conn.call(ctx, c.Path, PropertiesInterface+".Set", []any{ClientInterface, property, dbus.MakeVariant(value)})
}

// Enable makes a client valid again.
func (conn *Connection) Enable(ctx context.Context, c Client) error {
	return conn.set(ctx, c, "Enabled", true)
}

// Disable makes a client invalid at once.
func (conn *Connection) Disable(ctx context.Context, c Client) error {
	return conn.set(ctx, c, "Enabled", false)
}

// StartChecker starts a client's checker unless it is running.
func (conn *Connection) StartChecker(ctx context.Context, c Client) error {
	return conn.set(ctx, c, "CheckerRunning", true)
}

// StopChecker kills a client's checker; its result does not count.
func (conn *Connection) StopChecker(ctx context.Context, c Client) error {
	return conn.set(ctx, c, "CheckerRunning", false)
}

// CheckedOK vouches for a client as if a check had succeeded.
func (conn *Connection) CheckedOK(ctx context.Context, c Client) error {
	return conn.call(ctx, c.Path, ClientInterface+".CheckedOK", nil)
}

// Approve decides what becomes of the connections that wait for the client's
// approval, or come to within its approval duration.
func (conn *Connection) Approve(ctx context.Context, c Client, approve bool) error {
	return conn.call(ctx, c.Path, ClientInterface+".Approve", []any{approve})
}

// Expect plans that the client is away for d at most, without expiring.
func (conn *Connection) Expect(ctx context.Context, c Client, d time.Duration, why string) error {
	return conn.call(ctx, c.Path, ClientInterface1+".Expect", []any{uint64(d / time.Millisecond), why})
}

// EndAbsence ends a planned absence, if there is one.
func (conn *Connection) EndAbsence(ctx context.Context, c Client) error {
	return conn.call(ctx, c.Path, ClientInterface1+".EndAbsence", nil)
}

// Allow grants a client so many hand-outs: within d, or, if that is 0, whenever they are.
func (conn *Connection) Allow(ctx context.Context, c Client, times uint32, d time.Duration) error {
	return conn.call(ctx, c.Path, ClientInterface1+".Allow", []any{times, uint64(d / time.Millisecond)})
}

// ApproveAhead approves so many of a client's hand-outs in advance: within d, or, if that
// is 0, whenever they are.
func (conn *Connection) ApproveAhead(ctx context.Context, c Client, times uint32, d time.Duration) error {
	return conn.call(ctx, c.Path, ClientInterface1+".ApproveAhead", []any{times, uint64(d / time.Millisecond)})
}

// Revoke takes back what is left of a client's grants.
func (conn *Connection) Revoke(ctx context.Context, c Client) error {
	return conn.call(ctx, c.Path, ClientInterface1+".Revoke", nil)
}

// Remove takes a client out until somebody enables it.
func (conn *Connection) Remove(ctx context.Context, c Client) error {
	return conn.call(ctx, ServerPath, ServerInterface+".RemoveClient", []any{c.Path})
}

// SetSecret changes a client's secret at run time.
func (conn *Connection) SetSecret(ctx context.Context, c Client, secret []byte) error {
	return conn.set(ctx, c, "Secret", secret)
}

// SetLogLevel changes how much the server logs.
func (conn *Connection) SetLogLevel(ctx context.Context, level string) error {
	return conn.call(ctx, ServerPath, PropertiesInterface+".Set", []any{ServerInterface1, "LogLevel", dbus.MakeVariant(level)})
}

// LockDown refuses everybody from now on: for d, or, if that is 0, until somebody ends it.
func (conn *Connection) LockDown(ctx context.Context, d time.Duration, why string) error {
	return conn.call(ctx, ServerPath, ServerInterface1+".LockDown", []any{uint64(d / time.Millisecond), why})
}

// EndLockdown ends the lockdown, if one is on.
func (conn *Connection) EndLockdown(ctx context.Context) error {
	return conn.call(ctx, ServerPath, ServerInterface1+".EndLockdown", nil)
}

// Reloaded is what a reload did, by the names of clients. All is nil with a server
// that does not say.
type Reloaded struct {
	Added, Removed, Changed []string
	// Away are those whose sections have no effect, since they were removed.
	Away []string
}

// Reload has the server read its configuration again. An error says what is
// wrong with it, and nothing was changed then.
func (conn *Connection) Reload(ctx context.Context) (reloaded Reloaded, err error) {
	err = conn.call(ctx, ServerPath, ServerInterface1+".Reload", nil, &reloaded.Added, &reloaded.Removed, &reloaded.Changed, &reloaded.Away)
	return reloaded, err
}
