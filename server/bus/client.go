// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"net/netip"

	"github.com/godbus/dbus/v5"

	"mandos/dbusapi"
	"mandos/server/client"
	"mandos/server/openpgpblob"
)

// clientObject is what is found at each client's path.
var clientObject = &object{interfaces: []*iface{introspectable, properties, peer, clientInterface, clientInterface1}}

// managed are the interfaces that the ObjectManager shows of a client.
var managed = []*iface{introspectable, properties, clientInterface, clientInterface1}

var clientInterface = &iface{
	name: dbusapi.ClientInterface,
	methods: map[string]method{
		"Approve": {in: "b", do: changing(func(c *call, by client.Actor) error {
			return c.service.registry.Approve(c.ctx, by, c.client.Name, c.args[0].(bool))
		})},
		"CheckedOK":    {do: changing(checkedOK)},
		"Enable":       {do: changing(func(c *call, by client.Actor) error { return setEnabled(c, by, true) })},
		"Disable":      {do: changing(func(c *call, by client.Actor) error { return setEnabled(c, by, false) })},
		"StartChecker": {do: changing(func(c *call, by client.Actor) error { return setCheckerRunning(c, by, true) })},
		"StopChecker":  {do: changing(func(c *call, by client.Actor) error { return setCheckerRunning(c, by, false) })},
	},
	properties: append(settings(dbusapi.ClientInterface),
		of("ApprovalPending", func(v *client.View) any { return v.ApprovalsPending > 0 }),
		of("CheckerRunning", func(v *client.View) any { return v.CheckerRunning }).writtenBy(setCheckerRunning),
		of("Created", func(v *client.View) any { return v.Created }),
		of("Enabled", func(v *client.View) any { return v.Enabled }).writtenBy(setEnabled),
		of("Expires", func(v *client.View) any { return v.Expires }),
		of("LastApprovalRequest", func(v *client.View) any { return v.LastApprovalRequest }),
		of("LastCheckedOK", func(v *client.View) any { return v.LastCheckedOK }).writtenBy(func(c *call, by client.Actor, _ any) error { return checkedOK(c, by) }),
		of("LastCheckerStatus", func(v *client.View) any { return int16(v.LastCheckerStatus) }),
		of("LastEnabled", func(v *client.View) any { return v.LastEnabled }),
		of("Name", func(v *client.View) any { return v.Name }),
		of("ObjectPath", func(v *client.View) any { return objectPath(v) }),
	),
}

var clientInterface1 = &iface{
	name: dbusapi.ClientInterface1,
	methods: map[string]method{
		"History": {out: "aa{sv}", do: func(c *call) ([]any, error) {
			history, err := c.service.daemon.History(c.client.Name)
			all := make([]map[string]dbus.Variant, len(history))
			for i, e := range history {
				all[i] = encoded(e)
			}
			return []any{all}, err
		}},
		"Allow": {in: "ut", do: changing(func(c *call, by client.Actor) error {
			d, err := duration("the time", c.args[1])
			if err != nil {
				return err
			}
			return c.service.registry.Allow(c.ctx, by, c.client.Name, int(c.args[0].(uint32)), d)
		})},
		"ApproveAhead": {in: "ut", do: changing(func(c *call, by client.Actor) error {
			d, err := duration("the time", c.args[1])
			if err != nil {
				return err
			}
			return c.service.registry.ApproveAhead(c.ctx, by, c.client.Name, int(c.args[0].(uint32)), d)
		})},
		"Revoke": {do: changing(func(c *call, by client.Actor) error {
			return c.service.registry.Revoke(c.ctx, by, c.client.Name)
		})},
		"Explain": {in: "s", out: "aa{sv}", do: explain},
		"Expect": {in: "ts", do: changing(func(c *call, by client.Actor) error {
			d, err := duration("the time", c.args[0])
			if err != nil {
				return err
			}
			return c.service.registry.Expect(c.ctx, by, c.client.Name, d, c.args[1].(string))
		})},
		"EndAbsence": {do: changing(func(c *call, by client.Actor) error {
			return c.service.registry.EndAbsence(c.ctx, by, c.client.Name)
		})},
	},
	properties: append(settings(dbusapi.ClientInterface1),
		of("LastHandout", func(v *client.View) any { return v.LastHandout }),
		of("LastHandoutKey", func(v *client.View) any { return string(v.LastHandoutKey) }),
		of("SecretProblem", secretProblem).following(client.PropSecret),
		of("LastCheckerOutput", func(v *client.View) any { return v.LastCheckerOutput }),
		of("DisabledSince", func(v *client.View) any { return v.DisabledSince }).toldAt(client.Disabled, client.Enabled),
		of("DisabledBecause", func(v *client.View) any { return string(v.DisabledBecause) }).toldAt(client.Disabled, client.Enabled),
		of("DisabledBy", func(v *client.View) any { return string(v.DisabledBy.Kind) }).toldAt(client.Disabled, client.Enabled),
		of("DisabledByUID", func(v *client.View) any { return v.DisabledBy.UID }).toldAt(client.Disabled, client.Enabled),
		of("DisabledByPID", func(v *client.View) any { return v.DisabledBy.PID }).toldAt(client.Disabled, client.Enabled),
		of("DisabledByBusName", func(v *client.View) any { return v.DisabledBy.BusName }).toldAt(client.Disabled, client.Enabled),
		of("DisabledByFor", func(v *client.View) any { return v.DisabledBy.For }).toldAt(client.Disabled, client.Enabled),
		of("ApprovalsPending", func(v *client.View) any { return uint32(v.ApprovalsPending) }).toldAt(client.ApprovalNeeded, client.ApprovalOver),
		of("DeniedUntil", func(v *client.View) any { return v.DeniedUntil }),
		of("HandoutsAllowed", func(v *client.View) any { return uint32(v.HandoutsAllowed) }),
		of("AllowedUntil", func(v *client.View) any { return v.AllowedUntil }),
		of("ApprovalsAhead", func(v *client.View) any { return uint32(v.ApprovalsAhead) }),
		of("ApprovedAheadUntil", func(v *client.View) any { return v.ApprovedAheadUntil }),
		of("ApprovedUntil", func(v *client.View) any { return v.ApprovedUntil }),
		of("OnBorrowedTime", func(v *client.View) any { return v.OnBorrowedTime }),
		of("AbsenceUntil", func(v *client.View) any { return v.AbsenceUntil }),
		of("AbsenceID", func(v *client.View) any { return v.Absence.ID }).following(client.PropAbsenceUntil),
		of("AbsenceReason", func(v *client.View) any { return v.Absence.Why }).following(client.PropAbsenceUntil),
	),
}

// explain tells the rulings on a hand-out.
func explain(c *call) ([]any, error) {
	from, err := origin(c.args[0].(string), c.service.daemon)
	if err != nil {
		return nil, err
	}
	rulings, err := c.service.registry.Explain(c.client.Name, from)
	all := make([]map[string]dbus.Variant, len(rulings))
	for i, r := range rulings {
		told := dbusapi.Ruling{
			Rule: dbusapi.Rule(r.Rule), Verdict: dbusapi.Verdict(r.Verdict), Refusal: dbusapi.Refusal(r.Refusal),
			Remedy: dbusapi.Remedy(r.Remedy), Until: r.Until, Note: field(r.Note),
		}
		all[i] = told.Encode()
	}
	return []any{all}, err
}

// origin is what somebody names who asks about a peer: an address, or nothing.
func origin(text string, daemon Daemon) (from client.Origin, err error) {
	if text == "" {
		return from, nil
	}
	address, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return from, errorf(dbusapi.ErrorInvalidArgs, "%q is no address; write for example 192.0.2.7 or fe80::7%%eth0", shortened(text, maxField))
	case address.IsLinkLocalUnicast() && address.Is6() && address.Zone() == "":
		return from, errorf(dbusapi.ErrorInvalidArgs, "%s is a link-local address, and needs its interface: write for example %s%%eth0", address, address)
	}
	return client.Origin{Address: netip.AddrPortFrom(address, 0), Interface: daemon.InterfaceTo(address)}, nil
}

// secretProblem says why the client's secret can hardly be meant. One that would have
// to be decrypted first is not looked at.
func secretProblem(v *client.View) any {
	if !v.Secret.Found() {
		return ""
	}
	if _, err := openpgpblob.Judge(v.Secret.Bytes()); err != nil {
		return err.Error()
	}
	return ""
}

// of makes the row of a client's property.
func of(name string, get func(*client.View) any) property {
	return property{name: name, read: func(s *subject) any { return get(s.client) }}
}

func setEnabled(c *call, by client.Actor, value any) error {
	enable, err := truth("Enabled", value)
	switch {
	case err != nil:
		return err
	case enable:
		return c.service.registry.Enable(c.ctx, by, c.client.Name)
	}
	return c.service.registry.Disable(c.ctx, by, c.client.Name)
}

func setCheckerRunning(c *call, by client.Actor, value any) error {
	run, err := truth("CheckerRunning", value)
	switch {
	case err != nil:
		return err
	case run:
		return c.service.registry.StartChecker(c.ctx, c.client.Name)
	}
	return c.service.registry.StopChecker(c.ctx, by, c.client.Name)
}

func checkedOK(c *call, by client.Actor) error {
	return c.service.registry.CheckedOK(c.ctx, by, c.client.Name)
}
