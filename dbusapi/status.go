// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// Status is what the server tells of itself.
type Status struct {
	Version string
	// Address and Port are where it listens for clients, on the network
	// Interface if that is not empty. Several are a list; no address means that
	// it listens nowhere.
	Address   string
	Port      uint16
	Interface string
	// ListenProblem says where it does not listen although it should.
	ListenProblem string

	ServiceName      string // Zeroconf's
	ZeroconfState    string
	ClientCount      int
	PendingApprovals int // clients on which a connection waits
	StartedAt        time.Time
	LogLevel         string
	ConfigDir        string
	StateDir         string
	StateProblem     string // why the state cannot be saved; empty if it can
	ReloadProblem    string // why the configuration cannot be read again; empty if it can
	// MassFailureSince is since when most clients fail their checks; zero if they do not.
	MassFailureSince time.Time
	// UplinkFailsSince is since when the uplink check fails; zero if it does not.
	UplinkFailsSince time.Time

	Lockdown Lockdown
	// Statistics are nil of a server that has none.
	Statistics Statistics
}

// Lockdown refuses everybody while it is on.
type Lockdown struct {
	On    bool
	ID    string
	By    Actor
	Since time.Time
	Until time.Time // zero for until somebody ends it
	Why   string    // in somebody's words; may be empty
}

// Listens says where clients can connect, as "[::]:4711 on eth0".
func (s *Status) Listens() string {
	if s.Address == "" {
		return "nowhere"
	}
	var where []string
	for _, address := range strings.Split(s.Address, ", ") {
		where = append(where, net.JoinHostPort(address, strconv.Itoa(int(s.Port))))
	}
	listens := strings.Join(where, ", ")
	if s.Interface != "" {
		listens += " on " + s.Interface
	}
	return listens
}

func (s *Status) field(property string) any {
	switch property {
	case "Version":
		return &s.Version
	case "Address":
		return &s.Address
	case "Port":
		return &s.Port
	case "Interface":
		return &s.Interface
	case "ListenProblem":
		return &s.ListenProblem
	case "ServiceName":
		return &s.ServiceName
	case "ZeroconfState":
		return &s.ZeroconfState
	case "ClientCount":
		return &s.ClientCount
	case "PendingApprovals":
		return &s.PendingApprovals
	case "StartedAt":
		return &s.StartedAt
	case "LogLevel":
		return &s.LogLevel
	case "ConfigDir":
		return &s.ConfigDir
	case "StateDir":
		return &s.StateDir
	case "StateProblem":
		return &s.StateProblem
	case "ReloadProblem":
		return &s.ReloadProblem
	case "UplinkFailsSince":
		return &s.UplinkFailsSince
	case "MassFailureSince":
		return &s.MassFailureSince
	case "Statistics":
		return &s.Statistics
	case "Lockdown":
		return &s.Lockdown.On
	case "LockdownID":
		return &s.Lockdown.ID
	case "LockdownSince":
		return &s.Lockdown.Since
	case "LockdownUntil":
		return &s.Lockdown.Until
	case "LockdownReason":
		return &s.Lockdown.Why
	}
	return s.Lockdown.By.field("LockdownBy", property)
}

// Status asks the server for its status.
func (conn *Connection) Status(ctx context.Context) (Status, error) {
	var values map[string]dbus.Variant
	var status Status
	if err := conn.call(ctx, ServerPath, PropertiesInterface+".GetAll", []any{ServerInterface1}, &values); err != nil {
		return Status{}, err
	}
	err := update(values, status.field)
	return status, err
}
