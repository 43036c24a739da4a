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
	clients, _, err := conn.clientsOf(ctx, BusName)
	return clients, err
}

// clientsOf asks the server of that bus name, and tells when the answer came. The
// clients are sorted by name.
func (conn *Connection) clientsOf(ctx context.Context, name string) ([]Client, dbus.Sequence, error) {
	clients, at, err := conn.listClients(ctx, name)
	if errors.Is(err, ErrNotSupported) {
		clients, at, err = conn.managedClients(ctx, name)
	}
	slices.SortFunc(clients, func(a, b Client) int { return cmp.Compare(a.Name, b.Name) })
	return clients, at, err
}

// listClients asks a server that has ServerInterface1.
func (conn *Connection) listClients(ctx context.Context, name string) ([]Client, dbus.Sequence, error) {
	call := conn.bus.Object(name, ServerPath).CallWithContext(ctx, ServerInterface1+".ListClients", dbus.FlagNoAutoStart)
	if call.Err != nil {
		return nil, 0, explain(call.Err)
	}
	if len(call.Body) != 2 {
		return nil, 0, errors.New("the server's list of clients cannot be understood")
	}
	properties, _ := call.Body[0].([]string)
	rows, _ := call.Body[1].([][]string)
	clients := make([]Client, len(rows))
	for i, row := range rows {
		if err := clients[i].setTexts(properties, row); err != nil {
			return nil, 0, err
		}
	}
	return clients, call.ResponseSequence, nil
}

// setTexts sets properties to values written as text, and passes over
// properties that it does not know.
func (c *Client) setTexts(properties, values []string) error {
	if len(values) != len(properties) {
		return fmt.Errorf("the server tells %d properties of a client, and %d values", len(properties), len(values))
	}
	for i, property := range properties {
		if err := setText(c.field(property), values[i]); err != nil {
			return fmt.Errorf("property %s: %w", property, err)
		}
	}
	return nil
}

func setText(field any, text string) (err error) {
	switch field := field.(type) {
	case *string:
		*field = text
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
