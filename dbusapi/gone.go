// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Gone is a client that is not there: gone from the configuration, or removed at
// run time while its section stands.
type Gone struct {
	Name        string
	KeyID       string    // upper-case hex, or empty
	Fingerprint string    // upper-case hex, or empty
	GoneSince   time.Time // zero for one that was removed and whose section stands
	// Because is why it gets nothing if its section comes back, By and Since by whom
	// and since when. They are zero if nothing is against it.
	Because     Reason
	By          Actor
	Since       time.Time
	DeniedUntil time.Time // when a denial in force ends
}

func (g *Gone) field(property string) any {
	switch property {
	case "Name":
		return &g.Name
	case "KeyID":
		return &g.KeyID
	case "Fingerprint":
		return &g.Fingerprint
	case "GoneSince":
		return &g.GoneSince
	case "Because":
		return &g.Because
	case "Since":
		return &g.Since
	case "DeniedUntil":
		return &g.DeniedUntil
	}
	return g.By.field("By", property)
}

// Gone are the clients that are not there, sorted by name. With a server that
// does not tell of them it fails with ErrNotSupported.
func (conn *Connection) Gone(ctx context.Context) ([]Gone, error) {
	var gone []Gone
	for after := ""; ; after = gone[len(gone)-1].Name {
		some, err := conn.goneAfter(ctx, after)
		if err != nil || len(some) == 0 {
			return gone, err
		}
		if some[0].Name <= after {
			return nil, errors.New("the server's list of clients that are gone is in no order")
		}
		gone = append(gone, some...)
	}
}

// goneAfter are some of the clients that are gone, from after that name on.
func (conn *Connection) goneAfter(ctx context.Context, after string) ([]Gone, error) {
	var properties []string
	var rows [][]string
	if err := conn.call(ctx, ServerPath, ServerInterface1+".ListGone", []any{after}, &properties, &rows); err != nil {
		return nil, err
	}
	gone := make([]Gone, len(rows))
	for i, row := range rows {
		if len(row) != len(properties) {
			return nil, errors.New("the server's list of clients that are gone cannot be understood")
		}
		for j, property := range properties {
			if err := setText(gone[i].field(property), row[j]); err != nil {
				return nil, fmt.Errorf("property %s: %w", property, err)
			}
		}
	}
	return gone, nil
}

// EnableNamed makes the client of that name valid again, also one that was removed
// at run time and whose section stands: it comes back. It fails with ErrRefused for one
// that has no section.
func (conn *Connection) EnableNamed(ctx context.Context, name string) error {
	return conn.call(ctx, ServerPath, ServerInterface1+".EnableClient", []any{name})
}

// Place is where the section of the client of that name is: FILE:LINE, or empty if
// there is none. With a server that does not tell it fails with ErrNotSupported.
func (conn *Connection) Place(ctx context.Context, name string) (place string, err error) {
	err = conn.call(ctx, ServerPath, ServerInterface1+".Place", []any{name}, &place)
	return place, err
}

// Forget forgets on purpose what the server knows of a client that is gone. It
// fails with ErrRefused while a section has that name or the client's key.
func (conn *Connection) Forget(ctx context.Context, name string) error {
	return conn.call(ctx, ServerPath, ServerInterface1+".Forget", []any{name})
}
