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

// Server is the Mandos server as seen over a connection of one's own to the bus.
type Server struct {
	conn   *dbus.Conn
	cancel context.CancelFunc
}

// Connect connects to the bus at a D-Bus address; the empty one is the system
// bus, which DBUS_SYSTEM_BUS_ADDRESS may say the address of. It gives up when ctx
// ends.
func Connect(ctx context.Context, address string) (*Server, error) {
	connection, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	options := []dbus.ConnOption{
		dbus.WithContext(connection),
		dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()),
	}
	var conn *dbus.Conn
	var err error
	if address == "" {
		conn, err = dbus.ConnectSystemBus(options...)
	} else {
		conn, err = dbus.Connect(address, options...)
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		return nil, noBus(err)
	}
	return &Server{conn, cancel}, nil
}

// Close ends the connection.
func (s *Server) Close() error {
	defer s.cancel()
	return s.conn.Close()
}

// call calls a method and stores what it answers.
func (s *Server) call(ctx context.Context, path dbus.ObjectPath, method string, args []any, answer ...any) error {
	call := s.conn.Object(BusName, path).CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...)
	if call.Err != nil {
		return explain(call.Err)
	}
	told := min(len(answer), len(call.Body)) // which differ in another version's answer
	if err := dbus.Store(call.Body[:told], answer[:told]...); err != nil {
		return &Error{Reason: ErrFailed, Message: "its answer cannot be understood; is it of another version?"}
	}
	return nil
}

// Clients are all clients, sorted by name.
func (s *Server) Clients(ctx context.Context) ([]Client, error) {
	clients, _, err := s.clientsOf(ctx, BusName)
	return clients, err
}

// set writes a property of a client's.
func (s *Server) set(ctx context.Context, c Client, property string, value any) error {
	return s.call(ctx, c.Path, PropertiesInterface+".Set", []any{ClientInterface, property, dbus.MakeVariant(value)})
}

// Enable makes a client valid again.
func (s *Server) Enable(ctx context.Context, c Client) error { return s.set(ctx, c, "Enabled", true) }

// Disable makes a client invalid at once.
func (s *Server) Disable(ctx context.Context, c Client) error { return s.set(ctx, c, "Enabled", false) }

// StartChecker starts a client's checker unless it is running.
func (s *Server) StartChecker(ctx context.Context, c Client) error {
	return s.set(ctx, c, "CheckerRunning", true)
}

// StopChecker kills a client's checker; its result does not count.
func (s *Server) StopChecker(ctx context.Context, c Client) error {
	return s.set(ctx, c, "CheckerRunning", false)
}

// CheckedOK vouches for a client as if a check had succeeded.
func (s *Server) CheckedOK(ctx context.Context, c Client) error {
	return s.call(ctx, c.Path, ClientInterface+".CheckedOK", nil)
}

// Approve decides what becomes of the connections that wait for the client's
// approval, or come to within its approval duration.
func (s *Server) Approve(ctx context.Context, c Client, approve bool) error {
	return s.call(ctx, c.Path, ClientInterface+".Approve", []any{approve})
}

// Remove takes a client out until somebody enables it.
func (s *Server) Remove(ctx context.Context, c Client) error {
	return s.call(ctx, ServerPath, ServerInterface+".RemoveClient", []any{c.Path})
}

// SetHost changes a client's host at run time.
func (s *Server) SetHost(ctx context.Context, c Client, host string) error {
	return s.set(ctx, c, "Host", host)
}

// SetChecker changes a client's checker command at run time.
func (s *Server) SetChecker(ctx context.Context, c Client, command string) error {
	return s.set(ctx, c, "Checker", command)
}

// SetSecret changes a client's secret at run time.
func (s *Server) SetSecret(ctx context.Context, c Client, secret []byte) error {
	return s.set(ctx, c, "Secret", secret)
}

// SetApprovedByDefault changes what is decided when the approval delay has passed.
func (s *Server) SetApprovedByDefault(ctx context.Context, c Client, approved bool) error {
	return s.set(ctx, c, "ApprovedByDefault", approved)
}

// SetTimeout changes how long a client stays valid after a successful check.
// A shorter one may disable it at once.
func (s *Server) SetTimeout(ctx context.Context, c Client, d time.Duration) error {
	return s.setDuration(ctx, c, "Timeout", d)
}

// SetExtendedTimeout changes how long a client stays valid after a hand-out.
func (s *Server) SetExtendedTimeout(ctx context.Context, c Client, d time.Duration) error {
	return s.setDuration(ctx, c, "ExtendedTimeout", d)
}

// SetInterval changes the time between two checks, and starts one.
func (s *Server) SetInterval(ctx context.Context, c Client, d time.Duration) error {
	return s.setDuration(ctx, c, "Interval", d)
}

// SetApprovalDelay changes how long a connection waits for approval; 0 means
// that none is needed.
func (s *Server) SetApprovalDelay(ctx context.Context, c Client, d time.Duration) error {
	return s.setDuration(ctx, c, "ApprovalDelay", d)
}

// SetApprovalDuration changes how long a decision stays in force.
func (s *Server) SetApprovalDuration(ctx context.Context, c Client, d time.Duration) error {
	return s.setDuration(ctx, c, "ApprovalDuration", d)
}

// setDuration writes whole milliseconds, which is all that the bus carries.
func (s *Server) setDuration(ctx context.Context, c Client, property string, d time.Duration) error {
	if d < 0 {
		return &Error{Reason: ErrInvalid, Message: property + " cannot be negative"}
	}
	return s.set(ctx, c, property, uint64(d.Round(time.Millisecond)/time.Millisecond))
}

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
	}
	return nil
}

// Status asks the server for its status.
func (s *Server) Status(ctx context.Context) (Status, error) {
	var values map[string]dbus.Variant
	var status Status
	if err := s.call(ctx, ServerPath, PropertiesInterface+".GetAll", []any{ServerInterface1}, &values); err != nil {
		return Status{}, err
	}
	err := update(values, status.field)
	return status, err
}

// Process is the server as a process on the bus.
type Process struct {
	Name     string // its unique bus name
	UID, PID uint32
}

// Process asks the bus who the server is.
func (s *Server) Process(ctx context.Context) (p Process, err error) {
	var credentials map[string]dbus.Variant
	bus := s.conn.BusObject()
	err = bus.CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, BusName).Store(&p.Name)
	if err == nil {
		err = bus.CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionCredentials", 0, p.Name).Store(&credentials)
	}
	p.UID, _ = credentials["UnixUserID"].Value().(uint32)
	p.PID, _ = credentials["ProcessID"].Value().(uint32)
	return p, explain(err)
}

// SetLogLevel changes how much the server logs.
func (s *Server) SetLogLevel(ctx context.Context, level string) error {
	return s.call(ctx, ServerPath, PropertiesInterface+".Set", []any{ServerInterface1, "LogLevel", dbus.MakeVariant(level)})
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
func (s *Server) Reload(ctx context.Context) (reloaded Reloaded, err error) {
	err = s.call(ctx, ServerPath, ServerInterface1+".Reload", nil, &reloaded.Added, &reloaded.Removed, &reloaded.Changed, &reloaded.Away)
	return reloaded, err
}
