// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/godbus/dbus/v5"
)

// Clients are all clients, sorted by name.
func (conn *Connection) Clients(ctx context.Context) ([]Client, error) {
	l, err := conn.clientsOf(ctx, BusName)
	return l.clients, err
}

// page is how many clients are asked for at once.
const page = 1000

// Names are the names of all clients, sorted.
func (conn *Connection) Names(ctx context.Context) ([]string, error) {
	names, _, err := conn.namesOf(ctx, BusName)
	if errors.Is(err, ErrNotSupported) {
		clients, _, err := conn.managedClients(ctx, BusName)
		return namesOf(clients), err
	}
	return names, err
}

// NamesWithKey are the names of the clients that have the key ID or the fingerprint,
// either of which may be empty.
func (conn *Connection) NamesWithKey(ctx context.Context, keyID, fingerprint string) (names []string, err error) {
	err = conn.call(ctx, ServerPath, ServerInterface1+".ListNamesWithKey", []any{keyID, fingerprint}, &names)
	if !errors.Is(err, ErrNotSupported) {
		return names, err
	}
	clients, _, err := conn.managedClients(ctx, BusName)
	clients = slices.DeleteFunc(clients, func(c Client) bool {
		return (keyID == "" || c.KeyID != keyID) && (fingerprint == "" || c.Fingerprint != fingerprint)
	})
	return namesOf(clients), err
}

// ClientsNamed are the clients of those names, in their order, without those that
// there are not. It costs the same whatever other clients there are.
func (conn *Connection) ClientsNamed(ctx context.Context, names []string) ([]Client, error) {
	clients, _, err := conn.getClients(ctx, BusName, names)
	if !errors.Is(err, ErrNotSupported) {
		return clients, err
	}
	all, _, err := conn.managedClients(ctx, BusName)
	clients = nil
	for _, name := range names {
		if i := slices.IndexFunc(all, func(c Client) bool { return c.Name == name }); i >= 0 {
			clients = append(clients, all[i])
		}
	}
	return clients, err
}

func namesOf(clients []Client) []string {
	names := make([]string, len(clients))
	for i := range clients {
		names[i] = clients[i].Name
	}
	slices.Sort(names)
	return names
}

// listing are clients, sorted by name.
type listing struct {
	clients []Client
	at      dbus.Sequence // signals after this may say more
	full    bool          // of a server that has ServerInterface1, and tells its events
}

// clientsOf asks the server of that bus name for all clients, or for those of some
// names.
func (conn *Connection) clientsOf(ctx context.Context, server string, only ...string) (l listing, err error) {
	l.full = true
	l.clients, l.at, err = conn.pagesOf(ctx, server, only)
	if errors.Is(err, ErrNotSupported) {
		l.full = false
		l.clients, l.at, err = conn.managedClients(ctx, server)
		l.clients = slices.DeleteFunc(l.clients, func(c Client) bool { return len(only) > 0 && !slices.Contains(only, c.Name) })
	}
	slices.SortFunc(l.clients, func(a, b Client) int { return cmp.Compare(a.Name, b.Name) })
	return l, err
}

func (conn *Connection) pagesOf(ctx context.Context, server string, only []string) ([]Client, dbus.Sequence, error) {
	if len(only) > 0 {
		return conn.getClients(ctx, server, only)
	}
	names, at, err := conn.namesOf(ctx, server)
	if err != nil {
		return nil, 0, err
	}
	clients, _, err := conn.getClients(ctx, server, names)
	return clients, at, err
}

// namesOf asks a server that has ServerInterface1 for all names, and tells when the
// answer came.
func (conn *Connection) namesOf(ctx context.Context, server string) (names []string, at dbus.Sequence, err error) {
	call := conn.bus.Object(server, ServerPath).CallWithContext(ctx, ServerInterface1+".ListNames", dbus.FlagNoAutoStart)
	if err := call.Store(&names); err != nil {
		return nil, 0, explain(err)
	}
	slices.Sort(names)
	return names, call.ResponseSequence, nil
}

// getClients asks a server that has ServerInterface1 for clients, in pages, and tells
// when the answer about the first ones came.
func (conn *Connection) getClients(ctx context.Context, server string, names []string) (clients []Client, at dbus.Sequence, err error) {
	for some := range slices.Chunk(names, page) {
		var properties []string
		var rows [][]string
		call := conn.bus.Object(server, ServerPath).CallWithContext(ctx, ServerInterface1+".GetClients", dbus.FlagNoAutoStart, some)
		if err := call.Store(&properties, &rows); err != nil {
			return nil, 0, explain(err)
		}
		if at == 0 {
			at = call.ResponseSequence
		}
		for _, row := range rows {
			var c Client
			if err := c.setTexts(properties, row); err != nil {
				return nil, 0, err
			}
			clients = append(clients, c)
		}
	}
	return clients, at, conn.resolve(ctx, clients)
}

// resolve finds out which properties are settings, if there are some that are not known.
func (conn *Connection) resolve(ctx context.Context, clients []Client) error {
	if len(clients) == 0 || clients[0].unknown == nil {
		return nil
	}
	settings, err := conn.Settings(ctx)
	if err != nil {
		return err
	}
	for i := range clients {
		if err := clients[i].resolve(settings); err != nil {
			return err
		}
	}
	return nil
}

// setTexts sets properties to values written as text, and passes over
// properties that it does not know.
func (c *Client) setTexts(properties, values []string) error {
	if len(values) != len(properties) {
		return fmt.Errorf("the server tells %d properties of a client, and %d values", len(properties), len(values))
	}
	for i, property := range properties {
		field := c.field(property)
		if field == nil {
			c.setUnknown(property, values[i])
		}
		if err := setText(field, values[i]); err != nil {
			return fmt.Errorf("property %s: %w", property, err)
		}
	}
	return nil
}

func setText(field any, text string) (err error) {
	switch field := field.(type) {
	case *string:
		*field = text
	case *Reason:
		*field = Reason(text)
	case *KeyKind:
		*field = KeyKind(text)
	case *ActorKind:
		*field = ActorKind(text)
	case *StatisticType:
		*field = StatisticType(text)
	case *uint32:
		var n uint64
		n, err = strconv.ParseUint(text, 10, 32)
		*field = uint32(n)
	case *dbus.ObjectPath:
		*field = dbus.ObjectPath(text)
	case *bool:
		*field, err = strconv.ParseBool(text)
	case *int:
		*field, err = strconv.Atoi(text)
	case *time.Time:
		*field, err = ParseTime(text)
	case *time.Duration:
		var ms uint64
		ms, err = strconv.ParseUint(text, 10, 63)
		*field = time.Duration(ms) * time.Millisecond
	}
	return err
}

// managedClients asks any Mandos server.
func (conn *Connection) managedClients(ctx context.Context, name string) ([]Client, dbus.Sequence, error) {
	var objects map[dbus.ObjectPath]map[string]map[string]dbus.Variant
	call := conn.bus.Object(name, ServerPath).CallWithContext(ctx, ObjectManagerInterface+".GetManagedObjects", dbus.FlagNoAutoStart)
	if err := call.Store(&objects); err != nil {
		return nil, 0, explain(err)
	}
	clients := make([]Client, 0, len(objects))
	for path, interfaces := range objects {
		if _, isClient := interfaces[ClientInterface]; !isClient {
			continue
		}
		c, err := readClient(path, interfaces)
		if err != nil {
			return nil, 0, err
		}
		clients = append(clients, c)
	}
	return clients, call.ResponseSequence, nil
}
