// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"
	"slices"
)

// Load reads mandos.conf, clients.conf and clients.d/*.conf below the
// configuration directory and merges: the command line wins over mandos.conf,
// which wins over the defaults. Missing files are no error; a link to nowhere is.
//
// It fails with a [UsageError], or with [Errors]. In the latter case the Config
// is there too, for its warnings and so that whoever checks a value further can
// add to the errors; it must not be used for anything else.
func (o *Options) Load() (*Config, error) {
	f := newFindings()
	c := &Config{origins: map[string]Place{}}
	for i := range options {
		// A default cannot fail; a test loads them all.
		_ = options[i].store(&c.Daemon, options[i].byDefault)
	}
	for _, value := range o.given {
		if !value.set {
			continue
		}
		place := Place{Flag: "--" + value.option.flag}
		if err := value.store(&c.Daemon, value.text); err != nil {
			f.errorf(place, "%s %v", quote(value.text), err)
		}
		if value.option.key != "" {
			c.origins[value.option.key] = place
		}
	}
	c.readMandosConf(f, filepath.Join(c.ConfigDir, "mandos.conf"))
	c.checkTogether(f)
	c.ClientsFile = filepath.Join(c.ConfigDir, "clients.conf")
	c.Clients, c.NoClientsFile, c.Places = readClients(f, c.ClientsFile, o.Judge)
	if o.Trust != nil {
		c.warnOfWriters(f, *o.Trust)
	}
	c.Warnings, c.Files = f.warningList(), f.files

	if err := f.err(); err != nil {
		return c, err
	}
	return c, nil
}

// CheckFindable fails with a [UsageError] if no client could find the server:
// nothing says on which port it is. A socket that was passed to the server without
// an option says so.
func (c *Config) CheckFindable(passed bool) error {
	if !c.Zeroconf && c.Port == 0 && c.Socket == -1 && !passed {
		return UsageError{"needs --port or --socket to work without Zeroconf"}
	}
	return nil
}

// store parses value into d; an empty value, but for a switch, is the default.
func (o *option) store(d *Daemon, value string) error {
	if value == "" && !o.isSwitch() {
		value = o.byDefault
	}
	return o.set(d, value)
}

// readMandosConf sets what the command line has not. Only [DEFAULT] counts.
func (c *Config) readMandosConf(f *findings, file string) {
	doc, _ := readDocument(f, file, optionKeys())
	for _, s := range doc.sections {
		f.warnf(Place{File: file, Line: s.line, Section: s.name}, "only the section [DEFAULT] counts in this file; what stands here is ignored")
	}
	values := newScope(doc.defaults)
	for i := range options {
		o := &options[i]
		if lasting, ok := doc.defaults.settings[o.notLasting]; ok {
			f.errorf(lasting.Place, "%s is for one start only; remove this line and give --%s on the command line", o.notLasting, o.flag)
		}
		setting, ok := doc.defaults.settings[o.key]
		if !ok {
			continue
		}
		value := setting.raw
		if !o.literal {
			var err error
			if value, err = values.expand(setting.raw); err != nil {
				f.errorf(setting.Place, "%v", err)
				continue
			}
		}
		target := &c.Daemon
		if _, overridden := c.origins[o.key]; overridden {
			target = new(Daemon)
		} else {
			c.origins[o.key] = setting.Place
		}
		if err := o.store(target, value); err != nil {
			f.errorf(setting.Place, "%s %v", quote(value), err)
		}
	}
	warnOfNearMisses(f, doc.defaults, optionKeys(), values.referred)
}

// checkTogether settles what depends on more than one option.
func (c *Config) checkTogether(f *findings) {
	if c.Debug {
		c.Foreground = true
	}
	c.checkAddresses(f)
	switch {
	case c.UplinkGrace > 0 && c.UplinkCheck == "":
		f.errorf(c.Origin("uplink_grace"), "nothing is lent without uplink_check; write for example uplink_check = fping -q -- 192.0.2.1")
	case c.UplinkGrace == 0 && c.UplinkCheck != "":
		f.warnf(c.Origin("uplink_check"), "it is not run without uplink_grace; write for example uplink_grace = PT30M")
	}
	// A longer name is no DNS label (RFC 6763, section 4.1.1).
	if c.Zeroconf && len(c.ServiceName) > 63 {
		f.errorf(c.Origin("servicename"), "the name has %d bytes, and a Zeroconf service name at most 63; write a shorter one", len(c.ServiceName))
	}
}

// checkAddresses refuses those that the sockets cannot have.
func (c *Config) checkAddresses(f *findings) {
	place := c.Origin("address")
	for _, a := range c.Addresses {
		switch zone := a.Zone(); {
		case a.Is6() && !c.UseIPv6:
			f.errorf(place, "%s is an IPv6 address, and IPv6 is turned off; write an IPv4 address or turn IPv6 on", a)
		case zone != "" && len(c.Interfaces) > 0 && !slices.Contains(c.Interfaces, zone):
			f.errorf(place, "%s is on an interface that is not among those to listen on; add %s to interface", a, zone)
		case a.Is6() && a.IsLinkLocalUnicast() && zone == "" && len(c.Interfaces) == 0:
			f.errorf(place, "a link-local address needs its interface; write for example %s%%eth0 or set interface", a)
		}
	}
}
