// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/godbus/dbus/v5"
)

// Client is a client as the server showed it at one moment. Times are zero for
// never or none.
type Client struct {
	Path        dbus.ObjectPath
	Name        string
	KeyID       string // upper-case hex
	Fingerprint string // upper-case hex, or empty
	Host        string
	Checker     string

	Enabled           bool // whether it is handed its secret
	ApprovalPending   bool
	ApprovedByDefault bool
	CheckerRunning    bool

	Timeout          time.Duration
	ExtendedTimeout  time.Duration
	Interval         time.Duration
	ApprovalDelay    time.Duration
	ApprovalDuration time.Duration

	Created             time.Time
	LastEnabled         time.Time
	Expires             time.Time
	LastCheckedOK       time.Time
	LastApprovalRequest time.Time
	LastCheckerStatus   int // an exit status, CheckerCrashed or NeverChecked

	// The rest is unknown, and zero, with a server that has no ClientInterface1.
	LastHandout        time.Time
	LastHandoutKey     KeyKind
	SecretProblem      string // why the secret can hardly be meant; empty if it can
	LastCheckerOutput  string // the last line printed, if the last check failed
	DisabledSince      time.Time
	DisabledBecause    Reason
	DisabledBy         Actor
	ApprovalsPending   int
	DeniedUntil        time.Time // when a decision that is in force ends
	ApprovedUntil      time.Time
	OnBorrowedTime     bool      // it would have expired, but for the server's own network
	AbsenceUntil       time.Time // when a planned absence is over at the latest
	AbsenceID          string
	AbsenceReason      string    // in somebody's words
	HandoutsAllowed    int       // left of its grants
	ApprovalsAhead     int       // hand-outs that are approved in advance
	ApprovedAheadUntil time.Time // when that ends; zero for no end
	ApprovalsNeeded    int       // people who have to approve; 0 with a server that does not tell
	AllowedUntil       time.Time // when the last of these ends; zero for none that ends

	// Other are settings that are none of these, by their names in clients.conf, as they
	// are written there: those that the Python server does not have.
	Other map[string]string
	// AsDefault are those of Other that are as they would be without a line.
	AsDefault map[string]bool

	// unknown are properties that have no field, as text, until it is known which of
	// them are settings.
	unknown map[string]string
}

// The values of Client.LastCheckerStatus besides exit statuses.
const (
	CheckerCrashed = -1
	NeverChecked   = -2
)

// field is where in a Client a property goes.
func (c *Client) field(property string) any {
	switch property {
	case "ObjectPath":
		return &c.Path
	case "Name":
		return &c.Name
	case "KeyID":
		return &c.KeyID
	case "Fingerprint":
		return &c.Fingerprint
	case "Host":
		return &c.Host
	case "Checker":
		return &c.Checker
	case "Enabled":
		return &c.Enabled
	case "ApprovalPending":
		return &c.ApprovalPending
	case "ApprovedByDefault":
		return &c.ApprovedByDefault
	case "CheckerRunning":
		return &c.CheckerRunning
	case "Timeout":
		return &c.Timeout
	case "ExtendedTimeout":
		return &c.ExtendedTimeout
	case "Interval":
		return &c.Interval
	case "ApprovalDelay":
		return &c.ApprovalDelay
	case "ApprovalDuration":
		return &c.ApprovalDuration
	case "Created":
		return &c.Created
	case "LastEnabled":
		return &c.LastEnabled
	case "Expires":
		return &c.Expires
	case "LastCheckedOK":
		return &c.LastCheckedOK
	case "LastApprovalRequest":
		return &c.LastApprovalRequest
	case "LastCheckerStatus":
		return &c.LastCheckerStatus
	case "LastHandout":
		return &c.LastHandout
	case "LastHandoutKey":
		return &c.LastHandoutKey
	case "SecretProblem":
		return &c.SecretProblem
	case "LastCheckerOutput":
		return &c.LastCheckerOutput
	case "DisabledSince":
		return &c.DisabledSince
	case "DisabledBecause":
		return &c.DisabledBecause
	case "ApprovalsPending":
		return &c.ApprovalsPending
	case "DeniedUntil":
		return &c.DeniedUntil
	case "ApprovalsAhead":
		return &c.ApprovalsAhead
	case "ApprovedAheadUntil":
		return &c.ApprovedAheadUntil
	case "ApprovalsNeeded":
		return &c.ApprovalsNeeded
	case "HandoutsAllowed":
		return &c.HandoutsAllowed
	case "AllowedUntil":
		return &c.AllowedUntil
	case "ApprovedUntil":
		return &c.ApprovedUntil
	case "OnBorrowedTime":
		return &c.OnBorrowedTime
	case "AbsenceUntil":
		return &c.AbsenceUntil
	case "AbsenceID":
		return &c.AbsenceID
	case "AbsenceReason":
		return &c.AbsenceReason
	}
	return c.DisabledBy.field("DisabledBy", property)
}

// readClient reads what the ObjectManager shows of a client.
func readClient(path dbus.ObjectPath, interfaces map[string]map[string]dbus.Variant) (Client, error) {
	c := Client{Path: path}
	for _, name := range []string{ClientInterface, ClientInterface1} {
		if err := c.update(name, interfaces[name]); err != nil {
			return Client{}, fmt.Errorf("client %s: %w", path, err)
		}
	}
	return c, nil
}

func (c *Client) setUnknown(property, text string) {
	if c.unknown == nil {
		c.unknown = make(map[string]string)
	}
	c.unknown[property] = text
}

// resolve makes Other of those unknown properties that are settings.
func (c *Client) resolve(settings []Setting) error {
	for _, s := range settings {
		text, found := c.unknown[s.Property]
		if !found {
			continue
		}
		text, err := s.fromText(text)
		if err != nil {
			return fmt.Errorf("property %s: %w", s.Property, err)
		}
		c.Other, c.AsDefault = maps.Clone(c.Other), maps.Clone(c.AsDefault) // which others may look at
		if c.Other == nil {
			c.Other, c.AsDefault = make(map[string]string), make(map[string]bool)
		}
		c.Other[s.Key], c.AsDefault[s.Key] = text, s.isDefault(text)
	}
	c.unknown = nil
	return nil
}

// update takes in properties of one of the client's interfaces.
func (c *Client) update(face string, values map[string]dbus.Variant) error {
	for name, value := range values {
		if face == ClientInterface1 && c.field(name) == nil {
			c.setUnknown(name, fmt.Sprint(value.Value()))
		}
	}
	return update(values, c.field)
}

// update puts the values of properties into the fields that they have, and
// passes over properties that it does not know.
func update(values map[string]dbus.Variant, field func(property string) any) error {
	for name, value := range values {
		if f := field(name); f != nil {
			if err := store(f, value.Value()); err != nil {
				return fmt.Errorf("property %s: %w", name, err)
			}
		}
	}
	return nil
}

// store puts a value from the bus into a field: a time from its text, a duration
// from its milliseconds.
func store(field, value any) error {
	switch field := field.(type) {
	case *time.Time:
		if text, ok := value.(string); ok {
			t, err := ParseTime(text)
			*field = t
			return err
		}
	case *time.Duration:
		if ms, ok := value.(uint64); ok {
			*field = time.Duration(ms) * time.Millisecond
			return nil
		}
	case *Statistics:
		if values, ok := value.(map[string]dbus.Variant); ok {
			return storeStatistics(field, values)
		}
	}
	if want, is := reflect.TypeOf(field).Elem().Kind(), reflect.TypeOf(value).Kind(); want == reflect.String && is != want {
		return fmt.Errorf("it is a %T, and no text", value) // of which the library would make a character
	}
	return dbus.Store([]any{value}, field)
}
