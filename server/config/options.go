// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"mandos/dbusapi/notation"
	"mandos/server/client"
)

// option is one option of the server. Flags, mandos.conf keys, defaults,
// precedence and help all derive from the list of them.
type option struct {
	flag  string // long option
	short string // letter of the short option, or ""
	key   string // in mandos.conf, or "" for the command line only
	arg   string // what the option takes, for the help; "" makes it a switch
	help  string

	// byDefault is the text of the default; an empty value means it too. Empty
	// is a default of its own: unset.
	byDefault string
	// negates makes giving the switch turn the setting off.
	negates bool
	// notLasting is the key by which mandos.conf might want to make lasting what is
	// for one start only, and must not.
	notLasting string
	// literal takes the value in mandos.conf as it stands, without %(name)s.
	literal bool
	// set parses and stores. Its error completes a sentence that begins with
	// the value: "is not a port number; write ...".
	set func(d *Daemon, value string) error
}

func (o *option) isSwitch() bool { return o.arg == "" }

var options = []option{
	{
		flag: "interface", short: "i", key: "interface", arg: "IF", literal: true,
		help: "listen and announce on network interface `IF` only, or on a list: eth0,eth1",
		set: func(d *Daemon, value string) error {
			d.Interfaces = list(value)
			return nil
		},
	},
	{
		flag: "address", short: "a", key: "address", arg: "ADDR", literal: true,
		help: "listen on the numeric address `ADDR` only, or on a list",
		set:  setAddresses,
	},
	{
		flag: "port", short: "p", key: "port", arg: "PORT", byDefault: "0",
		help: "listen on TCP port `PORT`; 0 lets the system choose",
		set: func(d *Daemon, value string) error {
			n, err := number(value, 0, 65535)
			d.Port = uint16(n)
			return err
		},
	},
	{
		flag: "socket", key: "socket", arg: "FD",
		help: "listen on the inherited socket with descriptor `FD`",
		set:  setSocket,
	},
	{
		flag: "priority", key: "priority", arg: "STRING", literal: true,
		byDefault: "SECURE128:!CTYPE-X.509:+CTYPE-RAWPK:!RSA:!VERS-ALL:+VERS-TLS1.3:%PROFILE_ULTRA",
		help:      "GnuTLS priority `STRING` for the TLS handshake",
		set:       text(func(d *Daemon) *string { return &d.Priority }),
	},
	{
		flag: "servicename", key: "servicename", arg: "NAME", byDefault: "Mandos", literal: true,
		help: "announce the service as `NAME`",
		set:  text(func(d *Daemon) *string { return &d.ServiceName }),
	},
	{
		flag: "max-unproven", key: "max_unproven", arg: "N", byDefault: "1000",
		help: "allow `N` connections at once that have not proved a known key",
		set: func(d *Daemon, value string) (err error) {
			d.MaxUnproven, err = number(value, 1, 1_000_000)
			return err
		},
	},
	{
		flag: "uplink-check", key: "uplink_check", arg: "COMMAND", literal: true,
		help: "run `COMMAND` to find out whether the server's own network works",
		set:  setUplinkCheck,
	},
	{
		flag: "uplink-grace", key: "uplink_grace", arg: "DURATION", byDefault: "PT0S",
		help: "while the uplink check fails, let expiry stand still for `DURATION` at most",
		set: func(d *Daemon, value string) (err error) {
			d.UplinkGrace, err = notation.ParseDuration(value)
			if err == nil && d.UplinkGrace > client.MaxDuration {
				err = errors.New("is longer than 50 years; make it shorter")
			}
			return err
		},
	},
	{
		flag: "configdir", arg: "DIR", byDefault: "/etc/mandos",
		help: "read mandos.conf, clients.conf and clients.d/*.conf in `DIR`",
		set:  text(func(d *Daemon) *string { return &d.ConfigDir }),
	},
	{
		flag: "statedir", key: "statedir", arg: "DIR", byDefault: "/var/lib/mandos", literal: true,
		help: "keep saved state in `DIR`",
		set:  text(func(d *Daemon) *string { return &d.StateDir }),
	},
	{
		flag: "no-dbus", key: "use_dbus", byDefault: "True", negates: true,
		help: "do not offer the D-Bus interface",
		set:  boolean(func(d *Daemon) *bool { return &d.UseDBus }),
	},
	{
		flag: "no-ipv6", key: "use_ipv6", byDefault: "True", negates: true,
		help: "use IPv4 only",
		set:  boolean(func(d *Daemon) *bool { return &d.UseIPv6 }),
	},
	{
		flag: "no-restore", key: "restore", byDefault: "True", negates: true,
		help: "do not start from the saved state",
		set:  boolean(func(d *Daemon) *bool { return &d.Restore }),
	},
	{
		flag: "forget-all", byDefault: "False", notLasting: "forget_all",
		help: "forget everything that is saved of all clients, and begin anew",
		set:  boolean(func(d *Daemon) *bool { return &d.ForgetAll }),
	},
	{
		flag: "no-zeroconf", key: "zeroconf", byDefault: "True", negates: true,
		help: "do not announce the service; needs --port or --socket",
		set:  boolean(func(d *Daemon) *bool { return &d.Zeroconf }),
	},
	{
		flag: "foreground", key: "foreground", byDefault: "False",
		help: "stay in the foreground",
		set:  boolean(func(d *Daemon) *bool { return &d.Foreground }),
	},
	{
		flag: "debug", key: "debug", byDefault: "False",
		help: "debug mode: stay in the foreground and log everything",
		set:  boolean(func(d *Daemon) *bool { return &d.Debug }),
	},
	{
		flag: "debuglevel", key: "debuglevel", arg: "LEVEL", byDefault: "INFO", literal: true,
		help: "log from `LEVEL` up: DEBUG, INFO, WARNING, ERROR or CRITICAL",
		set:  text(func(d *Daemon) *string { return &d.LogLevel }),
	},
	{
		flag: "check", byDefault: "False",
		help: "check the configuration and exit",
		set:  boolean(func(d *Daemon) *bool { return &d.Check }),
	},
	{
		flag: "write-pickle", byDefault: "False",
		help: "write the state as the Python server reads it, to go back to that, and exit",
		set:  boolean(func(d *Daemon) *bool { return &d.WritePickle }),
	},
}

func text(field func(*Daemon) *string) func(*Daemon, string) error {
	return func(d *Daemon, value string) error {
		*field(d) = value
		return nil
	}
}

func boolean(field func(*Daemon) *bool) func(*Daemon, string) error {
	return func(d *Daemon, value string) (err error) {
		*field(d), err = notation.ParseBool(value)
		return err
	}
}

func number(value string, least, most int) (int, error) {
	n, err := notation.ParseInt(strings.TrimFunc(value, notation.IsSpace))
	if err != nil || n < int64(least) || n > int64(most) {
		return 0, fmt.Errorf("is not a whole number from %d to %d", least, most)
	}
	return int(n), nil
}

func setUplinkCheck(d *Daemon, value string) error {
	if len(value) > client.MaxCommand {
		return fmt.Errorf("is longer than a command can be, which is %d bytes", client.MaxCommand)
	}
	d.UplinkCheck = value
	return nil
}

func setSocket(d *Daemon, value string) error {
	if value == "" {
		d.Socket = -1
		return nil
	}
	n, err := number(value, 0, 1<<20)
	d.Socket = n
	return err
}

func setAddresses(d *Daemon, value string) error {
	d.Addresses = nil
	for _, text := range list(value) {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return errors.New("is not a numeric address, nor a list of them; write for example 192.0.2.1, 2001:db8::1, ::1 or fe80::1%eth0 (names are not looked up)")
		}
		d.Addresses = append(d.Addresses, address.Unmap())
	}
	return nil
}

// list takes a list with commas or blanks apart.
func list(value string) []string {
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(words) == 0 {
		return nil
	}
	return words
}

// optionKeys are the keys of mandos.conf.
func optionKeys() []string {
	var keys []string
	for i := range options {
		if options[i].key != "" {
			keys = append(keys, options[i].key)
		}
	}
	return keys
}
