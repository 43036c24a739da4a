// SPDX-License-Identifier: Apache-2.0

package jsonoutput

import (
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

// Status is the document of "status".
type Status struct {
	SchemaVersion    int                      `json:"schemaVersion"`
	Version          string                   `json:"version"`
	StartedAt        *time.Time               `json:"startedAt"`
	Address          string                   `json:"address"`
	Port             uint16                   `json:"port"`
	Interface        string                   `json:"interface"`     // empty for all
	ListenProblem    string                   `json:"listenProblem"` // where it should listen and does not; empty if it does
	ServiceName      string                   `json:"serviceName"`
	ZeroconfState    string                   `json:"zeroconfState"`
	BusName          string                   `json:"busName"` // the unique one
	PID              uint32                   `json:"pid"`
	User             string                   `json:"user"`
	Clients          int                      `json:"clients"`
	ClientsByState   map[clientinfo.State]int `json:"clientsByState"`
	Gone             int                      `json:"gone"`        // clients that are not there
	GoneRefused      int                      `json:"goneRefused"` // those of them that would get nothing
	PendingApprovals int                      `json:"pendingApprovals"`
	ConfigDir        string                   `json:"configDir"`
	StateDir         string                   `json:"stateDir"`
	StateProblem     string                   `json:"stateProblem"`  // why the state is not saved; empty if it is
	ReloadProblem    string                   `json:"reloadProblem"` // why the configuration cannot be read again; empty if it can
	LogLevel         string                   `json:"logLevel"`
	UplinkFailsSince *time.Time               `json:"uplinkFailsSince"` // null if the uplink check does not fail
	MassFailureSince *time.Time               `json:"massFailureSince"` // most clients fail their checks; null if they do not
	SameKeys         [][]string               `json:"sameKeys"`         // clients that have one key
	Lockdown         *Lockdown                `json:"lockdown"`         // null without one
	Statistics       dbusapi.Statistics       `json:"statistics"`
}

// Lockdown is one that is on.
type Lockdown struct {
	ID    string     `json:"id"`
	Since *time.Time `json:"since"`
	Until *time.Time `json:"until"` // null for until somebody ends it
	Why   string     `json:"why"`   // in somebody's words; may be empty
	By    *Actor     `json:"by"`
}

func lockdownOrNull(l dbusapi.Lockdown) *Lockdown {
	if !l.On {
		return nil
	}
	return &Lockdown{ID: l.ID, Since: orNull(l.Since), Until: orNull(l.Until), Why: l.Why, By: actorOrNull(l.By)}
}

// OfStatus makes the document.
func OfStatus(s dbusapi.Status, process dbusapi.Process, clients int, counts map[clientinfo.State]int, gone []dbusapi.Gone, same [][]string) Status {
	return Status{
		SchemaVersion:    SchemaVersion,
		Version:          s.Version,
		StartedAt:        orNull(s.StartedAt),
		Address:          s.Address,
		Port:             s.Port,
		Interface:        s.Interface,
		ListenProblem:    s.ListenProblem,
		ServiceName:      s.ServiceName,
		ZeroconfState:    s.ZeroconfState,
		BusName:          process.Name,
		PID:              process.PID,
		User:             clientinfo.UserName(process.UID),
		Clients:          clients,
		ClientsByState:   counts,
		Gone:             len(gone),
		GoneRefused:      clientinfo.CountLowered(gone),
		PendingApprovals: s.PendingApprovals,
		ConfigDir:        s.ConfigDir,
		StateDir:         s.StateDir,
		StateProblem:     s.StateProblem,
		ReloadProblem:    s.ReloadProblem,
		LogLevel:         s.LogLevel,
		UplinkFailsSince: orNull(s.UplinkFailsSince),
		MassFailureSince: orNull(s.MassFailureSince),
		SameKeys:         append([][]string{}, same...),
		Lockdown:         lockdownOrNull(s.Lockdown),
		Statistics:       s.Statistics,
	}
}
