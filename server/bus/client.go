// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"time"

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
	properties: []property{
		setting("ApprovalDelay", func(v *client.View) any { return v.ApprovalDelay }, duration, func(u *client.Update, d *time.Duration) { u.ApprovalDelay = d }),
		setting("ApprovalDuration", func(v *client.View) any { return v.ApprovalDuration }, duration, func(u *client.Update, d *time.Duration) { u.ApprovalDuration = d }),
		of("ApprovalPending", func(v *client.View) any { return v.ApprovalsPending > 0 }),
		setting("ApprovedByDefault", func(v *client.View) any { return v.ApprovedByDefault }, truth, func(u *client.Update, b *bool) { u.ApprovedByDefault = b }),
		of("CheckerRunning", func(v *client.View) any { return v.CheckerRunning }).writtenBy(setCheckerRunning),
		setting("Checker", func(v *client.View) any { return v.Checker }, text, func(u *client.Update, s *string) { u.Checker = s }),
		of("Created", func(v *client.View) any { return v.Created }),
		of("Enabled", func(v *client.View) any { return v.Enabled }).writtenBy(setEnabled),
		of("Expires", func(v *client.View) any { return v.Expires }),
		setting("ExtendedTimeout", func(v *client.View) any { return v.ExtendedTimeout }, duration, func(u *client.Update, d *time.Duration) { u.ExtendedTimeout = d }),
		of("Fingerprint", func(v *client.View) any { return v.Fingerprint }),
		setting("Host", func(v *client.View) any { return v.Host }, text, func(u *client.Update, s *string) { u.Host = s }),
		setting("Interval", func(v *client.View) any { return v.Interval }, duration, func(u *client.Update, d *time.Duration) { u.Interval = d }),
		of("KeyID", func(v *client.View) any { return v.KeyID }),
		of("LastApprovalRequest", func(v *client.View) any { return v.LastApprovalRequest }),
		of("LastCheckedOK", func(v *client.View) any { return v.LastCheckedOK }).writtenBy(func(c *call, by client.Actor, _ any) error { return checkedOK(c, by) }),
		of("LastCheckerStatus", func(v *client.View) any { return int16(v.LastCheckerStatus) }),
		of("LastEnabled", func(v *client.View) any { return v.LastEnabled }),
		of("Name", func(v *client.View) any { return v.Name }),
		of("ObjectPath", func(v *client.View) any { return objectPath(v) }),
		setting("Secret", nil, secret, func(u *client.Update, s *client.Secret) { u.Secret = s }),
		setting("Timeout", func(v *client.View) any { return v.Timeout }, duration, func(u *client.Update, d *time.Duration) { u.Timeout = d }),
	},
}

var clientInterface1 = &iface{
	name: dbusapi.ClientInterface1,
	methods: map[string]method{
		"History": {out: "aa{ss}", do: func(c *call) ([]any, error) {
			history, err := c.service.daemon.History(c.client.Name)
			for _, entry := range history {
				shortenedFields(entry) // one that a former version has saved
			}
			return []any{history}, err
		}},
	},
	properties: []property{
		of("LastHandout", func(v *client.View) any { return v.LastHandout }),
		of("LastHandoutKey", func(v *client.View) any { return string(v.LastHandoutKey) }),
		of("SecretProblem", secretProblem).following(client.PropSecret),
		of("LastCheckerOutput", func(v *client.View) any { return v.LastCheckerOutput }),
		of("DisabledSince", func(v *client.View) any { return v.DisabledSince }).toldAt(client.Disabled, client.Enabled),
		of("DisabledBecause", func(v *client.View) any { return string(v.DisabledBecause.Reason()) }).toldAt(client.Disabled, client.Enabled),
		of("DisabledBy", func(v *client.View) any { return v.DisabledBy }).toldAt(client.Disabled, client.Enabled),
		of("ApprovalsPending", func(v *client.View) any { return uint32(v.ApprovalsPending) }).toldAt(client.ApprovalNeeded, client.ApprovalOver),
		of("DeniedUntil", func(v *client.View) any { return v.DeniedUntil }),
		of("ApprovedUntil", func(v *client.View) any { return v.ApprovedUntil }),
	},
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

// setting makes the row of a property that is one of a client's settings. A
// value to write passes through decode and becomes part of an update by put. Without a
// get the property can only be written.
func setting[T any](name string, get func(*client.View) any, decode func(string, any) (T, error), put func(*client.Update, *T)) property {
	p := of(name, get)
	if get == nil {
		p.read = nil
	}
	return p.writtenBy(func(c *call, by client.Actor, value any) error {
		decoded, err := decode(name, value)
		if err != nil {
			return err
		}
		var update client.Update
		put(&update, &decoded)
		return c.service.registry.Update(c.ctx, by, c.client.Name, update)
	})
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
